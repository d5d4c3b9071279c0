"""Products and sums by hand: a linear layer written with `*` and `sum`, with additions, or with pooling as the sum."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from grader.checks._subject import Route
from grader.facts import Facts, Operand, Step, integers
from grader.graph import Ref

PRODUCTS = frozenset(
    "mul multiply div divide true_divide __rdiv__ __rtruediv__ __rmul__ addcmul addcdiv prelu lerp xlogy".split()
)
NEUTRAL = {"prelu": -1.0, "xlogy": math.e}  # what an activation is replaced by, so that the weights are left; else 1
OFFSETS = frozenset("add sub subtract __rsub__ rsub __radd__".split())
ENOUGH = 2  # parts that lead to a node: more tell nothing more
SQUARES = frozenset("square pow __pow__ abs absolute".split())
SUMS = frozenset("sum mean nansum nanmean cumsum".split())
CARRIES = frozenset(("reshape", "permute", "expand", "copy", "dropout", "pad", "join", "index", "avg-pool", "resample"))
BLENDS = frozenset(("avg-pool", "resample"))  # which weigh positions themselves
EACH = frozenset(("activation", "reshape", "permute", "expand", "copy"))  # kinds that take each number by itself
LAST_AXES = frozenset(("layer_norm", "rms_norm"))  # whose weights stand along the last axes, those of others along 1
PLACES = {"torch.instance_norm": 1, "torch.nn.functional.instance_norm": 3}  # of the weights, which others have at 2
IsSteady = Callable[[Step, Operand], bool]


@dataclass
class Behind:
    """What lies behind a sum.

    `fills` tells, for each node on the way, which operands to replace by one number so that only the weights are left;
    `scales` are the normalisations that stand for their weights, `sources` the products with their weights.
    `bends` are the activations on the way, `blends` whether positions are mixed there, `merges` whether several of its
    parts meet before the sum.
    """

    fills: dict[int, dict[int, float]] = field(default_factory=dict)
    scales: dict[int, int] = field(default_factory=dict)
    sources: list[tuple[Step, Operand]] = field(default_factory=list)
    bends: list[int] = field(default_factory=list)
    blends: bool = False
    merges: bool = False

    def route(self, sink: Step, summed: Operand, axes: tuple[int, ...]) -> Route:
        weights = {step.index: weight.id for step, weight in self.sources} if self.blends else {}
        return Route(self.fills, self.scales, weights, sink.index, summed.id, axes)


def behind(facts: Facts, operand: Operand, is_steady: IsSteady, bent: Collection[int] = ()) -> Behind:
    """Return the products that reach an operand through views, joins, offsets, scales and what is not `bent`.

    A factor that `is_steady`, the same for all images, is weights, wherever it comes from.
    """
    found = Behind()
    squared = _passed(facts, operand, bent)
    for index in sorted(squared):  # writers come before what reads them
        step = facts.steps[index]
        inside = [given for given in step.operands if given.from_input]
        carried = [given for given in inside if any(writer in found.fills for writer in given.writers)]
        weights = [given for given in step.operands if not given.from_input and given.size > 1]
        if not weights and not carried and is_product(step) and len(inside) > 1:
            weights = [given for given in inside if is_steady(step, given)][:1]
        is_source = bool(weights) and (is_product(step) or (is_offset(step) and squared[index]))
        scale = position_scale(step)
        if scale is not None:
            found.sources.append((step, scale))
            found.scales[index] = scale.id
            found.fills[index] = {}
            continue
        if carried:
            found.bends.extend([index] if step.kind == "activation" else [])
            found.blends = found.blends or step.kind in BLENDS or (step.kind == "conv" and not _is_pointwise(step))
            found.merges = found.merges or len(carried) > 1
        if is_source:
            found.sources.append((step, max(weights, key=lambda given: given.size)))
        if is_source or carried:
            found.fills[index] = dict(_fills(step, [*carried, *weights], squared[index]))
    return found


def scales_channels(facts: Facts, found: Behind, operand: Operand, axes: tuple[int, ...]) -> bool:
    """Tell whether products have one weight for all positions of a map, which stay apart from channels up to the sum.

    A zero border then makes a channel's numbers differ from place to place, and no weight does.
    """
    way = [facts.steps[index] for index in found.fills]
    return (
        set(axes) <= set(operand.axes)
        and all(_is_by_channel(step, weight) for step, weight in found.sources)
        and not any(_adds_positions(step) and (found.merges or step.kind != "pad") for step in way)
    )


def _is_by_channel(step: Step, weight: Operand) -> bool:
    given = [operand for operand in step.operands if operand.from_input]
    if position_scale(step) is not None or not step.makes_map or any(operand.flattened for operand in given):
        return False
    if step.kind == "conv" or step.plain == "prelu":  # which have a weight for each channel, on axis 1
        return not any(1 in operand.axes for operand in given)
    ends = [axis - len(step.shapes[0]) for axis in step.axes[0]]
    return all(weight.shape[end] == 1 for end in ends if -end <= len(weight.shape))


def _adds_positions(step: Step) -> bool:
    """Tell whether a node returns a larger map than it is given, beside which there may be another one's."""
    if step.kind in ("reshape", "permute") or not step.makes_map:
        return False
    made = [step.shapes[0][axis] for axis in step.axes[0]]
    maps = [[given.shape[axis] for axis in given.axes] for given in step.operands if given.from_input and given.axes]
    return any(len(one) != len(made) or any(map(operator.lt, one, made)) for one in maps)


