"""Runs attacks through the real processes, and tells what came of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from attack import BREACH, HONEST, Attack
from world import REPOSITORY, World

from grader.grade import Settings, grade_in
from grader.render import document
from grader.render.terminal import Options
from grader.report import Report
from grader.rules import read_rules
from grader.sandbox import Template

REFERENCE = REPOSITORY / "reference_model" / "model.py"


@dataclass(frozen=True)
class Outcome:
    """What came of an attack: the report, the harms that the world has seen, and what is wrong, if anything."""

    report: Report
    harms: tuple[str, ...]
    wrong: tuple[str, ...]

    @property
    def stopped(self) -> bool:
        """Whether nothing was harmed, nothing leaked and the verdict is right."""
        return not self.wrong


def run(attack: Attack, world: World, template: Template) -> Outcome:
    """Grade the submission of an attack by processes of a template, and look at what it has done."""
    world.harms()
    with tempfile.TemporaryDirectory(prefix="s5-submission-") as folder:
        path = Path(folder) / "model.py"
        path.write_text(attack.source(world.source), encoding="utf-8")
        report = grade_in(template, path, read_rules(), Settings(timeout=attack.seconds))
    harms = tuple(world.harms())
    return Outcome(report, harms, (*harms, *_leaks(report, world), *_verdict(report, attack)))


def reference(template: Template) -> list[str]:
    """Grade the reference model, and return what is wrong with the verdict."""
    report = grade_in(template, REFERENCE, read_rules(), Settings())
    return [] if report.verdict == "pass" and report.score == 80 else [f"the next submission: {_told(report)}"]


def _leaks(report: Report, world: World) -> list[str]:
    text = document.render(report, Options(100))
    found = [("a secret", world.token), ("an attack's success", BREACH + ": ")]
    return [f"the report tells {what}: {_told(report)}" for what, sign in found if sign in text]


def _verdict(report: Report, attack: Attack) -> list[str]:
    if report.error is not None and report.error.code == "internal":
        return [f"a fault of the grader: {_told(report)}"]
    if report.verdict not in attack.ends:
        return [f"the verdict is {report.verdict}: {_told(report)}"]
    statuses = {rule.id: rule.status for rule in report.rules if rule.id in HONEST}
    if report.verdict == "fail" and not attack.whole and statuses != HONEST:
        return [f"the rules are {statuses}"]
    return []


def _told(report: Report) -> str:
    error = report.error
    return f"{error.code}: {error.message} {error.error}"[:300] if error is not None else f"{report.score} points"
