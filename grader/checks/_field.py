"""The receptive field of a position: boxes followed from a map back to the image, over all paths.

What positions share (the statistics of a normalisation, a gate for whole channels) has no position, and does not count.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from grader.checks._boxes import Back, Box, Lost
from grader.checks._moves import MOVES
from grader.checks._windows import WINDOWS
from grader.facts import Facts, Operand, Shape, Step
from grader.kinds import Kind

IMAGE = 0  # the id of the input
BACK: dict[Kind, Back] = {**MOVES, **WINDOWS}


@dataclass
class Field:
    """What lies behind a position: its `box` in the image, and the nodes that positions can't be followed through.

    `branches` are the nodes whose results meet others there: each may be without an effect.
    """

    box: Box | None = None
    lost: list[Step] = field(default_factory=list)
    branches: set[int] = field(default_factory=set)


def field_of(facts: Facts, operand: Operand, box: Box, silent: frozenset[int] = frozenset()) -> Field:
    """Return the field of positions of an operand; nodes of the indexes in `silent` are left out."""
    found = Field()
    wanted: dict[int, dict[tuple[int, Shape, Shape], Box]] = {}

    def want(given: Operand, part: Box) -> None:
        if given.id == IMAGE and not given.writers:
            found.box = part if found.box is None else found.box.joined(part)
        for writer in given.writers:
            if writer not in silent:
                key = (given.id, part.axes, part.extents)
                parts = wanted.setdefault(writer, {})
                parts[key] = part if key not in parts else parts[key].joined(part)

    want(operand, box)
    while wanted:
        step = facts.steps[max(wanted)]  # all that read its result came after it
        for (key, _, _), part in wanted.pop(step.index).items():
            behind = [(given, _back(step, given, key, part)) for given in step.operands if given.from_input]
            if any(isinstance(inner, Lost) for _, inner in behind):
                found.lost.append(step)
            kept = [(given, inner) for given, inner in behind if isinstance(inner, Box)]
            if len(kept) > 1:
                found.branches |= {max(given.writers) for given, _ in kept if given.writers}
            for given, inner in kept:
                want(given, inner)
    return found


def _back(step: Step, operand: Operand, key: int, box: Box) -> Box | Lost | None:
    """Return the box of an operand behind a box of the result that has this id."""
    outputs = step.node.outputs
    place = outputs.index(key) if key in outputs else 0  # what wrote into a part of it returned that part
    through = BACK.get(step.kind)
    if through is None or place >= len(step.shapes) or max(box.axes) >= len(step.shapes[place]):
        return Lost()
    return through(step, operand, step.shapes[place], box)
