"""Linear layers: products of an activation and learned weights, by one operator or by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from grader.checks._products import (
    OFFSETS,
    behind,
    is_product,
    position_scale,
    scales_channels,
    summed_by,
    written_out,
)
from grader.checks._subject import Subject, times
from grader.checks._summed import factors, summed_axes
from grader.facts import Facts, Operand, Step

DISTANCES = frozenset(("cosine_similarity", "pairwise_distance"))


@dataclass(frozen=True)
class Dense:
    """A linear layer that was found: where, what to call it, and its weights."""

    facts: Facts
    step: Step
    message: str
    label: str = ""
    size: int = 0
    fix: str = ""


def product(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a matrix product of an activation and weights that differ along the axes that are summed."""
    given = factors(step)
    weights = [operand for operand in given if not operand.from_input or is_scaled(facts, step, operand)]
    if not weights and len(given) > 1:
        steady = subject.experiments.steady
        weights = [each for each in given if steady(facts.mode, step.index, each.id, summed_axes(step, each))]
    if not weights or len(weights) == len(given):
        return None
    weight = max(weights, key=lambda operand: operand.size)
    axes = summed_axes(step, weight)
    if math.prod(weight.shape[axis] for axis in axes) <= 1:
        if step.short != "linear":  # which is a linear layer of a single input as well
            return None
    elif not subject.experiments.varies(facts.mode, step.index, weight.id, axes):
        return None
    shape = times_spaced(weight, axes)
    later = any(other.index > step.index for other in facts.live_steps("conv", "dense"))
    place = "is on the way to the prediction" if later else "makes the prediction"
    message = f"a linear layer ({shape} weights) {place}"
    return Dense(facts, step, message, f"{shape} weights applied here", weight.size)


def is_scaled(facts: Facts, step: Step, operand: Operand) -> bool:
    """Tell whether an operand is weights that an activation only scales or shifts as a whole: W * s(x)."""
    axes = summed_axes(step, operand)
    summed = math.prod(operand.shape[axis] for axis in axes)
    stack = [(index, axes) for index in operand.writers]
    seen: set[int] = set()
    while stack:
        index, kept = stack.pop()
        writer = facts.steps[index]
        inside = [given for given in writer.operands if given.from_input]
        outside = [given for given in writer.operands if not given.from_input and given.size > 1]
        if index in seen or not writer.shapes:
            continue
        seen.add(index)
        if outside and inside and (is_product(writer) or writer.plain in OFFSETS):
            if kept:
                return all(_extent(given, axis - len(operand.shape)) == 1 for given in inside for axis in kept)
            return all(given.size * summed <= math.prod(writer.shapes[0]) for given in inside)
        if writer.kind in ("reshape", "permute", "copy", "expand", "activation"):
            further = kept if writer.kind in ("copy", "activation") else ()  # which axes these were is not followed
            stack.extend((before, further) for given in inside for before in given.writers)
    return False


def _extent(operand: Operand, axis: int) -> int:
    """Return an extent by an axis counted from the end: 1 where broadcasting adds the axis."""
    return operand.shape[axis] if -axis <= len(operand.shape) else 1


def distance(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find activations compared with learned vectors: the scores are linear in the activations."""
    weights = [operand for operand in step.operands if not operand.from_input and operand.size > 1]
    if step.short not in DISTANCES or not weights:
        return None
    shape = times(weights[0].shape)
    message = f"{step.short} with {shape} learned numbers is a linear layer"
    return Dense(facts, step, message, f"{shape} weights applied here", weights[0].size)


def layer(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Recurrent and attention layers multiply by learned matrices; a mask of attention is only added."""
    mask = step.operand("attn_mask")
    given = [operand for operand in step.operands if mask is None or operand.id != mask.id]
    weights = [operand for operand in given if not operand.from_input and len(operand.shape) > 1]
    if not weights:
        return None
    weight = max(weights, key=lambda operand: operand.size)
    shape = times(weight.shape)
    return Dense(
        facts,
        step,
        f"{step.short} contains linear layers ({shape} weights)",
        f"{shape} weights applied here",
        weight.size,
    )


def is_steady(subject: Subject, facts: Facts, step: Step, operand: Operand) -> bool:
    """Tell whether an activation differs from number to number, and next to nothing from image to image."""
    return subject.experiments.steady(facts.mode, step.index, operand.id, range(len(operand.shape)))


def solution(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """A system of equations with learned coefficients multiplies by the inverse of their matrix."""
    weights = [operand for operand in step.operands[:1] if not operand.from_input and operand.size > 1]
    if step.short != "solve" or not weights:
        return None
    shape = times(weights[0].shape)
    message = f"the solution of equations with {shape} coefficients is a linear layer"
    return Dense(facts, step, message, f"{shape} coefficients applied here", weights[0].size)


def by_hand(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a product with weights whose results are summed over axes along which the weights differ."""
    parts = written_out(facts, step)
    if parts:
        message = "a written-out sum of products with weights makes a linear layer by hand"
        return Dense(facts, parts[0][0], message, "one of the products", sum(weight.size for _, weight in parts))
    summed = summed_by(step)
    if summed is None:
        return None
    operand, axes = summed
    steady = partial(is_steady, subject, facts)
    found = behind(facts, operand, steady)
    if found.sources and found.bends:
        found = behind(facts, operand, steady, subject.experiments.bent(facts.mode, found.bends))
    if not found.sources or scales_channels(facts, found, operand, axes):
        return None
    if not subject.experiments.carried(facts.mode, found.route(step, operand, axes)):
        return None
    source, weight = max(found.sources, key=lambda pair: pair[1].size)
    shape = times(weight.shape[weight.from_input and weight.shape[0] == facts.batch :])
    message, fix = f"a product with {shape} weights and a sum make a linear layer by hand", ""
    if position_scale(source) is not None:
        message = f"{source.short} with {shape} weights, one for each position, and a sum make a linear layer"
        fix = "Normalise with a weight for each channel, by nn.BatchNorm2d or nn.GroupNorm, or without weights."
    return Dense(facts, source, message, f"multiplied by {shape} weights here", weight.size, fix)


def times_spaced(weight: Operand, axes: tuple[int, ...]) -> str:
    """Return 'inputs × outputs' of a weight tensor."""
    inputs = math.prod(weight.shape[axis] for axis in axes)
    return f"{inputs:,} × {weight.size // max(inputs, 1):,}"
