"""The layer table: what the model computes, one row for each operator that the prediction depends on."""

from __future__ import annotations

from collections.abc import Mapping

from grader.facts import Facts, Leaf
from grader.graph import Graph
from grader.protocol import Layer

HIDDEN = frozenset(("copy", "factory", "write", "compare"))


def layer_table(graph: Graph, facts: Facts, leaves: Mapping[int, Leaf]) -> tuple[Layer, ...]:
    """Return the live operators of a program in order; a parameter is counted where it is first used."""
    parameters = {info.id for info in graph.of_role("parameter")}
    counted: set[int] = set()
    rows = []
    for step in facts.steps:
        used = {operand.id for operand in step.operands} & parameters - counted
        if step.index not in facts.live or (step.kind in HIDDEN and not used):
            continue
        counted |= used
        count = sum(leaves[key].size for key in used)
        shape = step.shapes[0] if step.shapes else ()
        rest = shape[1:] if shape[:1] == (facts.batch,) else shape
        rows.append(
            Layer(step.node.module, step.short, step.kind, rest, count, step.macs // facts.batch, step.node.span)
        )
    return tuple(rows)
