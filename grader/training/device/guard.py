"""Whether a recorded step may stand for the step itself: both are taken from the same state and must come to the same.

What can't be recorded, or comes to something else, is trained step by step. That is no fault of a submission: an
operator that waits for the device, or leaves a tensor in new memory each time, is honest and has its result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.training.device.recorder import Act, Recorder
from grader.training.device.step import Step
from grader.training.pace import agree

CHECKED = 3  # steps: a second one finds the next batch and new random numbers, a third what the second left
TOLERATED = 0.01  # of the way that tensors went: some gradients add up in any order, and only a last digit differs
CHARACTERS = 120  # of torch's message, in a report

Groups = Sequence[Sequence[Tensor]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """How the steps of a run are taken from now on: what takes one, how many were taken, and how a report tells it."""

    act: Act
    taken: int
    shown: str


def prepare(step: Step, recorder: Recorder) -> Prepared:
    """Take the first steps of a run, and again from a recording of them; the recording is kept where both agree."""
    if any(step.bench.replay.graph.program(mode).updates for mode in ("train", "eval")):
        return Prepared(step, 0, _alone("a buffer moves to new memory in each step"))
    count = min(CHECKED, len(step.order))
    before, drawn = copied(step.written()), recorder.numbers()
    try:
        with recorder.unwaiting():
            _repeat(step, count)
    except Exception as error:  # what is wrong with the step itself will be raised again without a recording
        restore(step.written(), before)
        recorder.rewind(drawn)
        return Prepared(step, 0, _alone(_first_line(error)))
    expected, after = copied(step.written()), recorder.numbers()
    restore(step.written(), before)
    recorder.rewind(drawn)
    try:
        act = recorder.record(step)
        _repeat(act, count)
        is_same = torch.equal(recorder.numbers(), after) and same(before, expected, step.written())
        reason = "" if is_same else "its replay came to something else"
    except Exception as error:
        reason = _first_line(error)
    if not reason:
        return Prepared(act, count, "one CUDA graph a step")
    restore(step.written(), expected)
    recorder.rewind(after)
    return Prepared(step, count, _alone(reason))


def copied(groups: Groups) -> list[list[Tensor]]:
    return [[tensor.detach().clone() for tensor in group] for group in groups]


@torch.no_grad()
def restore(groups: Groups, copies: Groups) -> None:
    """Write what was copied back to where it came from."""
    for group, others in zip(groups, copies, strict=True):
        for tensor, copy in zip(group, others, strict=True):
            tensor.copy_(copy)


@torch.no_grad()
def same(before: Groups, expected: Groups, found: Groups) -> bool:
    """Tell whether tensors went the same way from where they were, group by group; integers must be equal."""
    return all(map(_went_alike, before, expected, found))


def _went_alike(before: Sequence[Tensor], expected: Sequence[Tensor], found: Sequence[Tensor]) -> bool:
    plain, other = [], []
    for start, one, two in zip(before, expected, found, strict=True):
        if torch.equal(one, two) and (torch.equal(start, one) or not start.is_floating_point()):
            continue  # also where it holds infinities, whose difference is no number
        if not start.is_floating_point():
            return False
        plain.append(one.double() - start)
        other.append(two.double() - start)
    return agree(plain, other, TOLERATED)


def _repeat(act: Act, count: int) -> None:
    for _ in range(count):
        act()


def _alone(reason: str) -> str:
    return f"step by step ({reason})"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:CHARACTERS]
