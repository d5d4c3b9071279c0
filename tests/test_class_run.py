"""Grading a class from start to end, with an engine that is played: what is graded, known, and tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from two_rules import RULES, report, ungraded

from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import key_of
from grader.classroom.run import Step, grade_class
from grader.classroom.types import Attempt, Class, Course, Done, Job, LatePolicy, Student
from grader.manifest import Submission, SubmissionError
from grader.report import Obstacle, Report, SandboxReport
from grader.settings import Settings

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
COURSE = Course(RULES, Settings())
TRAINED = Course(RULES, Settings(train=True))


def submission(text: str, name: str = "model.py") -> Submission:
    return Submission(name, "", name, {name: text.encode()})


@dataclass
class Handed:
    """A submission that is in memory; no text is one that can't be read."""

    text: str | None

    def read(self) -> Submission:
        if self.text is None:
            raise SubmissionError("unreadable", "model.py is an archive that is broken")
        return submission(self.text)


@dataclass
class Played:
    """An engine that fails what says so, and ends in the middle where it is told to; `ahead` takes all jobs first."""

    ends_after: int | None = None
    ahead: bool = False
    jobs: list[tuple[str, bool]] = field(default_factory=list)
    shown: str = "played"

    def grade(self, jobs: Iterator[Job]) -> Iterator[Done]:
        for job in list(jobs) if self.ahead else jobs:
            if self.ends_after == len(self.jobs):
                raise KeyboardInterrupt
            text = next(iter(job.submission.files.values())).decode()
            self.jobs.append((text, job.train))
            yield Done(job.key, outcome(text), 0.5)


def outcome(text: str) -> Report:
    if text == "internal":
        return ungraded("internal")
    if text == "broken":
        return ungraded("syntax")
    level: Literal["sealed", "none"] = "none" if text == "open" else "sealed"
    return msgspec.structs.replace(
        report("fail" if text.startswith("bad") else "pass"), sandbox=SandboxReport(level, {})
    )


def attempts(*texts: str | None) -> list[Attempt]:
    return [Attempt(f"s{number}", 1, f"s{number}/model.py", Handed(text)) for number, text in enumerate(texts)]


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Gradebook]:
    with Gradebook.open(tmp_path / "book.sqlite") as gradebook:
        yield gradebook


def run(
    book: Gradebook,
    found: list[Attempt],
    course: Course = COURSE,
    *,
    again: bool = False,
    sealed: bool = False,
    ends_after: int | None = None,
    ahead: bool = False,
    starter: Submission | None = None,
) -> tuple[list[tuple[str, bool]], list[Step]]:
    """Grade a class; return what the engine was given, and the steps that were told."""
    engine, steps = Played(ends_after, ahead), []
    students = tuple(Student(id) for id in sorted({attempt.student for attempt in found}))
    played = Class("played", students, tuple(found))
    book.begin(played, course, attempt="latest", late=LatePolicy(), now=NOW, again=again)
    with suppress(KeyboardInterrupt):
        options = {"again": again, "sealed": sealed, "starter": starter, "on_step": steps.append}
        grade_class(found, book, lambda: nullcontext(engine), course, **options)  # type: ignore[arg-type]
    return engine.jobs, steps


def verdicts(book: Gradebook) -> dict[str, str]:
    return {grade.student.id: grade.verdict for grade in book.class_report().grades}


def test_every_attempt_is_graded_and_a_second_run_grades_nothing(book: Gradebook) -> None:
    found = attempts("one", "bad", "broken")
    assert run(book, found)[0] == [("one", False), ("bad", False), ("broken", False)]
    assert verdicts(book) == {"s0": "pass", "s1": "fail", "s2": "error"}
    jobs, steps = run(book, found)
    assert jobs == []
    assert steps[-1] == Step("static", 3, 3, 3, {"pass": 1, "fail": 1, "error": 1})
    assert verdicts(book) == {"s0": "pass", "s1": "fail", "s2": "error"}


def test_only_what_has_changed_is_graded_again(book: Gradebook) -> None:
    run(book, attempts("one", "two", "three"))
    assert run(book, attempts("one", "bad two", "three"))[0] == [("bad two", False)]
    assert verdicts(book) == {"s0": "pass", "s1": "fail", "s2": "pass"}


@pytest.mark.parametrize(("ahead", "known"), [(False, 2), (True, 0)])
def test_the_same_bytes_are_graded_once(book: Gradebook, ahead: bool, known: int) -> None:
    jobs, steps = run(book, attempts("same", "same", "other", "same"), ahead=ahead)
    assert jobs == [("same", False), ("other", False)]
    assert steps[-1] == Step("static", 4, 4, known, {"pass": 4})
    assert verdicts(book) == dict.fromkeys(("s0", "s1", "s2", "s3"), "pass")