def position_scale(step: Step) -> Operand | None:
    """Return the weights of a normalisation that has one for each position, None where it has none."""
    weight = step.operand("weight") if step.kind == "batch-norm" else _given(step)
    if weight is None or weight.from_input or not step.operands:
        return None
    images = step.operands[0]
    if step.short in LAST_AXES:
        own = {len(images.shape) - 1 - place for place, extent in enumerate(reversed(weight.shape)) if extent > 1}
        return weight if len(own) > 1 or own & set(images.axes) else None
    return weight if images.flattened or 1 in images.axes else None


def _given(step: Step) -> Operand | None:
    """Return the weights of a normalisation, which torch takes by place or by name."""
    if step.kind != "norm":
        return None
    place = PLACES.get(step.node.op, 2)
    argument = step.node.args[place] if len(step.node.args) > place else step.node.kwargs.get("weight")
    return next((each for each in step.operands if isinstance(argument, Ref) and each.id == argument.id), None)


def _passed(facts: Facts, operand: Operand, bent: Collection[int]) -> dict[int, bool]:
    """Return the nodes on the way back from an operand, and whether what they return is squared later."""
    found: dict[int, bool] = {}
    stack = [(index, False) for index in operand.writers]
    while stack:
        index, squared = stack.pop()
        step = facts.steps[index]
        passes = carries(step) or is_product(step) or is_offset(step) or step.plain in SQUARES
        passes = passes or position_scale(step) is not None or (step.kind == "activation" and index not in bent)
        if not passes or (index in found and found[index] >= squared):
            continue
        found[index] = squared
        if position_scale(step) is not None:
            continue
        further = squared or step.plain in SQUARES
        stack.extend((writer, further) for given in step.operands if given.from_input for writer in given.writers)
    return found


def _fills(step: Step, kept: list[Operand], squared: bool) -> Iterator[tuple[int, float]]:
    """Yield what to put in place of operands that are not `kept`, so that a node hands on weights alone."""
    neutral = 0.0 if is_offset(step) else NEUTRAL.get(step.plain, 1.0)
    for given in step.operands:
        is_bias = step.kind == "conv" and given == step.operand("bias")
        if given.from_input and given not in kept:
            yield given.id, neutral
        elif not given.from_input and (is_bias or (is_offset(step) and not squared)):
            yield given.id, 0.0


def carries(step: Step) -> bool:
    """Tell whether a node hands its numbers on, at most negated, scaled by one number, or mixed within a position."""
    if step.kind == "conv":
        weight = step.operand("weight")
        if weight is None or weight.from_input:
            return False
        return _is_pointwise(step) or _is_depthwise(weight)
    return step.kind in CARRIES or step.plain in ("neg", "negative")


