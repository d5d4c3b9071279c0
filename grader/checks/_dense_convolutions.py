"""Convolutions that compute what a linear layer computes: as large as their map, or over positions as channels."""

from __future__ import annotations

import math
from collections.abc import Iterator

from grader.checks._dense import Dense
from grader.checks._laid import laid_out
from grader.checks._subject import Subject, times
from grader.facts import Facts, Operand, Step, integers
from grader.layout import CHANNELS, over_flattened

OPTIONS = {"padding": 0, "dilation": 1, "stride": 1}
IMAGE_AXES = 4  # of a batch of images


def convolution(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a convolution that maps a whole map, or a flattened one, to 1×1, or whose kernel is the activation."""
    images, weight = step.operand("input"), step.operand("weight")
    if images is None or weight is None:
        return None
    if weight.from_input:
        if images.from_input:
            return None
        message = "a convolution with an activation as its kernel weights that activation like a linear layer"
        return Dense(facts, step, message, f"{times(images.shape)} weights applied here", images.size)
    label = f"{times(weight.shape)} weights applied here"
    folded = images.shape[0] > facts.batch  # rows or columns as images of their own
    if (folded or not over_flattened(images)) and not covers_map(step, images, weight):
        if not among_channels(subject, facts, step, images, weight):
            return None
        message = "a convolution with positions of a map as its channels is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if not subject.experiments.varies(facts.mode, step.index, weight.id, inputs_of(step, weight)):
        return None
    if over_flattened(images):
        shape = times(images.shape[1:])
        message = f"a convolution over a flattened map ({shape}) is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if math.prod(images.shape[2:]) > 1:
        shape = times(images.shape[2:])
        return Dense(facts, step, f"a convolution as large as its {shape} map is a linear layer", label, weight.size)
    return None


def among_channels(subject: Subject, facts: Facts, step: Step, images: Operand, weight: Operand) -> bool:
    """Tell whether positions of a map stand among the channels, so that each is weighted by its own number."""
    layout = laid_out(facts, images)
    summed = (CHANNELS, *covered(step, images, weight))
    if not layout.edges or not subject.experiments.gathers(facts.mode, step.index, images.id, layout, summed):
        return False
    grouped = weight.shape[1] < images.shape[1]
    axes = tuple(range(len(weight.shape))) if grouped else inputs_of(step, weight)
    return subject.experiments.varies(facts.mode, step.index, weight.id, axes)


def inputs_of(step: Step, weight: Operand) -> tuple[int, ...]:
    """Return the axes of a kernel along which its inputs differ."""
    outputs = 1 if "transpose" in step.short else 0
    return tuple(axis for axis in range(len(weight.shape)) if axis != outputs)


def covers_map(step: Step, images: Operand, weight: Operand) -> bool:
    """Tell whether a convolution has one output position, which sees every input position.

    Where it is known which axes are positions, these count alone: others may hold copies. The depth of a convolution in
    three dimensions is left out if it is none of them: an image has none, it may have any use.
    """
    seen = covered(step, images, weight)
    depth = max(len(images.shape) - IMAGE_AXES, 0)
    return seen.issuperset(range(2 + depth, len(images.shape))) or (images.is_map and seen.issuperset(images.axes))


def covered(step: Step, images: Operand, weight: Operand) -> frozenset[int]:
    """Return the axes behind the channels that a convolution leaves one position of, which sees all of the input's."""
    if not step.shapes or len(weight.shape) != len(images.shape):
        return frozenset()
    rows = zip(images.shape[2:], weight.shape[2:], *(options(step, name, images) for name in OPTIONS), strict=True)
    covers = transposed_covers if "transpose" in step.short else plain_covers
    return frozenset(axis for axis, row in enumerate(rows, 2) if step.shapes[0][axis] == 1 and covers(*row))


def options(step: Step, name: str, images: Operand) -> tuple[int, ...]:
    """Return an option of a convolution for each axis of what it is given."""
    count = len(images.shape) - 2
    given = integers(step.argument(name)) or (OPTIONS[name],)
    return given if len(given) == count else given[:1] * count


def plain_covers(extent: int, kernel: int, padding: int, dilation: int, stride: int) -> bool:
    return extent == 1 or (dilation == 1 and kernel - padding >= extent)


def transposed_covers(extent: int, kernel: int, padding: int, dilation: int, stride: int) -> bool:
    """Position i meets the tap at padding - i · stride."""
    return extent == 1 or (dilation == 1 and padding < kernel and padding >= (extent - 1) * stride)


def pointwise_convolutions(subject: Subject, facts: Facts) -> Iterator[Dense]:
    """Yield convolutions on a map of 1×1 that was pooled, not flattened."""
    for step in facts.live_steps("conv"):
        images, weight = step.operand("input"), step.operand("weight")
        if images is None or weight is None or not images.from_input or weight.from_input or over_flattened(images):
            continue
        if len(images.shape) > 2 and math.prod(images.shape[2:]) == 1 and weight.shape[1] > 1:
            message = "a 1×1 convolution on a 1×1 map computes what a linear layer computes"
            yield Dense(facts, step, message, f"{times(weight.shape[:2])} weights applied here", weight.size)
