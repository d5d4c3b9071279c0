"""A whole class, start to end: read each submission, grade what is not known yet, remember it at once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cache
from pathlib import PurePath
from typing import Literal

from grader.classroom.alike import groups
from grader.classroom.gradebook import Gradebook
from grader.classroom.keys import key_of, key_of_unreadable
from grader.classroom.names import called
from grader.classroom.types import Attempt, Course, Done, Engine, Job
from grader.likeness import Likeness
from grader.manifest import Submission, SubmissionError
from grader.obstacles import unread
from grader.report import Verdict, error_report
from grader.settings import reproduction

Phase = Literal["static", "training"]


@dataclass(frozen=True, slots=True)
class Step:
    """Where a run stands: `done` of `total` submissions, of which `known` needed no grading."""

    phase: Phase
    total: int
    done: int
    known: int
    verdicts: dict[Verdict, int]


def grade_class(
    attempts: Iterable[Attempt],
    gradebook: Gradebook,
    engine: Callable[[], AbstractContextManager[Engine]],
    course: Course,
    *,
    counted: Literal["latest", "best"] = "latest",
    again: bool = False,
    sealed: bool = False,
    starter: Submission | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> None:
    """Grade every attempt whose result the gradebook does not hold, and all of them where it is to be done `again`.

    Where the run is to be `sealed`, a result counts only if the submission was: one that was less confined may have
    reached for what made it.

    The engine is started when there is something to grade. Models are trained, where the settings ask for it, after
    everything that needs no training is known, and only those that could be graded at all; where the latest attempt is
    the one that is counted, no other is trained. Each result is in the gradebook before the next is awaited: a run that
    ends early, in whatever way, goes on where it was when it is started again. At the end the gradebook is told who is
    alike, apart from what the `starter` has too, the assignment's starting code, and why that could not be graded if
    so: then only its text is known.
    """
    with ExitStack() as started:
        run = _Run(gradebook, cache(lambda: started.enter_context(engine())), course, again, sealed, on_step)
        attempts = list(attempts)
        run.phase("static", attempts)
        if course.settings.train:
            candidates = attempts if counted == "best" else latest(attempts)
            run.phase("training", [attempt for attempt in candidates if run.is_gradable(attempt)])
        start, fault = (None, "") if starter is None else run.starting(starter)
    names = called(grade.student for grade in gradebook.class_report().grades)
    gradebook.alike(groups(gradebook.likenesses(), start, names), fault)


def latest(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Return the last attempt of each student."""
    found: dict[str, Attempt] = {}
    for attempt in attempts:
        if attempt.student not in found or attempt.number > found[attempt.student].number:
            found[attempt.student] = attempt
    return list(found.values())


@dataclass(slots=True)
class _Progress:
    """Counts of one phase."""

    phase: Phase
    total: int
    done: int = 0
    known: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    @property
    def step(self) -> Step:
        return Step(self.phase, self.total, self.done, self.known, dict(self.verdicts))


class _Run:
    def __init__(
        self,
        gradebook: Gradebook,
        engine: Callable[[], Engine],
        course: Course,
        again: bool,
        sealed: bool,
        on_step: Callable[[Step], None],
    ) -> None:
        self._gradebook = gradebook
        self._engine = engine
        self._course = course
        self._again = again
        self._sealed = sealed
        self._on_step = on_step
        self._keys: dict[tuple[str, int], str] = {}  # of each attempt, its latest
        self._waiting: dict[str, int] = {}  # keys under way, with the number of attempts that wait for each
        self._fresh: set[str] = set()  # keys that this run has graded

    def phase(self, phase: Phase, attempts: list[Attempt]) -> None:
        """Carry out one phase."""
        progress = _Progress(phase, len(attempts))
        self._on_step(progress.step)
        jobs = self._jobs(progress, attempts)
        for first in itertools.islice(jobs, 1):
            self._grade(progress, itertools.chain([first], jobs))

    def _grade(self, progress: _Progress, jobs: Iterator[Job]) -> None:
        for done in self._engine().grade(jobs):
            self._gradebook.record(done)
            self._fresh.add(done.key)
            self._count(progress, done.report.verdict, self._waiting.pop(done.key))

    def is_gradable(self, attempt: Attempt) -> bool:
        """Tell whether a static result is there that training could add to."""
        report = self._gradebook.report(self._keys[attempt.student, attempt.number])
        return report is not None and report.error is None

    def starting(self, code: Submission) -> tuple[Likeness | None, str]:
        """Return what the starting code is like, and what kept it from being graded, '' for nothing."""
        key = key_of(code, self._course, train=False)
        if not self._gradebook.knows(key):
            for done in self._engine().grade(iter([Job(key, code)])):
                self._gradebook.record(done)
        report = self._gradebook.report(key)
        fault = "" if report is None or report.error is None else report.error.message
        return self._gradebook.likeness(key), fault

    def _jobs(self, progress: _Progress, attempts: list[Attempt]) -> Iterator[Job]:
        train = progress.phase == "training"
        for attempt in attempts:
            try:
                submission = attempt.source.read()
            except SubmissionError as error:
                self._unreadable(progress, attempt, error)
                continue
            key = key_of(submission, self._course, train=train)
            self._tie(attempt, key, submission.sha256)
            if not train:
                self._tie_trained(attempt, submission)
            if key in self._waiting:
                self._waiting[key] += 1
            elif (verdict := self._known(key)) is not None:
                self._count(progress, verdict, 1, known=True)
            else:
                self._waiting[key] = 1
                yield Job(key, submission, train)

    def _known(self, key: str) -> Verdict | None:
        """Return the verdict of a result that need not be computed; None where it must be."""
        if key not in self._fresh and (self._again or not self._gradebook.knows(key)):
            return None
        report = self._gradebook.report(key)
        if report is None or (self._sealed and report.sandbox.level in ("partial", "none")):
            return None
        return report.verdict

    def _unreadable(self, progress: _Progress, attempt: Attempt, error: SubmissionError) -> None:
        """Record why the bytes of an attempt can't be had."""
        course = self._course
        obstacle = unread(error)
        key = key_of_unreadable(attempt.path, obstacle.message, course)
        name = PurePath(attempt.path).name  # a student's report does not show the instructor's folders
        reproduce = reproduction(name, course.rules, course.settings)
        self._tie(attempt, key, "")
        report = error_report(course.rules, name, obstacle, reproduce=reproduce)
        self._gradebook.record(Done(key, report, 0.0))
        self._count(progress, report.verdict, 1)

    def _tie(self, attempt: Attempt, key: str, sha256: str) -> None:
        self._keys[attempt.student, attempt.number] = key
        self._gradebook.submitted(attempt.student, attempt.number, key, sha256)

    def _tie_trained(self, attempt: Attempt, submission: Submission) -> None:
        """Let the result of a training that is known stand from the first phase on."""
        if not self._course.settings.train:
            return
        key = key_of(submission, self._course, train=True)
        if self._gradebook.knows(key):
            self._gradebook.submitted(attempt.student, attempt.number, key, submission.sha256)

    def _count(self, progress: _Progress, verdict: Verdict, attempts: int, *, known: bool = False) -> None:
        progress.done += attempts
        progress.known += attempts if known else 0
        progress.verdicts[verdict] += attempts
        self._on_step(progress.step)
