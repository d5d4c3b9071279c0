"""Convolutions over a map whose positions were told apart, or copied whole: each has its own weights then."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator

from grader.checks._subject import Subject
from grader.facts import Facts, Operand, Step
from grader.kinds import Kind

MORE = 4  # copies of each activation, and masks: as few tell no more than as few places apart
TAKES: frozenset[Kind] = frozenset(("arithmetic", "dense", "write"))  # kinds that multiply, choose or put in place
TILES: frozenset[Kind] = frozenset(("join", "expand"))  # kinds that lay copies of a map beside each other
TRIANGLES = frozenset(("tril", "triu"))  # which bring their masks along
# Kinds that make no new numbers of those they are given.
HANDS_ON: frozenset[Kind] = frozenset(
    (
        *("reshape", "permute", "index", "expand", "join", "pad", "resample", "unfold", "copy", "write", "dropout"),
        *("activation", "arithmetic", "softmax", "norm", "batch-norm", "reduce", "avg-pool", "max-pool"),
    )
)
Roots = dict[int, int]  # nodes that made new numbers, by index, with how many of an image; -1 is the image


def placed(subject: Subject, facts: Facts) -> Iterator[Step]:
    """Yield the live convolutions that may weigh the places of a map one by one."""
    roots: dict[int, Roots] = {}
    for step in facts.steps:
        if not step.from_input:
            continue
        images = step.operand("input") if step.kind == "conv" and step.index in facts.live else None
        if images is not None and images.from_input and _tells_places(subject, facts, step, images, roots):
            yield step
        made = max((math.prod(shape) // facts.batch for shape in step.shapes), default=0)
        own = {root: size for operand in step.operands for root, size in _roots(facts, operand, roots).items()}
        dense = step.kind == "dense" and sum(operand.from_input for operand in step.operands) == 1 < len(step.operands)
        is_less = step.kind != "index" and 0 < made < sum(own.values())  # what is taken out in parts stays that
        roots[step.index] = own if (step.kind in HANDS_ON or dense) and not is_less else {step.index: made}


def _roots(facts: Facts, operand: Operand, roots: dict[int, Roots]) -> Roots:
    if not operand.from_input:
        return {}
    found = [roots[writer] for writer in operand.writers if writer in roots]
    return {root: size for own in found for root, size in own.items()} or {-1: operand.size // facts.batch}


def _tells_places(subject: Subject, facts: Facts, step: Step, images: Operand, roots: dict[int, Roots]) -> bool:
    behind = _way(facts, images)
    own = _roots(facts, images, roots)
    held = images.size // facts.batch
    if held > sum(own.values()) and _sees_whole_copies(facts, step, behind, own):
        return True
    way = [before for before in behind if _takes_fixed(subject, facts, before)]
    is_copied = held > MORE * sum(own.values())
    if not is_copied and not way:
        return False
    if subject.experiments.patchy(facts.mode, step.index, images.id):
        return True
    return is_copied and (len(way) > MORE or any(_differs_by_place(subject, facts, before) for before in way))


def _sees_whole_copies(facts: Facts, step: Step, behind: list[Step], roots: Roots) -> bool:
    """Tell whether a kernel is as large as the maps that were laid beside each other for it."""
    weight = step.operand("weight")
    tiles = [before for before in behind if before.kind in TILES and _widens(before)]
    if weight is None or not tiles or not all(root in range(len(facts.steps)) for root in roots):
        return False
    maps = [[facts.steps[root].shapes[0][axis] for axis in facts.steps[root].axes[0]] for root in roots]
    kernel = weight.shape[2:]
    return all(len(extents) == len(kernel) and all(map(operator.ge, kernel, extents)) for extents in maps)


def _widens(step: Step) -> bool:
    """Tell whether a node returns more positions behind the channels than each tensor that it is given has."""
    given = [operand for operand in step.operands if operand.from_input]
    return all(math.prod(operand.shape[2:]) < math.prod(step.shapes[0][2:]) for operand in given)


def _way(facts: Facts, operand: Operand) -> list[Step]:
    """Return the nodes behind an operand that hand numbers on."""
    found: dict[int, Step] = {}
    stack = list(operand.writers)
    while stack:
        step = facts.steps[stack.pop()]
        if step.index not in found and step.from_input and step.kind in (*HANDS_ON, "dense"):
            found[step.index] = step
            stack += [writer for given in step.operands if given.from_input for writer in given.writers]
    return list(found.values())


def _takes_fixed(subject: Subject, facts: Facts, step: Step) -> bool:
    return step.plain in TRIANGLES or any(_fixed(subject, facts, step))


def _fixed(subject: Subject, facts: Facts, step: Step) -> Iterator[Operand]:
    """Yield the constants of several numbers that a node multiplies by, adds, chooses by or puts in place by."""
    if step.kind in TAKES:
        for operand in step.operands:
            if not operand.from_input and operand.size > 1 and not subject.learned(facts, operand):
                yield operand


def _differs_by_place(subject: Subject, facts: Facts, step: Step) -> bool:
    """Tell whether fixed numbers differ along positions, and along another axis too."""
    if step.plain in TRIANGLES:
        return True
    maps = [given for given in step.operands if given.from_input and step.kind == "arithmetic"]
    positions = {axis - len(given.shape) for given in maps for axis in given.axes if given.shape[axis] > 1}
    for operand in _fixed(subject, facts, step):
        long = [axis for axis, extent in enumerate(operand.shape) if extent > 1]
        uneven = [axis for axis in long if subject.experiments.varies(facts.mode, step.index, operand.id, (axis,))]
        along = sum(axis - len(operand.shape) in positions for axis in uneven)
        if len(uneven) > 1 and (not positions or 0 < along < len(uneven)):
            return True
    return False