def is_product(step: Step) -> bool:
    """Tell whether a node multiplies element by element; a depthwise 1×1 convolution does."""
    if step.kind == "conv":
        weight = step.operand("weight")
        return weight is not None and _is_depthwise(weight) and _is_pointwise(step) and carries(step)
    return step.kind == "arithmetic" and step.plain in PRODUCTS


def _is_pointwise(step: Step) -> bool:
    weight = step.operand("weight")
    return weight is not None and math.prod(weight.shape[2:]) == 1


def _is_depthwise(weight: Operand) -> bool:
    return weight.shape[1] == 1 < weight.shape[0]


def is_offset(step: Step) -> bool:
    return step.kind == "arithmetic" and step.plain in OFFSETS


def summed_by(step: Step) -> tuple[Operand, tuple[int, ...]] | None:
    """Return the operand that a node sums, and the axes that it sums over; None where a map is left."""
    given = [operand for operand in step.operands if operand.from_input]
    if len(given) != 1 or step.makes_map or not step.shapes:
        return None
    operand = given[0]
    axes = _summed_axes(step, operand)
    return (operand, axes) if axes else None


def _summed_axes(step: Step, operand: Operand) -> tuple[int, ...]:
    count = len(operand.shape)
    if step.kind == "reduce" and step.short in SUMS and count:
        return tuple(axis % count for axis in integers(step.argument("dim"))) or tuple(range(1, count))
    if step.kind in ("avg-pool", "resample", "conv") and len(step.shapes[0]) == count:
        return tuple(axis for axis in range(2, count) if step.shapes[0][axis] < operand.shape[axis])
    if step.kind == "dense" and step.short == "einsum" and len(step.operands) == 1:
        equation = step.node.args[0] if step.node.args else ""
        left, _, right = str(equation).replace(" ", "").partition("->")
        return tuple(axis for axis, label in enumerate(left) if label not in right)
    if step.kind == "dense" and count:
        left_operand = step.operand("input")
        return (count - 1 if left_operand is None or left_operand.id == operand.id else max(count - 2, 0),)
    return ()


def written_out(facts: Facts, step: Step) -> list[tuple[Step, Operand]]:
    """Return the products of a sum written with additions, where each has a part of an activation of its own."""
    inside = [operand for operand in step.operands if operand.from_input]
    if not (is_offset(step) or step.plain == "addcmul") or step.makes_map or len(inside) < 2:
        return []
    found: dict[tuple[int, int, int], tuple[Step, Operand]] = {}
    stack: list[tuple[Step, int]] = [(step, -1)]  # nodes, each with the part of an activation that led there
    seen: dict[int, set[int]] = {}
    while stack:
        current, part = stack.pop()
        parts = seen.setdefault(current.index, set())
        if part in parts or len(parts) > ENOUGH:
            continue
        parts.add(part)
        given = [operand for operand in current.operands if operand.from_input]
        weights = [operand for operand in current.operands if not operand.from_input]
        if is_product(current) and weights:
            before = next((operand.id for operand in given if _is_part(facts, operand)), -1)
            if max(before, part) >= 0:
                found[current.index, before, part] = (current, weights[0])
        if carries(current) or is_product(current) or is_offset(current):
            for operand in given:
                inner = operand.id if _is_part(facts, operand) else part
                stack.extend((facts.steps[index], inner) for index in operand.writers)
    return list(found.values()) if len(found) > 1 else []


def _is_part(facts: Facts, operand: Operand) -> bool:
    """Tell whether an operand was taken out of a larger tensor, whatever became of each of its numbers."""
    stack, seen = list(operand.writers), set()
    while stack:
        step = facts.steps[stack.pop()]
        if step.kind == "index":
            return True
        if step.index not in seen and step.kind in EACH:
            seen.add(step.index)
            stack.extend(writer for given in step.operands for writer in given.writers)
    return False
