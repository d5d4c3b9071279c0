"""The axes of weights over which a matrix product sums."""

from __future__ import annotations

from grader.facts import Operand, Step, integers
from grader.graph import Items

ROWS = frozenset(("inner", "cdist"))  # of both operands are summed over


def factors(step: Step) -> list[Operand]:
    """Return the operands that are multiplied: a bias is none."""
    bias = step.operand("bias")
    return [operand for operand in step.operands if bias is None or operand.id != bias.id]


def summed_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    """Return the axes of the weights over which a product sums."""
    count = len(weight.shape)
    every = tuple(range(count))
    if step.short in ("linear", "bilinear"):
        return every[1:] if count > 1 else every
    if step.short == "einsum":
        return _einsum_axes(step, weight)
    if step.short == "tensordot":
        return _tensordot_axes(step, weight)
    if step.short in ("outer", "addr"):
        return ()
    if count == 1:
        return every
    left = step.operand("input")
    return (count - 1,) if (left is not None and left.id == weight.id) or step.short in ROWS else (count - 2,)


def _einsum_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    equation = step.node.args[0] if step.node.args else ""
    every = tuple(range(len(weight.shape)))
    if not isinstance(equation, str) or "." in equation:
        return every
    left, _, right = equation.replace(" ", "").partition("->")
    labels = left.split(",")
    place = [operand.id for operand in step.operands].index(weight.id)
    if place >= len(labels) or len(labels[place]) != len(weight.shape):
        return every
    others = "".join(label for number, label in enumerate(labels) if number != place)
    return tuple(axis for axis, label in enumerate(labels[place]) if label not in right and label in others)


def _tensordot_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    dims = step.argument("dims")
    count = len(weight.shape)
    left = step.operand("input")
    is_left = left is not None and left.id == weight.id
    if isinstance(dims, int):
        return tuple(range(count - dims, count)) if is_left else tuple(range(dims))
    if isinstance(dims, Items) and len(dims.items) == 2:
        return tuple(axis % count for axis in integers(dims.items[0 if is_left else 1]))
    return tuple(range(count))
