"""One submission, start to end: read this first."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import msgspec

from grader.finding import Span
from grader.manifest import Submission, SubmissionError, read_submission, shown_path
from grader.protocol import SUBMISSION, CaptureJob, Device, GradeJob, Progress, TrainRequest
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
from grader.sandbox import (
    Captured,
    CaptureOutcome,
    Crashed,
    Executed,
    ExecuteOutcome,
    Exhausted,
    Malformed,
    Refused,
    Resource,
    Sandbox,
    Standing,
    Template,
    TimedOut,
    TooLarge,
    Unexecuted,
    Unsealed,
    capture,
    execute,
)

SEED = 1
TIMEOUT = 60.0  # seconds of a submission's code
PROBE_BATCHES = (4, 36)  # the larger one is none that a model would be written for
CHECK_SECONDS = 120.0  # for the replay and the checks; usually less than one
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
    device: Device = "cpu",
    threads: int | None = None,
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
class Settings:
    """How submissions are graded; the fields are options of `grade`."""

    file: str | None = None
    class_name: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    train: bool = False
    seed: int = SEED
    budget: float | None = None
    device: Device = "cpu"
    threads: int | None = None
    timeout: float = TIMEOUT


def grade_in(
    template: Template,
    path: str | os.PathLike[str],
    course: Rules,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Grade one submission by processes of a template, which serves any number of them, and return the report."""
    try:
        submission = read_submission(path, settings.file)
    except SubmissionError as error:
        return error_report(course, shown_path(path), _unread(error))
    images = course.input
    job = _capture_job(submission, images, settings)
    captured = capture(template, job, PROBE_BATCHES, settings.timeout, (images.mean, images.std))
    if not isinstance(captured, Captured):
        return error_report(course, submission, not_captured(captured), confinement(template))
    training = _training(course, settings)
    executed = execute(
        template,
        _grade_job(captured, course, training, settings.train),
        timeout=CHECK_SECONDS + (0 if training is None else training.budget or TRAINING_SECONDS),
        on_progress=on_progress or (lambda _: None),
        threads=1 if training is None else training.threads,
        device="cpu" if training is None else training.device,
    )
    if not isinstance(executed, Executed):
        return error_report(course, submission, not_executed(executed), confinement(template))
    return graded_report(course, submission, executed.graded, confinement(template), trained=settings.train)


def confinement(template: Template) -> SandboxReport:
    """Return what kept the submission apart from the machine, as the report tells it."""
    standing = template.standing
    if standing is None:
        return UNUSED
    gaps = tuple(GapReport(gap.what, gap.reason, gap.fix) for gap in standing.gaps)
    return SandboxReport(standing.level, standing.layers, gaps)


def usable_cores() -> int:
    """Return how many threads training gets when nobody says."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores, THREADS_CAP)


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
    uses = [use for rule in course.rules for use in rule.checks if use.check == ACCURACY]
    if not settings.train or not uses:
        return None
    options = uses[0].options
    threads = settings.threads or usable_cores()
    return TrainRequest(options["target"], options["recipe"], settings.seed, settings.budget, threads, settings.device)


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
    if isinstance(outcome, Unsealed):
        return unsealed(outcome.standing)
    if isinstance(outcome, Exhausted):
        many = outcome.resource == "threads"
        return Obstacle(
            "limit",
            f"the submission's process was ended: {_TAKEN[outcome.resource]}",
            why="The memory, processor time and threads of a submission are limited.",
            fix="Compute in one thread: a model needs no others."
            if many
            else "Look for tensors, lists or loops in __init__ or forward that are far larger than the task needs.",
            error="" if many else _FRAMES_OF_OURS.sub("", outcome.stderr),  # many threads have many places
            span=_crash_site(outcome.stderr),
        )
    if isinstance(outcome, TimedOut):
        return Obstacle(
            "timeout",
            f"the submission was still running after {_seconds(outcome.seconds)}",
            why="Loading a model and running it on a few images takes a second or two.",
            fix="Look for a loop in __init__ or forward that does not end, or allow more with --timeout.",
            span=_crash_site(outcome.stderr),
        )
    if isinstance(outcome, TooLarge):
        return Obstacle(
            "limit",
            f"the answer of the submission's process has {outcome.announced:,} bytes, the limit is {outcome.cap:,}",
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
        error=_FRAMES_OF_OURS.sub("", outcome.stderr),
        span=_crash_site(outcome.stderr),
    )


_CRASH_SITE = re.compile(rf'^  File "{re.escape(SUBMISSION)}(.+)", line (\d+)', re.MULTILINE)
# What faulthandler tells beside the student's own lines helps nobody here.
_FRAMES_OF_OURS = re.compile(
    rf'^(  File "(?!{re.escape(SUBMISSION)}).*|Extension modules: .*|(Current t|T)hread 0x.*)\n?', re.MULTILINE
)


def _crash_site(stderr: str) -> Span | None:
    """Return the innermost line of the submission in the last words of a process that crashed in native code."""
    site = _CRASH_SITE.search(stderr)
    return Span(site[1], int(site[2][:9])) if site else None


_TAKEN: dict[Resource, str] = {
    "memory": "most likely the memory ran out",
    "processor time": "it took more processor time than it was given",
    "threads": "it started far more threads than a model needs",
}
_HAS = {"partial": "gives a part of it", "none": "gives none"}


def _seconds(number: float) -> str:
    return f"{number:g} second{'' if number == 1 else 's'}"


def unsealed(standing: Standing) -> Obstacle:
    """Return why a submission was not run on this machine; its first gap is told in full."""
    gap = standing.gaps[0]
    return Obstacle(
        "sandbox",
        f"not run: the sandbox must be sealed, and this machine {_HAS[standing.level]}",
        why=f"What is missing: {'; '.join(f'{gap.what} ({gap.reason})' for gap in standing.gaps)}.",
        fix=f"{gap.fix} On files that you trust, --sandbox=auto takes what there is.",
    )


def not_executed(outcome: ExecuteOutcome) -> Obstacle:
    """Return why the captured graph could not be graded."""
    if isinstance(outcome, Unsealed):
        return unsealed(outcome.standing)
    if isinstance(outcome, Exhausted):
        return Obstacle(
            "limit",
            f"the grading process was ended: {_TAKEN[outcome.resource]}",
            why="The model is larger than those that this grader is made for.",
            fix="Use smaller layers, or a smaller batch size in the recipe of the rules.",
            error=outcome.stderr,
        )
    if isinstance(outcome, Unexecuted):
        found = outcome.ungradable
        return Obstacle("capture", found.message, found.why, found.fix, span=found.span)
    if isinstance(outcome, TimedOut):
        return Obstacle(
            "timeout",
            f"grading was not finished after {_seconds(outcome.seconds)}",
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
