"""One submission, start to end: read this first."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import msgspec

from grader.manifest import Submission, SubmissionError, read_submission, shown_path
from grader.protocol import CaptureJob, GradeJob, Progress, TrainRequest
from grader.report import ACCURACY, Obstacle, Report, asked, error_report, graded_report
from grader.rules import Input, Rules, read_rules
from grader.sandbox import (
    Captured,
    CaptureOutcome,
    Crashed,
    Executed,
    ExecuteOutcome,
    Malformed,
    Refused,
    Template,
    TimedOut,
    TooLarge,
    Unexecuted,
    capture,
    execute,
)

SEED = 1
TIMEOUT = 60.0  # seconds of a submission's code
PROBE_BATCHES = (4, 36)  # the larger one is none that a model would be written for
CHECK_SECONDS = 300.0  # for the replay and the checks; usually less than one
TRAINING_SECONDS = 6 * 3600.0  # for training without a budget
THREADS_CAP = 8  # more do not help a network of this size

INTERNAL = "internal"  # the code of an obstacle that is the grader's own


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
    device: str = "cpu",
    threads: int | None = None,
    timeout: float = TIMEOUT,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Grade one submission, a Python file, a notebook or a folder, against a rules file, and return the report.

    `file` names the one in a folder that holds the model, `class_name` the class, `arguments` what its constructor
    gets. `seed` decides initial weights and training. `budget` and `timeout` are seconds: of training, and of the
    submission's own code. `on_progress` is told where training stands. What is wrong with a submission is in the
    report. Raises RulesError for faulty rules, SandboxError where no process can be started for the submission.
    """
    with Template.start() as template:  # returns at once; torch is imported while the files are read
        course = rules if isinstance(rules, Rules) else read_rules(rules)
        try:
            submission = read_submission(path, file)
        except SubmissionError as error:
            return error_report(course, shown_path(path), _unread(error), template.layers())
        job = _capture_job(submission, course.input, class_name, arguments or {}, seed)
        captured = capture(template, job, PROBE_BATCHES, timeout)
        if not isinstance(captured, Captured):
            return error_report(course, submission, not_captured(captured), template.layers())
        training = _training(course, seed, budget, threads or usable_cores(), device) if train else None
        seconds = CHECK_SECONDS + (0 if training is None else TRAINING_SECONDS if budget is None else budget)
        executed = execute(
            template,
            _grade_job(captured, course, training, train),
            timeout=seconds,
            on_progress=on_progress or (lambda _: None),
        )
        if not isinstance(executed, Executed):
            return error_report(course, submission, not_executed(executed), template.layers())
        return graded_report(course, submission, executed.graded, template.layers(), trained=train)


def usable_cores() -> int:
    """Return how many threads training gets when nobody says."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, THREADS_CAP)


def _capture_job(
    submission: Submission, images: Input, class_name: str | None, arguments: Mapping[str, str], seed: int
) -> CaptureJob:
    return CaptureJob(
        submission.files, submission.entry, class_name, dict(arguments), images.shape, images.classes, seed
    )


def _training(course: Rules, seed: int, budget: float | None, threads: int, device: str) -> TrainRequest | None:
    """Return the training that the accuracy rule asks for, None where there is no such rule."""
    uses = [use for rule in course.rules for use in rule.checks if use.check == ACCURACY]
    if not uses:
        return None
    options = uses[0].options
    return TrainRequest(options["target"], options["recipe"], seed, budget, threads, device)


def _grade_job(captured: Captured, course: Rules, training: TrainRequest | None, train: bool) -> bytes:
    images = course.input
    job = GradeJob(
        captured.graph,
        captured.untraced,
        captured.probe,
        images.shape,
        images.classes,
        (images.mean, images.std),
        asked(course, train),
        training,
    )
    return msgspec.msgpack.encode(job)


def _unread(error: SubmissionError) -> Obstacle:
    option = "--file" if error.candidates else ""
    return Obstacle(error.code, error.message, fix=error.fix, candidates=error.candidates, option=option)


def not_captured(outcome: CaptureOutcome) -> Obstacle:
    """Return why the submission's processes gave no graph."""
    if isinstance(outcome, Refused):
        return Obstacle.of(outcome.refusal)
    if isinstance(outcome, TimedOut):
        return Obstacle(
            "timeout",
            f"the submission was still running after {outcome.seconds:g} seconds",
            why="Loading a model and running it on a few images takes a second or two.",
            fix="Look for a loop in __init__ or forward that does not end, or allow more with --timeout.",
        )
    if isinstance(outcome, TooLarge):
        return Obstacle(
            "limit",
            f"the captured model has {outcome.announced:,} bytes, the limit is {outcome.cap:,}",
            why="Every weight and every constant that the model uses is part of it.",
            fix="Use fewer parameters, or smaller constants.",
        )
    if isinstance(outcome, Malformed):
        return Obstacle(
            "malformed",
            f"the submission's process gave an answer that cannot be read: {outcome.reason}",
            why="That happens when the submission's code writes into the grader's channel, or changes its modules.",
            fix="Remove code that writes to file descriptors or patches other modules.",
        )
    assert isinstance(outcome, Crashed)
    return Obstacle(
        "crash",
        f"the submission's process ended before it had answered ({outcome.status})",
        why="Its code ended the process while it was loaded or run: an exit, a crash in native code, too much memory.",
        fix="Remove calls that exit, and try the model by itself on a batch of images.",
        error=outcome.stderr,
    )


def not_executed(outcome: ExecuteOutcome) -> Obstacle:
    """Return why the captured graph could not be graded."""
    if isinstance(outcome, Unexecuted):
        found = outcome.ungradable
        return Obstacle("capture", found.message, found.why, found.fix, span=found.span)
    if isinstance(outcome, TimedOut):
        return Obstacle(
            "timeout",
            f"grading was not finished after {outcome.seconds:g} seconds",
            why="The model is larger than those that this grader is made for, or the machine is busy.",
            fix="Try again; for training, give a --budget in seconds.",
        )
    fix = "This is a fault of s5-grade. Please report it, with the file."
    if isinstance(outcome, TooLarge):
        message = f"the result has {outcome.announced:,} bytes, the limit is {outcome.cap:,}"
        return Obstacle(INTERNAL, message, fix=fix)
    if isinstance(outcome, Malformed):
        return Obstacle(INTERNAL, f"the result cannot be read: {outcome.reason}", fix=fix)
    assert isinstance(outcome, Crashed)
    message = f"the grading process ended before it had answered ({outcome.status})"
    return Obstacle(INTERNAL, message, fix=fix, error=outcome.stderr)


class _Callable(ModuleType):
    """Makes `grader.grade(path)` work: in the package, this module and its function go by the same name."""

    def __call__(self, *positional: Any, **options: Any) -> Report:
        return grade(*positional, **options)


sys.modules[__name__].__class__ = _Callable
