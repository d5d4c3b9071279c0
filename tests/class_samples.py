"""Gradebooks for tests: of any size, with names that would do harm where they were not escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

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

MADE = datetime(2026, 11, 26, 9, 40, tzinfo=timezone.utc)
RULES = ("param-count", "batch-norm", "dropout")
NAMES = (
    "</script></td></table><script>window.pwned=1</script>",
    "\"><img src=x onerror='window.pwned=1'>",
    "=cmd|' /C calc'!A0",
    "{{7*7}}{% raw %}<!-- ]]>",
    "\u202eevil\u202c\u2028\u00a0\x00\x1b[31m\r\n",
    "שָׁלוֹם עֲלֵיכֶם",
    "مُحَمَّد",
    "👩🏽‍🔬 José Ñandú",
    "x" * 300,
    "W" * 150 + " " + "i" * 149,
)
VERDICTS = ("pass", "fail", "fail", "pass", "error", "pass", "missing", "pass", "fail", "waiting")


def gradebook(size: int, names: Sequence[str] = NAMES) -> ClassReport:
    """Return the gradebook of a class; the first students have the given names."""
    grades = tuple(_grade(number, names) for number in range(size))
    return ClassReport(
        title="Session 5 </title>",
        rules_file="rules.yaml",
        rules_sha256="ab" * 32,
        version="1.0",
        made=MADE,
        attempt="latest",
        late=LatePolicy(10),
        max_score=60,
        rules=RULES,
        grades=grades,
        unmatched=(Unmatched("<b>\x1b.py", "nobody's"),),
        alike=(AlikeGroup("same", ("s0", "s1"), 0.0, "the same operators"),) if size > 1 else (),
    )


def _grade(number: int, names: Sequence[str]) -> Grade:
    name = names[number] if number < len(names) else f"Student {number * 7919 % 10_007:05}"
    student = Student(f"s{number}", name, f"s{number}@x.example", "AB"[number % 2])
    verdict = VERDICTS[number % 10]
    if verdict in ("missing", "waiting"):
        return Grade(student, verdict, attempts=int(verdict == "waiting"))
    failed = {"pass": (), "fail": (0,) if number % 4 else (0, 2), "error": ()}[verdict]
    statuses = ["error" if verdict == "error" else "fail" if place in failed else "pass" for place in range(3)]
    rules = tuple(
        RuleOutcome(rule, status, 20 * (status == "pass"), 20, f"{rule} {status}")
        for rule, status in zip(RULES, statuses, strict=True)
    )
    score = sum(rule.points for rule in rules)
    late = 90_000 * (number % 11 == 0)
    penalty = score * 0.2 if late else 0
    override = Override(42, "for Bob", "me", MADE) if number % 97 == 1 else None
    return Grade(
        student,
        verdict,
        score,
        60,
        penalty,
        late,
        final=override.points if override else score - penalty,
        override=override,
        headline=f"{number:,} <i>parameters</i>",
        rules=rules,
        attempt=1,
        attempts=1 + number % 3,
        path=f"submissions/s{number}/model.py",
        submitted=MADE - timedelta(minutes=number * 37 % 5000),
        key=f"k{number}",
        parameters=None if verdict == "error" else 2_000 + number * 13 % 30_000,
        accuracy=None if verdict == "error" else 98 + number % 200 / 100,
        seconds=number % 50 / 2,
        late=late > 0,
    )
