"""A plugin of pytest for runs within tests: answers from `played.json` in place of the grader, and notes each call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from samples import LINEAR, SANDBOX, SOURCE, result

from grader.finding import CheckResult
from grader.grade import Grading
from grader.graph import Graph, Program
from grader.manifest import Submission
from grader.protocol import Exported, Graded, Loaded
from grader.pytest_plugin import gradings
from grader.report import Obstacle, Reproduction, asked, error_report, graded_report
from grader.rules import Rules
from grader.settings import Settings

ANSWERS = Path("played.json")
CALLS = Path("played.log")

FAILED = result("linear", "fail", LINEAR.message, LINEAR, measured=7840, limit=0)
GRAPH = Graph("Net", (), Program((), None), Program((), None))


class Answers(msgspec.Struct, frozen=True):
    """What each check finds, by its id, 'pass' where nothing is said; or why nothing could be graded."""

    results: dict[str, CheckResult] = {}
    obstacle: Obstacle | None = None


class Template:
    """Stands in for the processes of the grader."""

    @classmethod
    def start(cls, *, sandbox: str, gpu: bool) -> Template:
        return cls()

    def close(self) -> None:
        with CALLS.open("a") as log:
            log.write("closed\n")


def examine_in(template: Template, path: str, course: Rules, settings: Settings) -> Grading:
    answers = msgspec.json.decode(ANSWERS.read_bytes(), type=Answers)
    with CALLS.open("a") as log:
        log.write(f"{path} {course.file} {msgspec.json.encode(changed(settings)).decode()}\n")
    submission = Submission(path, "", "model.py", {"model.py": SOURCE})
    repeat = Reproduction(rules_sha256="abc")
    if answers.obstacle is not None:
        return Grading(error_report(course, submission, answers.obstacle, SANDBOX, reproduce=repeat), submission)
    results = tuple(
        answers.results.get(request.check, result(request.check)) for request in asked(course, settings.train)
    )
    graded = Graded(results, Loaded("Net"), 8932, ())
    report = graded_report(course, submission, graded, SANDBOX, trained=settings.train, reproduce=repeat)
    return Grading(report, submission, Exported(GRAPH, b"") if settings.export else None)


def changed(settings: Settings) -> dict[str, Any]:
    """Return those settings that are not at their defaults."""
    default = msgspec.to_builtins(Settings())
    return {name: value for name, value in msgspec.to_builtins(settings).items() if value != default[name]}


def pytest_configure(config: pytest.Config) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(gradings, "Template", Template)
    patch.setattr(gradings, "examine_in", examine_in)
    config.add_cleanup(patch.undo)
