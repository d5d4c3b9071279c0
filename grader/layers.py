"""The layer table: what the model computes, one row for each operator that the prediction depends on."""

from __future__ import annotations

from collections.abc import Mapping

from grader.facts import Facts, Leaf, Step
from grader.graph import Graph
from grader.kinds import MULTIPLYING
from grader.protocol import Layer

INPUT = 0  # the id of the images
HIDDEN = frozenset(("copy", "factory", "write", "compare"))


def layer_table(graph: Graph, facts: Facts, leaves: Mapping[int, Leaf]) -> tuple[Layer, ...]:
    """Return the live operators of a program in order; a parameter is counted where it is first used."""
    parameters = {info.id for info in graph.of_role("parameter")}
    counted: set[int] = set()
    rows: list[Layer] = []
    row_of: dict[int, int] = {}
    for step in facts.steps:
        used = {operand.id for operand in step.operands} & parameters - counted
        if step.index not in facts.live or (step.kind in HIDDEN and not used):
            continue
        counted |= used
        count = sum(leaves[key].size for key in used)
        shape = step.shapes[0] if step.shapes else ()
        rest = shape[1:] if shape[:1] == (facts.batch,) else shape
        macs = step.macs // facts.batch if step.kind in MULTIPLYING else 0
        inputs = _inputs(facts, step, row_of)
        row_of[step.index] = len(rows)
        rows.append(Layer(step.node.module, step.short, step.kind, rest, count, macs, step.node.span, inputs))
    return tuple(rows)


def _inputs(facts: Facts, step: Step, row_of: Mapping[int, int]) -> tuple[int, ...]:
    """Return the rows that a node works on, itself or through nodes that have none; -1 is the model's input."""
    found = set()
    seen = {step.index}
    stack = [step]
    while stack:
        for operand in stack.pop().operands:
            if not operand.writers and operand.leaf == INPUT:
                found.add(-1)
            for writer in operand.writers:
                if writer in row_of:
                    found.add(row_of[writer])
                elif writer not in seen:
                    seen.add(writer)
                    stack.append(facts.steps[writer])
    return tuple(sorted(found))
