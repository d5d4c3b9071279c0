"""Where the submissions of a class are graded, by any number of threads: on this machine, or on a cluster's."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace

from grader.classroom.types import Course, Done, Job
from grader.grade import examine_submission
from grader.likeness import Likeness
from grader.obstacles import INTERNAL, unsealed
from grader.report import Obstacle, Report, error_report
from grader.sandbox import Sandbox, SandboxError, Template, trial
from grader.settings import Settings, reproduction

FAULTS = (INTERNAL, "sandbox")  # codes of errors that are the grader's or the machine's, and not a submission's
DESCRIPTORS = 12  # of a grading: two children with a channel, two pipes and a handle each, and what watches them
DESCRIPTORS_OF_OURS = 128

Heed = Callable[[], None]
Place = Callable[[Heed], AbstractContextManager[Template]]


class EngineError(Exception):
    """Grading a class cannot begin here, or cannot go on: the message says why, and the way out."""


class Stopped(Exception):
    """A grading was ended because nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class _Try:
    """What came of grading a submission once; `fault` is what the grader or the machine did wrong, '' for nothing."""

    report: Report | None
    likeness: Likeness | None = None
    fault: str = ""


class Bench:
    """Grades submissions by a warm template that `threads` threads share; each carries one submission at a time.

    A template that ends is followed by a new one. What was under way in it, and whatever else was not the submission's
    own fault, is graded once more, by a template of its own: a submission that ended the first could only end that.
    """

    def __init__(self, sandbox: Sandbox, threads: int, *, gpu: bool = False) -> None:
        _allow_descriptors(threads * DESCRIPTORS + DESCRIPTORS_OF_OURS)
        self._sandbox = sandbox
        self._gpu = gpu
        self._lock = threading.Lock()  # of the shared template's succession
        self._template = self._start()  # returns at once; torch is imported while others do other things

    def begin(self) -> None:
        """Wait for the template and try it; raise EngineError where no submission would be run."""
        try:
            with self._shared(_nobody) as template:
                refused = trial(template)
        except SandboxError as error:
            raise EngineError(str(error)) from error
        if refused is not None:
            obstacle = unsealed(refused.standing)
            raise EngineError(f"{obstacle.message}. {obstacle.why} {obstacle.fix}")

    def grade(self, course: Course, job: Job, heed: Heed) -> Done:
        """Grade one submission, twice where the first time fails for no fault of its own.

        `heed` is called several times a second; what it raises ends the grading, and is raised here.
        """
        began = time.monotonic()
        settings = replace(course.settings, train=job.train)
        tried = self._try(self._shared, course, settings, job, heed)
        if tried.fault:
            tried = self._try(self._alone, course, settings, job, heed)
        report = tried.report or failed(course, settings, job, f"after a second try: {tried.fault}")
        return Done(job.key, report, time.monotonic() - began, tried.likeness)

    def close(self) -> None:
        """End every process; no thread may be grading any more."""
        self._template.close()

    def _try(self, place: Place, course: Course, settings: Settings, job: Job, heed: Heed) -> _Try:
        try:
            with place(heed) as template:
                grading = examine_submission(template, job.submission, course.rules, settings)
                report, likeness, fault = grading.report, grading.likeness, _fault(grading.report, template)
        except Stopped:
            raise
        except SandboxError as error:
            return _Try(None, fault=str(error))
        except Exception as error:  # a fault of ours with one submission must not stop the others
            return _Try(None, fault=f"{type(error).__name__}: {error}")
        return _Try(report if not fault or _is_internal(report) else None, likeness, fault)

    @contextmanager
    def _shared(self, heed: Heed) -> Iterator[Template]:
        with self._lock:
            if self._template.lost:
                self._template.close()
                self._template = self._start()
            template = self._template.share()
        template.heed = heed
        yield template

    @contextmanager
    def _alone(self, heed: Heed) -> Iterator[Template]:
        with self._start() as template:
            template.heed = heed
            yield template

    def _start(self) -> Template:
        return Template.start(sandbox=self._sandbox, gpu=self._gpu, many=True)


def _nobody() -> None:
    """Heed nobody."""


def failed(course: Course, settings: Settings, job: Job, reason: str) -> Report:
    """Return the report on a submission that the grader failed to grade."""
    obstacle = Obstacle(
        INTERNAL,
        f"the submission could not be graded, {reason}",
        why="Not the submission but the grader or its machine is to blame.",
        fix="Grade the class again: what was not graded is tried once more.",
    )
    reproduce = reproduction(job.submission.path, course.rules, settings)
    return error_report(course.rules, job.submission, obstacle, reproduce=reproduce)


def _fault(report: Report, template: Template) -> str:
    """Return what the grader or the machine did wrong, '' where the report is about the submission."""
    error = report.error
    if error is None:
        return ""
    if error.code in FAULTS:
        return f"{error.message}. {error.why}".strip()
    return template.lost  # whatever its child was doing, it did not come to an end of its own


def _is_internal(report: Report) -> bool:
    return report.error is not None and report.error.code == INTERNAL


def _allow_descriptors(number: int) -> None:
    """Let this process have so many descriptors open, or as many as it may."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < number:
        most = number if hard == resource.RLIM_INFINITY else min(number, hard)
        with suppress(OSError, ValueError):  # macOS has a lower bound of its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
