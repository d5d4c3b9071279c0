"""Why a submission could not be graded, in words: one obstacle for each outcome of the processes that is no result."""

from __future__ import annotations

import re

from grader.finding import Span
from grader.manifest import SubmissionError
from grader.protocol import SUBMISSION
from grader.report import Obstacle
from grader.sandbox import (
    CaptureOutcome,
    Crashed,
    ExecuteOutcome,
    Exhausted,
    Malformed,
    Refused,
    Resource,
    Standing,
    TimedOut,
    TooLarge,
    Unexecuted,
    Unsealed,
)

INTERNAL = "internal"  # the code of an obstacle that is the grader's own


def unread(error: SubmissionError) -> Obstacle:
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
