"""The convolution and pooling that do the work of a linear layer, and what they save."""

from __future__ import annotations

import math
from dataclasses import dataclass

from grader.checks._subject import Subject, times
from grader.facts import Facts, Operand, Step

PASSED_THROUGH = frozenset(("reshape", "permute", "copy", "dropout", "activation"))


@dataclass(frozen=True, slots=True)
class PooledHead:
    """A 1×1 convolution with global average pooling in place of a linear layer on a flattened map.

    `shape` is the map in words, `parameters` what the convolution has, `after` what the whole model has with it.
    """

    shape: str
    channels: int
    classes: int
    parameters: int
    after: int

    @property
    def code(self) -> str:
        return f"nn.Conv2d({self.channels}, {self.classes}, 1), then nn.AdaptiveAvgPool2d(1)"


def pooled_head(subject: Subject, facts: Facts, step: Step) -> PooledHead | None:
    """Return what replaces a linear layer, None where no flattened map is behind it."""
    before = last_map_before(facts, step)
    if before is None or before.id == 0:
        return None
    channels = math.prod(extent for axis, extent in enumerate(before.shape) if axis and axis not in before.axes)
    shape = f"{channels}×{times([before.shape[axis] for axis in before.axes])}"
    parameters = channels * subject.classes + subject.classes
    replaced = sum(operand.size for operand in step.operands if operand.id in subject.parameter_ids)
    return PooledHead(shape, channels, subject.classes, parameters, subject.registered - replaced + parameters)


def last_map_before(facts: Facts, step: Step) -> Operand | None:
    """Return the map that a linear layer gets flattened, if it gets one."""
    current = [operand for operand in step.operands if operand.from_input]
    while current:
        operand = current.pop()
        if operand.is_map:
            return operand
        for index in operand.writers:
            writer = facts.steps[index]
            if writer.kind in PASSED_THROUGH:
                current.extend(given for given in writer.operands if given.from_input)
    return None
