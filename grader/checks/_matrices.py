"""Activations that meet many more learned numbers than they are: as many as a matrix has, whatever is made of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from grader.checks._constants import kept_statistics
from grader.checks._marks import Marks
from grader.checks._subject import Subject
from grader.facts import Facts, Operand, Step
from grader.kinds import TAKE_A_SHAPE, Kind

MORE = 4  # learned numbers for each activation: a scale and a shift in each of two branches are no more
FEW = 16  # learned numbers that may meet anything
IMAGE = -1  # stands for the image where nodes stand by their indexes

MATRICES: frozenset[Kind] = frozenset(("conv", "dense", "recurrent", "attention"))  # kinds that make new numbers
# Kinds that are not looked at here: those with matrices are found by themselves, and what is chosen is not weighted.
OTHERS: frozenset[Kind] = frozenset(("conv", "recurrent", "attention", "index"))


@dataclass
class Meeting:
    """Activations, `width` of them for each image, and the learned numbers that they meet.

    `brought` holds the nodes where they do, with the numbers of each; `leaves` the tensors that these are made of.
    """

    width: int
    brought: dict[int, tuple[int, Step]] = field(default_factory=dict)  # by marks, as a tensor may come in twice
    leaves: dict[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return min(sum(count for count, _ in self.brought.values()), sum(self.leaves.values()))

    @property
    def step(self) -> Step:
        """The node where the most of the numbers come in."""
        return max(self.brought.values(), key=lambda pair: pair[0])[1]


def matrices(subject: Subject, facts: Facts) -> Iterator[Meeting]:
    """Yield where a program's activations meet many more learned numbers than they are."""
    walk = _Walk(subject, facts)
    for step in facts.steps:
        walk.add(step)
    for meeting in walk.meetings.values():
        if meeting.count > max(MORE * meeting.width, FEW):
            yield meeting


class _Walk:
    """Follows activations back to the nodes that made as many numbers as they are, and weights to their tensors.

    Only learned weights make more numbers of some; all else spreads, chooses or sums up what there is.
    """

    def __init__(self, subject: Subject, facts: Facts) -> None:
        self.facts = facts
        self.marks = Marks(facts, {})
        parameters = subject.parameter_ids
        self.sizes = {key: leaf.size if key in parameters else leaf.distinct for key, leaf in subject.leaves.items()}
        self.statistics = kept_statistics(subject)
        self.roots: dict[int, frozenset[int]] = {}
        self.leaves: dict[int, frozenset[int]] = {}
        self.meetings = {IMAGE: Meeting(math.prod(subject.input_shape))}

    def add(self, step: Step) -> None:
        self.marks.of_step(step)
        if not step.from_input:
            self.leaves[step.index] = frozenset().union(*map(self.leaves_of, step.operands))
            return
        roots = frozenset().union(*(self.roots_of(operand) for operand in step.used if operand.from_input))
        weights = list(self.weights(step)) if step.index in self.facts.live else []
        for root in roots:
            self.meet(self.meetings[root], step, weights)
        given = sum(self.meetings[root].width for root in roots)
        made = max((math.prod(shape) // self.facts.batch for shape in step.shapes), default=given)
        learned = any(self.leaves_of(operand) for operand in step.used if not operand.from_input)
        if len(roots) == 1 and not learned and (step.kind == "index" or made >= given):
            self.roots[step.index] = roots
            return
        self.roots[step.index] = frozenset((step.index,))
        self.meetings[step.index] = Meeting(made if learned and step.kind in MATRICES else min(made, given))

    def weights(self, step: Step) -> Iterator[Operand]:
        """Yield the tensors of several learned numbers that a node is given beside activations."""
        if step.kind in OTHERS or step.short in TAKE_A_SHAPE:
            return
        for operand in step.operands:
            several = operand.size > 1 and bool(self.leaves_of(operand))
            if several and not operand.from_input and operand.id not in self.statistics:
                yield operand

    def meet(self, meeting: Meeting, step: Step, weights: list[Operand]) -> None:
        for operand in weights:
            leaves = {key: self.sizes[key] for key in self.leaves_of(operand)}
            meeting.leaves.update(leaves)
            meeting.brought[self.marks.of(operand)] = (min(operand.size, sum(leaves.values())), step)

    def roots_of(self, operand: Operand) -> frozenset[int]:
        writers = [writer for writer in operand.writers if writer in self.roots]
        return frozenset().union(*(self.roots[writer] for writer in writers)) if writers else frozenset((IMAGE,))

    def leaves_of(self, operand: Operand) -> frozenset[int]:
        own = frozenset(key for key in (operand.leaf,) if key is not None and key in self.sizes)
        return own.union(*(self.leaves.get(writer, frozenset()) for writer in operand.writers))
