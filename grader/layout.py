"""Which axes of a tensor are the positions of a map: followed through a program by kind of operator.

A tensor is a *map* while its spatial axes are known. What loses track (an unusual reshape, a crop, attention) only
makes the part of the graph larger that the pooling check treats as a black box and tests by running it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from grader.facts import Operand, Shape, integers, named_arguments
from grader.graph import Items, Node, Slice, Symbol
from grader.kinds import Kind, plain

SAME_SHAPE: frozenset[Kind] = frozenset(
    (
        "batch-norm",
        "norm",
        "dropout",
        "activation",
        "softmax",
        "arithmetic",
        "compare",
        "copy",
        "write",
        "pad",
        "resample",
    )
)


def output_axes(kind: Kind, node: Node, operands: Sequence[Operand], shape: Shape) -> Shape:
    """Return the spatial axes of an output of this shape; empty where it is no map."""
    if all_single(kind, operands):
        return ()
    if kind == "conv":
        return _convolved(operands[0], shape) if operands else ()
    source = _source(operands[:1] if kind in ONE_SOURCE else operands, shape)
    if source is None or _singles_out(kind, node, source, operands):
        return ()
    if kind in ("avg-pool", "max-pool"):
        return _pooled(kind, source, shape)
    if kind == "permute":
        return _permuted(node, source)
    if kind == "reshape":
        return _reshaped(source, shape)
    if kind == "reduce":
        return _reduced(node, source, shape)
    if kind == "dense":
        return _kept(source, shape) if sum(operand.from_input for operand in operands) == 1 else ()
    if kind in SAME_SHAPE:
        return source.axes if len(shape) == len(source.shape) else ()
    if kind == "index" and _keeps_most(source, shape):
        return source.axes
    return _kept(source, shape) if kind in ("index", "join", "expand") else ()


def mixes_positions(kind: Kind, operands: Sequence[Operand], shape: Shape, is_map: bool) -> bool:
    """Tell whether an output that is no map holds positions of a map along its other axes."""
    if kind == "conv":
        return bool(operands) and over_flattened(operands[0])
    if is_map or kind in ("avg-pool", "max-pool", "reduce", "dense", "attention", "recurrent"):
        return False
    if any(operand.flattened for operand in operands):
        return True
    if kind == "index":  # a crop keeps positions where they belong
        return any(operand.is_map and not _crops(operand, shape) for operand in operands)
    return kind in ("reshape", "resample", "unfold", "permute") and any(operand.is_map for operand in operands)


def all_single(kind: Kind, operands: Sequence[Operand]) -> bool:
    """Tell whether all that a node reads of an image has one position alone: what it makes of that is no map."""
    given = [operand for operand in (operands[:1] if kind in ONE_SOURCE else operands) if operand.from_input]
    return bool(given) and all(operand.single for operand in given)


def leaves_single(kind: Kind, operands: Sequence[Operand], shape: Shape, is_map: bool) -> bool:
    """Tell whether an output has one position alone, or copies of it: pooled, picked or laid out in channels."""
    if all_single(kind, operands) or (kind == "attention" and operands[0].single):
        return True
    if is_map or kind not in USES_UP:
        return False
    one = len(shape) > 2 and math.prod(shape[2:]) == 1
    short = len(shape) <= 2 and (kind == "reduce" or (kind == "index" and any(operand.is_map for operand in operands)))
    return one or short


def over_flattened(images: Operand) -> bool:
    """Tell whether a convolution runs along positions, or channels of positions, that were laid out in one row."""
    return images.flattened and (len(images.shape) == 3 or min(images.shape[2:], default=1) == 1)


def _crops(operand: Operand, shape: Shape) -> bool:
    return len(shape) == len(operand.shape) and all(
        shape[axis] > 1 or operand.shape[axis] == 1 for axis in operand.axes
    )


def writes_channels(node: Node, operands: Sequence[Operand]) -> bool:
    """Tell whether a node writes maps, or one number, over channels of a map, at all of its positions."""
    target, *given = operands
    index = node.args[1] if node.op.endswith(".__setitem__") else None
    items = index.items if isinstance(index, Items) else (index,)
    used = [item for item in items if item != ELLIPSIS]
    if not target.axes or not all(type(item) in (int, Slice) for item in used):
        return False
    before = items.index(ELLIPSIS) if ELLIPSIS in items else len(items)
    rest = len(target.shape) - len(used)
    picked = {place + rest * (place >= before): item for place, item in enumerate(used)}
    everywhere = all(picked.get(axis, WHOLE) == WHOLE for axis in target.axes)
    return everywhere and all(each.axes == target.axes or each.size == 1 for each in given)


ELLIPSIS = Symbol("...")
WHOLE = Slice(None, None, None)


def _keeps_most(source: Operand, shape: Shape) -> bool:
    """Tell whether more than half of a map is left along each of its axes, as where it is shifted by slices."""
    pairs = [(source.shape[axis], shape[axis]) for axis in source.axes] if len(shape) == len(source.shape) else []
    return bool(pairs) and all(before < 2 * after for before, after in pairs)


def _source(operands: Sequence[Operand], shape: Shape) -> Operand | None:
    """Return the map that gives the output its positions: one of the output's own shape before any other."""
    maps = [operand for operand in operands if operand.axes and operand.from_input]
    same = [operand for operand in maps if operand.shape == shape]
    return next(iter(same or maps), None)


