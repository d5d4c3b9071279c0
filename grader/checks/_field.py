"""The receptive field of a position: boxes followed from a map back to the image, over all paths.

What positions share (the statistics of a normalisation, a gate for whole channels) has no position, and does not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from grader.checks._boxes import Back, Box, Lost
from grader.checks._moves import MOVES
from grader.checks._windows import WINDOWS, convolved
from grader.facts import Facts, Operand, Shape, Step
from grader.kinds import Kind

IMAGE = 0  # the id of the input
VIEWS = frozenset(("reshape", "index", "expand", "permute"))  # kinds that return views
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
        for writer in _latest(facts, given):
            if writer not in silent:
                key = (given.id, part.axes, part.extents)
                parts = wanted.setdefault(writer, {})
                parts[key] = part if key not in parts else parts[key].joined(part)

    want(operand, box)
    while wanted:
        step = facts.steps[max(wanted)]  # all that read its result came after it
        for (key, _, _), part in wanted.pop(step.index).items():
            behind = [(given, _back(facts, step, given, key, part)) for given in step.operands if given.from_input]
            if any(isinstance(inner, Lost) for _, inner in behind):
                found.lost.append(step)
            kept = [(given, inner) for given, inner in behind if isinstance(inner, Box)]
            if len(kept) > 1:
                found.branches |= {max(given.writers) for given, _ in kept if given.writers}
            for given, inner in kept:
                want(given, inner)
    return found


def _latest(facts: Facts, given: Operand) -> Iterator[int]:
    """Yield who made a tensor, and who wrote into its memory since: the maker of a view was given what was there."""
    made = max((writer for writer in given.writers if given.id in facts.steps[writer].node.outputs), default=-1)
    yield from (writer for writer in given.writers if writer >= made)


def _is_turned(facts: Facts, view: int) -> bool:
    """Tell whether a view has its axes in another order than what it is a view of."""
    seen: set[int] = set()
    while view not in seen:
        seen.add(view)
        maker = facts.makers.get(view)
        if maker is None or maker.kind not in VIEWS:
            return False
        if maker.kind == "permute":
            return True
        view = maker.operands[0].id if maker.operands else view
    return False


def _back(facts: Facts, step: Step, operand: Operand, key: int, box: Box) -> Box | Lost | None:
    """Return the box of an operand behind a box of the result that has this id."""
    outputs = step.node.outputs
    place = outputs.index(key) if key in outputs else 0
    through = partial(convolved, facts) if step.kind == "conv" else BACK.get(step.kind)
    if through is None or place >= len(step.shapes) or max(box.axes) >= len(step.shapes[place]):
        return Lost()
    if key not in outputs and outputs:  # it wrote into the memory of the tensor, and returned another view of that
        extents = tuple(step.shapes[place][axis] for axis in box.axes)
        if extents != box.extents or any(_is_turned(facts, view) for view in (outputs[place], key)):
            return Lost()
    return through(step, operand, step.shapes[place], box)
