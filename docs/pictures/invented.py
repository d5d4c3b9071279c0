"""An invented class, for the picture of a class page: the same for the same seed, and nobody in it exists."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

from grader.classroom.types import (
    AlikeGroup,
    ClassReport,
    Grade,
    LatePolicy,
    Override,
    RuleOutcome,
    Student,
    Unmatched,
)

FIRST = """Ada Amara Anselm Beatriz Bilal Bruna Caio Chidi Dalia Dmitri Elif Emre Esther Farah Fabio Greta Hana
Henrik Ines Imani Jakub Jun Kaito Keziah Lea Leyla Malik Mateo Mei Mila Nadia Noor Oskar Paloma Petra Quentin
Rafi Rosa Samir Sanna Tariq Tove Uma Viktor Wanja Xenia Yara Yusuf Zoë Zuri""".split()
LAST = """Abara Almeida Arslan Bakker Berg Castellan Dahl Demir Ekström Faria Fontaine Grau Haddad Hoshi Iwu Jansky
Kaya Kimani Kowal Lindqvist Lowe Marchetti Mbeki Moreau Nakata Nilsen Okoro Orlov Pascoe Quist Rahimi Rossi Sato Silva
Tanaka Thorne Ueda Vance Wójcik Yilmaz Zamora""".split()
RULES = ("param-count", "batch-norm", "dropout", "gap-no-linear", "accuracy")
MADE = datetime(2026, 11, 26, 9, 40, tzinfo=timezone.utc)
DUE = datetime(2026, 11, 23, 23, 59, tzinfo=timezone.utc)
UNGRADED = (
    "model.py:14: NameError: name 'nn' is not defined",
    "its code did not end within 60 s",
    "2 models in model.py: Net, NetBN; one has to be named with --class",
    "notebook.ipynb has no cell with a model",
)
REASONS = ("showed the run in the lab", "resubmitted on paper, agreed by mail", "illness, extension granted")


def invented_class(size: int = 120, seed: int = 5) -> ClassReport:
    """Return the gradebook of a class that does not exist."""
    draw = random.Random(seed)
    names = draw.sample([f"{first} {last}" for first in FIRST for last in LAST], size)
    students = [
        Student(f"s{4100 + number}", name, _address(name), draw.choice("AAABBC")) for number, name in enumerate(names)
    ]
    grades = sorted((_grade(draw, student) for student in students), key=lambda grade: grade.student.name)
    there = [grade.student.id for grade in grades if grade.verdict in ("pass", "fail")]
    return ClassReport(
        title="Session 5",
        rules_file="rules.yaml",
        rules_sha256="7c31e0b2" * 8,
        version="0.1.0",
        made=MADE,
        attempt="best",
        late=LatePolicy(10, 15, 50),
        max_score=100,
        rules=RULES,
        grades=tuple(grades),
        unmatched=(
            Unmatched("submissions/final_FINAL.py", "its name holds no student's id or name"),
            Unmatched("submissions/s4999/", "no student of the roster has the id s4999"),
        ),
        alike=(
            AlikeGroup("same", tuple(there[7:10]), 0.0, "the same 11 operators and sizes, up to names and comments"),
            AlikeGroup("near", (there[31], there[58]), 0.04, "the same but for the rate of one dropout"),
        ),
    )


def _address(name: str) -> str:
    first, last = name.encode("ascii", "ignore").decode().lower().split()
    return f"{first}.{last}@school.example"


def _grade(draw: random.Random, student: Student) -> Grade:
    lot = draw.random()
    if lot < 0.06:
        return Grade(student, "missing", headline="nothing was handed in")
    late = draw.choice([0] * 11 + [draw.uniform(600, 200_000)])
    known: dict[str, Any] = {
        "attempt": (attempts := draw.choice([1, 1, 1, 2, 2, 3])),
        "attempts": attempts,
        "submitted": DUE + timedelta(seconds=late or -draw.expovariate(1 / 90_000)),
        "time_source": "platform",
        "late_seconds": late,
        "seconds": draw.lognormvariate(2.9, 0.6),
        "path": f"submissions/{student.id}/model.py",
        "key": f"key of {student.id}",
        "sha256": f"{draw.getrandbits(256):064x}",
    }
    if lot < 0.1:
        undecided = tuple(RuleOutcome(rule, "error", 0, 20, "not graded") for rule in RULES)
        return Grade(student, "error", 0, 100, final=0, headline=draw.choice(UNGRADED), rules=undecided, **known)
    return _graded(draw, student, known)


def _graded(draw: random.Random, student: Student, known: dict[str, Any]) -> Grade:
    parameters = int(draw.choice([draw.gauss(9_500, 2_200), draw.gauss(14_500, 2_600), draw.gauss(24_000, 6_000)]))
    parameters = max(2_310, parameters) if draw.random() < 0.6 else min(parameters, 19_870)
    accuracy = min(99.58, draw.gauss(99.3, 0.2))
    linear = draw.random() < 0.14
    results = {
        "param-count": (parameters < 20_000, f"{parameters:,} parameters, limit is 20,000"),
        "batch-norm": (draw.random() < 0.95, "no batch normalisation acts on the prediction"),
        "dropout": (draw.random() < 0.9, "dropout with p=0 drops nothing"),
        "gap-no-linear": (not linear, f"a linear layer (784 × {draw.choice([10, 32])} weights) makes the prediction"),
        "accuracy": (accuracy >= 99, f"{accuracy:.2f} % of the test images, target is 99 %"),
    }
    rules = tuple(
        RuleOutcome(rule, "pass" if good else "fail", 20 * good, 20, message)
        for rule, (good, message) in results.items()
    )
    score = sum(rule.points for rule in rules)
    failed = [rule.message for rule in rules if rule.status == "fail"]
    days = -(-max(0, known["late_seconds"] - 900) // 86_400)
    penalty = score * min(50, 10 * days) / 100
    override = None
    if failed and draw.random() < 0.06:
        override = Override(min(100, score + 20), draw.choice(REASONS), "G. Hopper", MADE)
    return Grade(
        student,
        "fail" if failed else "pass",
        score,
        100,
        penalty,
        final=override.points if override else score - penalty,
        override=override,
        headline=failed[0] if failed else f"{parameters:,} parameters, {accuracy:.2f} % of the test images",
        rules=rules,
        parameters=parameters,
        accuracy=accuracy,
        **known,
    )