CHANNELS = 1  # the axis of a convolution's channels
ONE_SOURCE: frozenset[Kind] = frozenset(("reshape", "permute", "expand", "index"))
USES_UP: frozenset[Kind] = frozenset(
    ("conv", "avg-pool", "max-pool", "reduce", "index", "reshape", "permute", "resample")
)
SELECTS = frozenset("mul multiply __rmul__ div divide true_divide where masked_fill addcmul copysign".split())


def _singles_out(kind: Kind, node: Node, source: Operand, operands: Sequence[Operand]) -> bool:
    """Tell whether positions get weights of their own: a mean that follows is then no mean of the map."""
    short = plain(node.op.rpartition(".")[2])
    if kind == "softmax" or short in ("cumsum", "cumprod"):
        return _over_positions(node, source)
    if short == "einsum":
        return _labels_positions(node, source, operands)
    return kind == "arithmetic" and short in SELECTS and any(map(_weights_positions(source), operands))


def _over_positions(node: Node, source: Operand) -> bool:
    dims = integers(named_arguments(node).get("dim"))
    return any(dim % len(source.shape) in source.axes for dim in dims)


def _labels_positions(node: Node, source: Operand, operands: Sequence[Operand]) -> bool:
    """Tell whether an einsum has factors that stand along the positions of a map, and no map themselves."""
    equation = node.args[0] if node.args else ""
    left = equation.partition("->")[0].replace(" ", "").split(",") if isinstance(equation, str) else []
    labels = dict(zip([operand.id for operand in operands], left, strict=False))
    own = labels.get(source.id, "")
    if len(own) != len(source.shape):
        return False
    positions = {own[axis] for axis in source.axes}
    return any(positions & set(labels.get(operand.id, "")) for operand in operands if not operand.from_input)


def _weights_positions(source: Operand) -> Callable[[Operand], bool]:
    """Return what tells whether a factor that is no map gives each position its own weight."""
    count = len(source.shape)

    def weights(operand: Operand) -> bool:
        aligned = [axis - count for axis in source.axes if count - axis <= len(operand.shape)]
        return not (operand.from_input and operand.axes) and any(operand.shape[axis] > 1 for axis in aligned)

    return weights


def _kept(source: Operand, shape: Shape) -> Shape:
    """Keep the axes where the number of axes and their extents are as before."""
    kept = len(shape) == len(source.shape) and all(shape[axis] == source.shape[axis] for axis in source.axes)
    return source.axes if kept else ()


def _convolved(images: Operand, shape: Shape) -> Shape:
    """A convolution uses up positions that are its channels."""
    axes = images.axes if CHANNELS in images.axes else range(len(shape))
    return () if over_flattened(images) else tuple(axis for axis in axes if axis > CHANNELS)


def _pooled(kind: Kind, source: Operand, shape: Shape) -> Shape:
    """Max pooling that uses one axis up is part of the head: what follows it no longer averages a map."""
    if len(shape) != len(source.shape):
        return ()
    used_up = any(shape[axis] == 1 < source.shape[axis] for axis in source.axes)
    return () if kind == "max-pool" and used_up else source.axes


def _permuted(node: Node, source: Operand) -> Shape:
    count = len(source.shape)
    order = axis_order(node, count)
    if order is None or sorted(order) != list(range(count)):
        return ()
    return tuple(sorted(order.index(axis) for axis in source.axes))


def axis_order(node: Node, count: int) -> list[int] | None:
    """Return the old axis of each new one, None where it can't be told."""
    short = node.op.rpartition(".")[2]
    found = named_arguments(node)
    if "shuffle" in short:
        return list(range(count))
    if short == "permute":
        given = integers(found.get("dims")) if len(node.args) <= 2 else integers_of(node)
        return [axis % count for axis in given]
    if short in ("transpose", "transpose_", "swapaxes", "swapdims"):
        pair = integers(found.get("dim0")) + integers(found.get("dim1"))
        order = list(range(count))
        if len(pair) == 2:
            first, second = (axis % count for axis in pair)
            order[first], order[second] = second, first
            return order
    if short in ("movedim", "moveaxis"):
        old, new = integers(found.get("dims")), integers(found.get("destination"))
        if len(old) == 1 == len(new):
            order = [axis for axis in range(count) if axis != old[0] % count]
            order.insert(new[0] % count, old[0] % count)
            return order
    return None


def integers_of(node: Node) -> tuple[int, ...]:
    """Return the integers given after the tensor, as in x.permute(0, 2, 3, 1)."""
    return tuple(number for argument in node.args[1:] for number in integers(argument))


def _reshaped(source: Operand, shape: Shape) -> Shape:
    """Find the block of output axes that holds exactly the positions, with the same extents before and after it."""
    first, last = source.axes[0], source.axes[-1]
    if last - first + 1 != len(source.axes):
        return ()
    before = math.prod(source.shape[:first])
    positions = math.prod(source.shape[first : last + 1])
    for start in range(len(shape)):
        for stop in range(start + 1, len(shape) + 1):
            if math.prod(shape[:start]) == before and math.prod(shape[start:stop]) == positions:
                return tuple(range(start, stop))
    return ()


def _reduced(node: Node, source: Operand, shape: Shape) -> Shape:
    """Keep the positions where only other axes were reduced."""
    count = len(source.shape)
    if shape == source.shape:
        return source.axes
    given = named_arguments(node).get("dim")
    gone = {axis % count for axis in integers(given)}
    if not gone or gone & set(source.axes):
        return ()
    if len(shape) == count:
        return source.axes
    return tuple(axis - sum(lost < axis for lost in gone) for axis in source.axes)
