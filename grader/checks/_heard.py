"""Maps of which a few places are chosen before they are averaged: by fixed numbers, on a grid, or by cutting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from grader.checks._subject import Edge, Subject, span_of, times
from grader.facts import Facts, Operand, Step
from grader.finding import CheckResult, Finding
from grader.kinds import Kind

FEW = 0.04  # of the places of a map: even every fifth row and column are as many
CHOOSES: frozenset[Kind] = frozenset(("resample", "pad", "index", "write"))  # kinds that take some places, or move them
# Kinds in which each position is computed from one position, with 1×1 convolutions and matrices for channels.
PASSES: frozenset[Kind] = CHOOSES | {
    *("arithmetic", "compare", "activation", "dropout", "norm", "batch-norm", "softmax", "copy"),
    *("expand", "join", "reshape", "permute"),
}


def few_places(subject: Subject, facts: Facts, edges: Iterable[Edge]) -> Edge | None:
    """Return the map that a last map was chosen from, if the prediction hears a few of its places only."""
    for edge in edges:
        found = list(_chosen_from(facts, edge.operand))
        if found and all(subject.experiments.heard(facts.mode, source) < FEW for source in found):
            return found[0]
    return None


def choosing(check: str, edge: Edge) -> CheckResult:
    size = times([edge.operand.shape[axis] for axis in edge.operand.axes])
    message = f"{edge.step.short} is where a few places of the {size} map are chosen, and the others are not heard"
    why = "A mean over what was chosen is no mean over the whole map."
    found = Finding(check, "warning", message, why, "Average the map as it is.", span_of(edge.step))
    return CheckResult(check, "error", f"can't be told: {message}", (found,))


def _chosen_from(facts: Facts, last: Operand) -> Iterator[Edge]:
    """Yield the maps that a last map is made of position by position, where places may have been chosen on the way."""
    found: dict[int, Edge] = {}
    stack = [last]
    seen: set[int] = set()
    chooses = False
    while stack:
        for index in stack.pop().writers:
            step = facts.steps[index]
            if index in seen or not step.from_input:
                continue
            seen.add(index)
            chooses = chooses or step.kind in CHOOSES or any(_by_place(step))
            for operand in (given for given in step.operands if given.from_input and given.axes):
                if operand.writers and all(_passes(facts.steps[writer]) for writer in operand.writers):
                    stack.append(operand)
                else:
                    found[operand.id] = Edge(step, operand)
    if chooses:
        yield from found.values()


def _passes(step: Step) -> bool:
    weight = step.operand("weight") if step.kind == "conv" else None
    return step.kind in PASSES or (weight is not None and math.prod(weight.shape[2:]) == 1)


def _by_place(step: Step) -> Iterator[bool]:
    """Yield, for each tensor beside the images in elementwise arithmetic, whether it differs along their positions."""
    maps = [given for given in step.operands if given.from_input and given.axes] if step.kind == "arithmetic" else []
    for given in maps[:1]:
        ends = [axis - len(given.shape) for axis in given.axes]
        for other in (operand for operand in step.operands if not operand.from_input):
            yield any(other.shape[end] > 1 for end in ends if -end <= len(other.shape))
