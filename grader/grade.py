"""One submission, start to end: read this first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import msgspec

from grader.checks.accuracy import Options
from grader.datasets import handed
from grader.fingerprint import with_text
from grader.likeness import Likeness
from grader.manifest import Submission, SubmissionError, read_submission, shown_path
from grader.obstacles import not_captured, not_executed, unread
from grader.protocol import CaptureJob, Device, Exported, GradeJob, Progress, TrainRequest
from grader.report import (
    ACCURACY,
    UNUSED,
    GapReport,
    Obstacle,
    Report,
    SandboxReport,
    asked,
    error_report,
    graded_report,
)
from grader.rules import Input, Rules, read_rules
from grader.sandbox import Captured, Executed, Sandbox, Template, capture, execute
from grader.settings import SEED, THREADS, TIMEOUT, Settings, reproduction

PROBE_BATCHES = (4, 36)  # the larger one is none that a model would be written for
CHECK_SECONDS = 120.0  # for the replay and the checks; usually less than one
TRAINING_SECONDS = 6 * 3600.0  # for training without a budget


def grade(
    path: str | os.PathLike[str],
    rules: str | os.PathLike[str] | Rules | None = None,
    *,
    file: str | None = None,
    class_name: str | None = None,
    arguments: Mapping[str, str] | None = None,
    train: bool = False,
    seed: int = SEED,
    budget: float | None = None,
    device: Device = "cpu",
    threads: int = THREADS,
    timeout: float = TIMEOUT,
    sandbox: Sandbox = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Grade one submission, a Python file, a notebook or a folder, against a rules file, and return the report.

    `file` names the one in a folder that holds the model, `class_name` the class, `arguments` what its constructor
    gets. `seed` decides initial weights and training. `budget` and `timeout` are seconds: of training, and of the
    submission's own code. `sandbox` is 'auto' for the best confinement that this machine can give, 'strict' to run
    nothing below a sealed one, 'off' for none. `on_progress` is told where training stands. What is wrong with a
    submission is in the report. Raises RulesError for faulty rules, SandboxError where no process can be started.
    """
    settings = Settings(file, class_name, arguments or {}, train, seed, budget, device, threads, timeout)
    with Template.start(
        sandbox=sandbox, gpu=device == "cuda"
    ) as template:  # returns at once; torch is imported while the files are read
        course = rules if isinstance(rules, Rules) else read_rules(rules)
        return grade_in(template, path, course, settings, on_progress)


@dataclass(frozen=True, slots=True)
class Grading:
    """A report with what it is about: the bytes that were graded, and the graph where it was asked for and captured.

    `fingerprint` is that of the graph, where there is one.
    """

    report: Report
    submission: Submission | None = None
    exported: Exported | None = None
    fingerprint: Likeness | None = None

    @property
    def likeness(self) -> Likeness | None:
        """What the submission is compared with others by, graph and text; None where it could not be read."""
        return None if self.submission is None else with_text(self.fingerprint or Likeness(), self.submission.files)


def grade_in(
    template: Template,
    path: str | os.PathLike[str],
    course: Rules,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Grade one submission by processes of a template, which serves any number of them, and return the report."""
    return examine_in(template, path, course, settings, on_progress).report


def examine_in(
    template: Template,
    path: str | os.PathLike[str],
    course: Rules,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
) -> Grading:
    """Grade one submission as `grade_in` does, and return the report with what it is about."""
    try:
        submission = read_submission(path, settings.file)
    except SubmissionError as error:
        shown = shown_path(path)
        return Grading(error_report(course, shown, unread(error), reproduce=reproduction(shown, course, settings)))
    return examine_submission(template, submission, course, settings, on_progress)


def examine_submission(
    template: Template,
    submission: Submission,
    course: Rules,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
) -> Grading:
    """Grade bytes that were read before."""
    images = course.input
    training = _training(course, settings)
    reproduce = reproduction(submission.path, course, settings)

    def stopped(obstacle: Obstacle) -> Grading:
        return Grading(
            error_report(course, submission, obstacle, confinement(template), reproduce=reproduce), submission
        )

    job = _capture_job(submission, images, settings)
    captured = capture(template, job, PROBE_BATCHES, settings.timeout, images.probe)
    if not isinstance(captured, Captured):
        return stopped(not_captured(captured))
    executed = execute(
        template,
        _grade_job(captured, course, training, settings),
        timeout=CHECK_SECONDS + (0 if training is None else training.budget or TRAINING_SECONDS),
        on_progress=on_progress or (lambda _: None),
        threads=1 if training is None else training.threads,
        device="cpu" if training is None else training.device,
    )
    if not isinstance(executed, Executed):
        return stopped(not_executed(executed))
    graded = executed.graded
    report = graded_report(
        course, submission, graded, confinement(template), trained=settings.train, reproduce=reproduce
    )
    return Grading(report, submission, graded.exported, graded.likeness)


def confinement(template: Template) -> SandboxReport:
    """Return what kept the submission apart from the machine, as the report tells it."""
    standing = template.standing
    if standing is None:
        return UNUSED
    gaps = tuple(GapReport(gap.what, gap.reason, gap.fix) for gap in standing.gaps)
    return SandboxReport(standing.level, standing.layers, gaps)


def _capture_job(submission: Submission, images: Input, settings: Settings) -> CaptureJob:
    return CaptureJob(
        submission.files,
        submission.entry,
        settings.class_name,
        dict(settings.arguments),
        images.shape,
        images.classes,
        settings.seed,
    )


def _training(course: Rules, settings: Settings) -> TrainRequest | None:
    """Return the training that the accuracy rule asks for, None where there is no such rule or none is wanted."""
    uses = course.uses_of(ACCURACY)
    if not settings.train or not uses:
        return None
    options = msgspec.convert(uses[0].options, Options)
    return TrainRequest(
        options.target,
        msgspec.to_builtins(options.recipe),
        settings.seed,
        settings.budget,
        settings.threads,
        settings.device,
        options.claim,
        options.planned,
        options.sustained or 0,
        options.best,
    )


def _grade_job(captured: Captured, course: Rules, training: TrainRequest | None, settings: Settings) -> bytes:
    images = course.input
    if training is not None:
        data = handed(images.source, images.shape, images.classes)
        training = msgspec.structs.replace(training, data=data)
    job = GradeJob(
        captured.graph,
        captured.untraced,
        captured.probe,
        images.shape,
        images.classes,
        (images.mean, images.std),
        asked(course, settings.train),
        training,
        settings.export,
    )
    return msgspec.msgpack.encode(job)


class _Callable(ModuleType):
    """Makes `grader.grade(path)` work: in the package, this module and its function go by the same name."""

    def __call__(self, *positional: Any, **options: Any) -> Report:
        return grade(*positional, **options)


sys.modules[__name__].__class__ = _Callable