def test_what_can_not_be_read_is_a_result_too(book: Gradebook) -> None:
    jobs, steps = run(book, attempts("one", None))
    assert jobs == [("one", False)]
    assert steps[-1] == Step("static", 2, 2, 0, {"pass": 1, "error": 1})
    grades = book.class_report().grades
    assert [(grade.verdict, grade.headline) for grade in grades] == [
        ("pass", grades[0].headline),
        ("error", "model.py is an archive that is broken"),
    ]


def test_a_run_that_ends_early_goes_on_where_it_was(book: Gradebook) -> None:
    found = attempts("one", "two", "three", "four")
    assert run(book, found, ends_after=2)[0] == [("one", False), ("two", False)]
    assert verdicts(book) == {"s0": "pass", "s1": "pass", "s2": "waiting", "s3": "waiting"}
    assert run(book, found)[0] == [("three", False), ("four", False)]


def test_everything_is_graded_again_where_that_is_asked_for(book: Gradebook) -> None:
    found = attempts("one", "same", "same")
    run(book, found)
    assert run(book, found, again=True)[0] == [("one", False), ("same", False)]


def test_a_sealed_run_grades_again_what_was_less_confined(book: Gradebook) -> None:
    found = attempts("open", "one", None)
    run(book, found)
    assert run(book, found)[0] == []
    assert run(book, found, sealed=True)[0] == [("open", False)]


def test_what_is_known_stands_while_everything_is_graded_again(book: Gradebook) -> None:
    found = attempts("one", "bad", "three")
    run(book, found, TRAINED)
    jobs, _ = run(book, found, TRAINED, again=True, ends_after=4)
    assert jobs == [("one", False), ("bad", False), ("three", False), ("one", True)]
    grades = book.class_report().grades
    assert [(grade.verdict, grade.earlier) for grade in grades] == [("pass", False), ("fail", True), ("pass", True)]
    assert [grade.key for grade in grades] == [key_of(one.source.read(), TRAINED, train=True) for one in found]
    assert run(book, found, TRAINED)[0] == []
    assert [grade.earlier for grade in book.class_report().grades] == [False, False, False]


@pytest.mark.parametrize(("code", "fault"), [("one", ""), ("broken", ungraded("syntax").error)])
def test_starting_code_that_can_not_be_graded_is_told(book: Gradebook, code: str, fault: Obstacle | str) -> None:
    run(book, attempts("two"), starter=submission(code))
    assert book.class_report().starter == (fault if isinstance(fault, str) else fault.message)
    run(book, attempts("two"))
    assert book.class_report().starter == ""


def test_what_failed_through_no_fault_of_the_submission_is_tried_again(book: Gradebook) -> None:
    found = attempts("internal", "one")
    assert run(book, found)[0] == [("internal", False), ("one", False)]
    assert run(book, found)[0] == [("internal", False)]


def test_models_are_trained_after_all_are_known_and_only_those_that_could_be_graded(book: Gradebook) -> None:
    found = attempts("one", "broken", None, "bad")
    jobs, steps = run(book, found, TRAINED)
    assert jobs == [("one", False), ("broken", False), ("bad", False), ("one", True), ("bad", True)]
    assert [step for step in steps if step.done == step.total] == [
        Step("static", 4, 4, 0, {"pass": 1, "error": 2, "fail": 1}),
        Step("training", 2, 2, 0, {"pass": 1, "fail": 1}),
    ]
    assert run(book, found, TRAINED)[0] == []


def test_of_several_attempts_only_the_latest_is_trained_where_that_one_counts(book: Gradebook) -> None:
    found = [Attempt("ada", number, "ada", Handed(text)) for number, text in ((2, "second"), (1, "first"))]
    assert run(book, found, TRAINED)[0] == [("second", False), ("first", False), ("second", True)]


def test_the_key_follows_all_that_a_grading_depends_on() -> None:
    one = submission("one")
    keys = {
        key_of(one, COURSE, train=False),
        key_of(one, COURSE, train=True),
        key_of(submission("two"), COURSE, train=False),
        key_of(submission("one", "net.py"), COURSE, train=False),
        key_of(one, Course(RULES, Settings(seed=2)), train=False),
        key_of(one, Course(RULES, Settings(class_name="Net")), train=False),
        key_of(one, Course(RULES, Settings(budget=9.0)), train=True),
    }
    assert len(keys) == 7
    assert key_of(submission("one"), Course(RULES, Settings(budget=9.0)), train=False) in keys
