"""Boxes of positions behind operators that compute from neighbours: convolution, pooling, padding, resampling."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from grader.checks._boxes import LOST, Back, Box, Interval, Lost
from grader.checks._layers import Convolution, convolution, meeting, per_axis, unpadded
from grader.facts import Facts, Operand, Shape, Step, integers
from grader.kinds import Kind


@dataclass(frozen=True, slots=True)
class Window:
    """What a window does along an axis: result i is computed from `stride` · i + `first` to `stride` · i + `last`."""

    stride: int
    first: int
    last: int

    def moved(self, by: int) -> Window:
        return Window(self.stride, self.first + by, self.last + by)

    def back(self, interval: Interval) -> Interval:
        return interval[0] * self.stride + self.first, interval[1] * self.stride + self.last


STILL = Window(1, 0, 0)


def slid(operand: Operand, shape: Shape, box: Box, windows: Sequence[Window]) -> Box | Lost:
    """Return the box behind windows over the last axes of an operand."""
    if all(window == STILL for window in windows):
        return box
    axes = last_axes(shape, len(windows))
    box = box.filled(shape, axes)
    if len(operand.shape) != len(shape) or box.axes != axes or not box.plain:
        return LOST
    intervals = tuple(window.back(interval) for window, interval in zip(windows, box.intervals, strict=True))
    return Box(axes, intervals, tuple(operand.shape[axis] for axis in axes))


def last_axes(shape: Shape, count: int) -> Shape:
    return tuple(range(len(shape) - count, len(shape)))


def window(kernel: int, stride: int, padding: int, dilation: int, extent: int, made: int) -> Window | None:
    """Return the window of the taps that meet a map of this extent; None where all of them meet nothing but padding."""
    taps = meeting(kernel, stride, padding, dilation, extent, made)
    return Window(stride, taps[0] * dilation - padding, taps[-1] * dilation - padding) if taps else None


def convolved(facts: Facts, step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    """Taps that meet nothing but padding are left out, its own and that of a node before it."""
    layer = convolution(step)
    if layer is None or operand.id != layer.images.id:
        return LOST  # an activation as a kernel
    if layer.transposed:
        return _transposed(layer, shape, box)
    inner = unpadded(facts, layer)
    columns = (inner.kernel, inner.stride, inner.padding, inner.dilation, inner.extents, inner.made)
    windows = [window(*row) for row in zip(*columns, strict=True)]
    before = map(operator.sub, inner.padding, layer.padding)
    known = [found.moved(by) for found, by in zip(windows, before, strict=True) if found is not None]
    return slid(operand, shape, box, known) if len(known) == len(windows) else None


def _transposed(layer: Convolution, shape: Shape, box: Box) -> Box | Lost | None:
    """Result i is made of all j with i = stride · j - padding + dilation · tap."""
    if box.axes != last_axes(shape, len(layer.kernel)) or not box.plain:
        return LOST
    intervals = []
    columns = (box.intervals, layer.kernel, layer.stride, layer.padding, layer.dilation)
    for (low, high), kernel, stride, padding, dilation in zip(*columns, strict=True):
        least = -((dilation * (kernel - 1) - low - padding) // stride)
        most = (high + padding) // stride
        if most < least:
            return None  # between two results that lie apart
        intervals.append((least, most))
    return Box(box.axes, tuple(intervals), layer.extents)


def pooled(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    count = next((int(letter) for letter in step.short if letter.isdecimal()), 2)
    if step.short.startswith("adaptive"):
        return _resized(step, operand, shape, box, _covering) if box.axes == last_axes(shape, count) else LOST
    kernel = per_axis(step, "kernel_size", count, 0)
    stride = integers(step.argument("stride")) and per_axis(step, "stride", count, 1)
    columns = (
        kernel,
        stride or kernel,
        per_axis(step, "padding", count, 0),
        per_axis(step, "dilation", count, 1),
        operand.shape[-count:],
        shape[-count:],
    )
    if min(kernel) < 1 or len(shape) < count:
        return LOST
    windows = [found for row in zip(*columns, strict=True) if (found := window(*row)) is not None]
    return slid(operand, shape, box, windows) if len(windows) == count else LOST


def padded(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    given = integers(step.argument("pad"))
    before = [given[place] if (place := 2 * (len(shape) - 1 - axis)) < len(given) else 0 for axis in box.axes]
    if not given or not (box.plain or not any(before)):
        return LOST
    pairs = zip(box.intervals, before, strict=True) if box.plain else ((interval, 0) for interval in box.intervals)
    intervals = tuple((low - less, high - less) for (low, high), less in pairs)
    return Box(box.axes, intervals, tuple(operand.shape[axis] for axis in box.axes) if box.plain else box.extents)


# From a node, an axis, its extents before and after, and an interval after, to the interval before.
Resize = Callable[[Step, int, int, int, Interval], "Interval | None"]


def _resized(step: Step, operand: Operand, shape: Shape, box: Box, through: Resize) -> Box | Lost:
    """Return the box behind a change of extents, axis by axis."""
    if len(operand.shape) != len(shape) or not box.plain or 0 in (*operand.shape, *shape):
        return LOST
    rows = [(axis, operand.shape[axis], shape[axis]) for axis in box.axes]
    pairs = zip(rows, box.intervals, strict=True)
    intervals = [found for row, interval in pairs if (found := through(step, *row, interval)) is not None]
    extents = tuple(operand.shape[axis] for axis in box.axes)
    return Box(box.axes, tuple(intervals), extents) if len(intervals) == len(rows) else LOST


def _covering(step: Step, axis: int, extent: int, made: int, interval: Interval) -> Interval:
    """Result i of m is the mean of positions from i·n/m, rounded down, to (i+1)·n/m, rounded up, without that one."""
    return interval[0] * extent // made, -(-(interval[1] + 1) * extent // made) - 1


# How far an interpolation reads before and after the position that it falls on, rounded down.
REACH = {"linear": (0, 1), "bilinear": (0, 1), "trilinear": (0, 1), "bicubic": (-1, 2)}
FIXED_MODES = {"upsample_nearest": "nearest", "upsample_bilinear": "bilinear"}


def _interpolated(step: Step, axis: int, extent: int, made: int, interval: Interval) -> Interval | None:
    mode = FIXED_MODES.get(step.short) or step.argument("mode") or "nearest"
    if mode == "area":  # adaptive pooling by another name
        return _covering(step, axis, extent, made, interval)
    if not _is_even(step, extent, made) or step.argument("antialias"):
        return None
    if mode in ("nearest", "nearest-exact"):
        half = 1 if mode == "nearest-exact" else 0
        low, high = ((2 * place + half) * extent // (2 * made) for place in interval)
        return low, high
    if mode not in REACH:
        return None
    before, after = REACH[mode]
    corners = step.short == "upsample_bilinear" or bool(step.argument("align_corners"))
    (low, _), (high, exact) = (_fallen(place, extent, made, corners) for place in interval)
    return low + before, high + (0 if exact and mode != "bicubic" else after)


def _fallen(place: int, extent: int, made: int, corners: bool) -> tuple[int, bool]:
    """Return the position that a result falls on, rounded down, and whether it falls on it exactly."""
    top, bottom = (place * (extent - 1), max(made - 1, 1)) if corners else ((2 * place + 1) * extent - made, 2 * made)
    return top // bottom, top % bottom == 0


def _is_even(step: Step, extent: int, made: int) -> bool:
    """Tell whether a scale, if one was given, is that of the extents: torch computes with the scale."""
    argument = step.argument("scale_factor")
    items = getattr(argument, "items", (argument,))
    scales = [item for item in items if isinstance(item, (int, float))]
    recomputed = step.argument("recompute_scale_factor")
    return not scales or bool(recomputed) or any(extent * scale == made for scale in scales)


def _shuffled(step: Step, axis: int, extent: int, made: int, interval: Interval) -> Interval:
    times = made // extent
    return interval[0] // times, interval[1] // times


def _unshuffled(step: Step, axis: int, extent: int, made: int, interval: Interval) -> Interval:
    times = extent // made
    return interval[0] * times, interval[1] * times + times - 1


def _flipped(step: Step, axis: int, extent: int, made: int, interval: Interval) -> Interval:
    rank = len(step.operands[0].shape)
    given = integers(step.argument("dims")) + tuple(number for item in step.node.args[2:] for number in integers(item))
    dims = {"fliplr": (1,), "flipud": (0,)}.get(step.short, given)
    turned = axis in {dim % rank for dim in dims}
    return (extent - 1 - interval[1], extent - 1 - interval[0]) if turned else interval


RESAMPLERS: dict[str, Resize] = {
    **dict.fromkeys(("interpolate", "upsample", "upsample_nearest", "upsample_bilinear"), _interpolated),
    "pixel_shuffle": _shuffled,
    "pixel_unshuffle": _unshuffled,
    **dict.fromkeys(("flip", "fliplr", "flipud"), _flipped),
}


def resampled(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    through = RESAMPLERS.get(step.short)
    return LOST if through is None else _resized(step, operand, shape, box, through)


WINDOWS: dict[Kind, Back] = {
    "avg-pool": pooled,
    "max-pool": pooled,
    "pad": padded,
    "resample": resampled,
}
