"""Maps whose positions were laid out among the channels of what a convolution is given, and the way from there."""

from __future__ import annotations

from grader.checks._subject import Edge, Layout
from grader.facts import Facts, Operand
from grader.kinds import Kind
from grader.layout import CHANNELS, ONE_SOURCE

IMAGE_AXES = 2  # height and width
MOVERS: frozenset[Kind] = frozenset(("reshape", "permute", "expand", "index", "unfold", "resample"))
PASSED: frozenset[Kind] = MOVERS | {
    "join",
    "pad",
    "copy",
    "write",
    "dropout",
    "activation",
    "arithmetic",
    "norm",
    "batch-norm",
    "softmax",
}


def laid_out(facts: Facts, images: Operand) -> Layout:
    """Return the maps behind an operand of which a convolution may not get position by position."""
    edges: list[Edge] = []
    way: set[int] = set()
    stack = [images]
    while stack:
        operand = stack.pop()
        for index in operand.writers:
            step = facts.steps[index]
            if index in way or step.kind not in PASSED or (_in_place(operand) and step.kind in MOVERS):
                continue
            given = [each for each in step.operands[: 1 if step.kind in ONE_SOURCE else None] if each.from_input]
            apart = [each for each in given if not _in_place(each)]
            if _in_place(operand) and not apart:
                continue  # a map made of maps
            way.add(index)
            stack.extend(apart)
            edges.extend(Edge(step, each) for each in given if _in_place(each) and step.kind in MOVERS)
    return Layout(tuple(edges), frozenset(way))


def _in_place(operand: Operand) -> bool:
    """Tell of a map whose positions are neither among its channels nor cut into patches."""
    return operand.is_map and CHANNELS not in operand.axes and len(operand.axes) <= IMAGE_AXES
