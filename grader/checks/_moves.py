"""Boxes of positions behind operators that compute nothing from neighbours: these only move, drop or add axes."""

from __future__ import annotations

from collections.abc import Iterator

from grader.checks._boxes import LOST, Back, Box, Lost, moved, regridded
from grader.checks._summed import summed_axes
from grader.facts import Operand, Shape, Step, integers
from grader.graph import Arg, Items, Ref, Size, Slice, Symbol
from grader.kinds import Kind
from grader.layout import axis_order


def aligned(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    """Element by element: shapes are aligned at their ends."""
    shift = len(shape) - len(operand.shape)
    if shift < 0:
        return LOST
    return moved(operand, shape, box, tuple(axis - shift if axis >= shift else -1 for axis in box.axes))


def reshaped(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    return regridded(operand, shape, box)


def permuted(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    order = axis_order(step.node, len(shape))
    if order is None or len(order) != len(shape):
        return LOST
    olds = [order[axis] for axis in box.axes]
    if not box.plain:
        return box.at((olds[0],)) if len(olds) == 1 else LOST
    rows = sorted(zip(olds, box.intervals, box.extents, strict=True))
    return Box(*(tuple(column) for column in zip(*rows, strict=True)))


def reduced(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    count = len(operand.shape)
    given = integers(step.argument("dim"))
    if step.plain in ALONG and (given or (-1,))[0] % count in box.axes:
        return LOST
    gone = sorted({axis % count for axis in given})
    if len(shape) == count:
        return moved(operand, shape, box, box.axes)
    if len(shape) != count - len(gone):
        return LOST
    return moved(operand, shape, box, with_axes(gone, box.axes))


ALONG = frozenset("cumsum cumprod cummax cummin logcumsumexp sort argsort topk".split())  # use all along an axis


def with_axes(added: list[int], axes: Shape) -> Shape:
    """Return the numbers that axes have in a tensor with further axes, at these places."""
    for place in added:
        axes = tuple(axis + (axis >= place) for axis in axes)
    return axes


def joined(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    """Tensors joined along positions are not followed; along other axes they keep theirs."""
    if len(operand.shape) == len(shape):
        return moved(operand, shape, box, box.axes) or LOST
    if step.short != "stack":
        return LOST
    place = (integers(step.argument("dim")) or (0,))[0] % len(shape)
    if place in box.axes:
        return LOST
    return moved(operand, shape, box, tuple(axis - (axis > place) for axis in box.axes))


def mixed(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    """A matrix product keeps positions where it sums over another axis."""
    if len(operand.shape) != len(shape) or sum(given.from_input for given in step.operands) != 1:
        return LOST
    count = len(operand.shape)
    summed = (count - 1,) if step.short == "linear" else summed_axes(step, operand)
    if step.short not in ("linear", "matmul", "__matmul__", "__rmatmul__", "bmm") or set(summed) & set(box.axes):
        return LOST
    return moved(operand, shape, box, box.axes)


def expanded(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    return LOST if step.short == "repeat_interleave" else aligned(step, operand, shape, box)


def picked(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    if step.short == "__getitem__":
        return _sliced(step, operand, shape, box)
    if step.short in ("select", "unbind") and len(shape) == len(operand.shape) - 1:
        place = (integers(step.argument("dim")) or (0,))[0] % len(operand.shape)
        return moved(operand, shape, box, with_axes([place], box.axes))
    if step.short in CUTS and len(shape) == len(operand.shape):
        return moved(operand, shape, box, box.axes) or LOST
    return LOST


CUTS = frozenset(
    "narrow chunk split tensor_split split_with_sizes unsafe_chunk unsafe_split hsplit vsplit dsplit".split()
)


def _sliced(step: Step, operand: Operand, shape: Shape, box: Box) -> Box | Lost | None:
    """Slices of positions shift a box, or stretch it by their steps."""
    rows = list(slice_sources(step, operand))
    if len(rows) != len(shape) or (not box.plain and any(rows[axis][1:] != (0, 1) for axis in box.axes)):
        return LOST
    sources = [rows[axis] for axis in box.axes]
    axes = tuple(axis for axis, _, _ in sources)
    if min(axes) < 0:
        return LOST
    if not box.plain:
        return box.at(axes)
    pairs = zip(box.intervals, sources, strict=True)
    intervals = tuple((low * by + start, high * by + start) for (low, high), (_, start, by) in pairs)
    return Box(axes, intervals, tuple(operand.shape[axis] for axis in axes))


def slice_sources(step: Step, operand: Operand) -> Iterator[tuple[int, int, int]]:
    """Yield, for each axis of a result, the axis that it was taken from, with start and step; an axis of -1 is new."""
    given = step.node.args[1] if len(step.node.args) > 1 else None
    items = given.items if isinstance(given, Items) else (given,)
    if any(isinstance(item, (Ref, Items, bool)) for item in items):
        return  # positions picked by number
    used = sum(isinstance(item, (int, Size, Slice)) for item in items)
    rest = len(operand.shape) - used
    if not any(item == Symbol("...") for item in items):
        items = (*items, Symbol("..."))
    axis = 0
    for item in items:
        if item is None:
            yield -1, 0, 1
        elif isinstance(item, Symbol):
            yield from ((axis + place, 0, 1) for place in range(rest))
            axis += rest
        else:
            if isinstance(item, Slice):
                yield axis, _start(item.start, operand.shape[axis]), _whole(item.step, 1)
            axis += 1


def _start(bound: Arg, extent: int) -> int:
    start = _whole(bound, 0)
    return max(start + extent, 0) if start < 0 else min(start, extent)


def _whole(bound: Arg, default: int) -> int:
    return bound if isinstance(bound, int) else default


MOVES: dict[Kind, Back] = {
    **dict.fromkeys(
        ("batch-norm", "norm", "dropout", "activation", "softmax", "arithmetic", "compare", "copy"),
        aligned,
    ),
    "reshape": reshaped,
    "permute": permuted,
    "reduce": reduced,
    "join": joined,
    "dense": mixed,
    "expand": expanded,
    "index": picked,
}
