"""Maps that were cut from larger ones: what is averaged of one is not all, unless several cuts together are."""

from __future__ import annotations

from grader.checks._boxes import Interval
from grader.checks._moves import slice_sources
from grader.checks._subject import Edge
from grader.facts import Facts, Operand, Step, integers

Cut = tuple[Interval, ...]  # what is left of each axis of a map, in positions of the map that it was cut from


def cut(facts: Facts, operand: Operand) -> list[Edge]:
    """Return where a map was cut from larger maps, of which something is left out; empty where it is a whole one.

    A convolution by hand adds slices that together begin and end where their map does. One of torch's makes a map of
    its own, whatever it is given.
    """
    found: dict[int, list[tuple[Edge, Cut | None]]] = {}  # by the map that was cut
    stack = [operand]
    seen: set[int] = set()
    while stack:
        current = stack.pop()
        writers = [facts.steps[writer] for writer in current.writers if facts.steps[writer].from_input]
        if not writers or any(step.kind == "conv" for step in writers):
            return []
        for step in writers:
            given = [each for each in step.operands if each.from_input and each.is_map]
            if step.index in seen:
                continue
            seen.add(step.index)
            if given and _shrinks(step, given[0]):
                edge, left = _uncut(facts, Edge(step, given[0]))
                found.setdefault(edge.operand.id, []).append((edge, left))
            else:
                stack.extend(given)
    if any(_cover([left for _, left in cuts], cuts[0][0].operand) for cuts in found.values()):
        return []
    return [edge for cuts in found.values() for edge, _ in cuts]


def _shrinks(step: Step, source: Operand) -> bool:
    """Tell whether a node returns a part of a map as it is."""
    if step.kind not in ("index", "pad") or len(step.shapes[0]) != len(source.shape):
        return False
    return any(step.shapes[0][axis] < source.shape[axis] for axis in source.axes)


def _uncut(facts: Facts, edge: Edge) -> tuple[Edge, Cut | None]:
    """Return where a map that was cut in several steps was whole, and what is left of it after the last."""
    left = _left(edge.step, edge.operand)
    before = facts.makers.get(edge.operand.id)
    while before is not None and before.operands and _shrinks(before, before.operands[0]):
        edge = Edge(before, before.operands[0])
        outer = _left(before, edge.operand)
        pairs = zip(left or (), outer or (), strict=False)
        left = tuple((low + start, high + start) for (low, high), (start, _) in pairs)
        before = facts.makers.get(edge.operand.id)
    return edge, left


def _left(step: Step, source: Operand) -> Cut | None:
    """Return what slices leave of a map; None for what picks its positions otherwise."""
    shape, rank = step.shapes[0], len(source.shape)
    starts = [0] * rank
    if step.kind == "pad":
        given = integers(step.argument("pad"))
        starts = [-given[place] if (place := 2 * (rank - 1 - axis)) < len(given) else 0 for axis in range(rank)]
    elif step.short == "narrow":
        given = integers(step.argument("dim")) + integers(step.argument("start"))
        if len(given) < len(("dim", "start")):
            return None
        starts[given[0] % rank] = given[1] % source.shape[given[0]]
    else:
        rows = list(slice_sources(step, source)) if step.short == "__getitem__" else []
        if len(rows) != rank or any(rows[axis] != (axis, rows[axis][1], 1) for axis in source.axes):
            return None
        starts = [start for _, start, _ in rows]
    return tuple((starts[axis], starts[axis] + shape[axis] - 1) for axis in source.axes)


def _cover(cuts: list[Cut | None], source: Operand) -> bool:
    """Tell whether cuts, each of more than half of a map, begin and end where it does."""
    known = [left for left in cuts if left]
    return bool(known) and all(
        min(low for low, _ in sides) <= 0
        and max(high for _, high in sides) >= source.shape[axis] - 1
        and all(2 * (high - low + 1) > source.shape[axis] for low, high in sides)
        for axis, sides in zip(source.axes, zip(*known, strict=True), strict=True)
    )
