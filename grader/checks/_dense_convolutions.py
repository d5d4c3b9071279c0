"""Convolutions that compute what a linear layer computes.

These are as large as their map, have positions as their channels, or run along the numbers that pooling left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from grader.checks._dense import Dense, is_steady
from grader.checks._laid import laid_out
from grader.checks._subject import Subject, times
from grader.facts import Facts, Operand, Step, integers
from grader.layout import CHANNELS, over_flattened

OPTIONS = {"padding": 0, "dilation": 1, "stride": 1}
IMAGE_AXES = 4  # of a batch of images
FEW = 4  # numbers along an axis: the mean and the maximum beside each other, and the like
MOST = 2 / 3  # of an axis: a kernel that sees less weighs neighbours, as channel attention does


def convolution(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a convolution that maps a whole map, or a flattened one, to 1×1, or whose kernel is the activation."""
    images, weight = step.operand("input"), step.operand("weight")
    if images is None or weight is None:
        return None
    if weight.from_input and not is_steady(subject, facts, step, weight):
        if images.from_input and not is_steady(subject, facts, step, images):
            return None
        message = "a convolution with an activation as its kernel weights that activation like a linear layer"
        return Dense(facts, step, message, f"{times(images.shape)} weights applied here", images.size)
    label = f"{times(weight.shape)} weights applied here"
    folded = images.shape[0] > facts.batch  # rows or columns as images of their own
    along = sees_most(step, images, weight)
    if (folded or not over_flattened(images)) and not covers_map(step, images, weight) and not along:
        return over_positions(subject, facts, step, images, weight, label)
    if not subject.experiments.varies(facts.mode, step.index, weight.id, inputs_of(step, weight)):
        return None
    if over_flattened(images):
        shape = times(images.shape[1:])
        message = f"a convolution over a flattened map ({shape}) is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if along:
        message = f"a convolution along the {images.size // facts.batch:,} numbers that pooling left is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if math.prod(images.shape[2:]) > 1:
        shape = times(images.shape[2:])
        return Dense(facts, step, f"a convolution as large as its {shape} map is a linear layer", label, weight.size)
    return over_positions(subject, facts, step, images, weight, label)


def over_positions(
    subject: Subject, facts: Facts, step: Step, images: Operand, weight: Operand, label: str
) -> Dense | None:
    """Find a convolution whose channels are positions of a map."""
    if not among_channels(subject, facts, step, images, weight):
        return None
    message = "a convolution with positions of a map as its channels is a linear layer"
    return Dense(facts, step, message, label, weight.size)


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


def sees_most(step: Step, images: Operand, weight: Operand) -> bool:
    """Tell whether what pooling left of a map lies along an axis, and a result is computed from most of that."""
    if not images.single or len(weight.shape) != len(images.shape):
        return False
    gaps = options(step, "stride" if "transpose" in step.short else "dilation", images)
    rows = zip(images.shape[2:], weight.shape[2:], gaps, strict=True)
    if "transpose" in step.short:
        return any(extent > FEW and kernel // gap >= MOST * extent for extent, kernel, gap in rows)
    return any(extent > FEW and min(kernel, -(-extent // gap)) >= MOST * extent for extent, kernel, gap in rows)


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
        alone = len(images.shape) > 2 and math.prod(images.shape[2:]) == 1
        alone = alone or (images.single and images.size == facts.batch * weight.shape[1])  # images laid along an axis
        if alone and weight.shape[1] > 1:
            message = "a 1×1 convolution on a 1×1 map computes what a linear layer computes"
            yield Dense(facts, step, message, f"{times(weight.shape[:2])} weights applied here", weight.size)
