"""Constants that do the work of weights: followed from where they come from to where they meet the image."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from grader.checks._subject import MODES, Subject
from grader.facts import Facts, Operand, Step
from grader.finding import Span
from grader.graph import Arg, Items

HANDFUL = 16  # constants up to this many in all are settings, not weights

# Where random numbers work as weights too: elsewhere they are masks and noise.
WEIGHING = frozenset(("conv", "dense", "batch-norm", "norm", "recurrent", "attention", "activation"))
LITERAL = frozenset(("arithmetic", "compare", "activation"))  # what takes numbers written in Python beside the image
NEUTRAL = (0.0, 1.0, -1.0)
TAKE_A_SHAPE = frozenset("view_as reshape_as expand_as type_as to".split())  # of what follows, not its numbers

# One number each for an even tensor; the others count by size.
EVEN_FACTORIES = frozenset(
    "zeros ones full empty eye zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty "
    "scalar_tensor".split()
)
RAMPS = frozenset(("arange", "linspace"))
RAMP = 2  # numbers that a ramp follows from, and the values of a causal mask
UNPACKING = frozenset(
    "floor ceil round trunc frac fmod remainder __mod__ __rmod__ __floordiv__ floor_divide bitwise_and bitwise_or "
    "bitwise_xor __and__ __or__ __xor__ __rshift__ __lshift__ bitwise_right_shift bitwise_left_shift "
    "int long short byte char float half bfloat16 double to type sin cos tan gt ge lt le eq __eq__ ne greater less "
    "sign heaviside clamp relu threshold".split()
)

Source = tuple[Any, ...]  # ("constant", id), ("factory", …), ("random", node) or ("made of", sources, size)
Frontier = Mapping[Source, int]  # where constants come from → how many numbers that is


def constants(subject: Subject) -> tuple[int, list[Span | None]]:
    """Return how many constants work as weights, over both programs, and where; none up to a handful."""
    total: dict[Source, int] = {}
    places: list[tuple[int, Span | None]] = []
    literals: set[float] = set()
    for mode in MODES:
        walk = _Walk(subject, subject.facts[mode])
        for step, frontier in walk.weights():
            total.update(frontier)
            places.append((sum(frontier.values()), step.node.span))
        literals |= walk.literals()
    count = sum(total.values()) + len(literals)
    places.sort(key=lambda place: place[0], reverse=True)
    return (count, [span for _, span in places]) if count > HANDFUL else (0, [])


def hidden_weights(subject: Subject) -> tuple[int, ...]:
    """Return the ids of the tensors that are no parameters, but work as weights."""
    found: set[int] = set()
    if constants(subject)[0]:
        for mode in MODES:
            for _, frontier in _Walk(subject, subject.facts[mode]).weights():
                found |= set(_tensors(frontier))
    return tuple(sorted(found))


def _tensors(sources: Iterable[Source]) -> Iterator[int]:
    """Yield the tensors among the sources of a frontier, those behind a narrow place too."""
    for source in sources:
        if source[0] == "constant":
            yield source[1]
        elif source[0] == "made of":
            yield from _tensors(source[1])


class _Walk:
    """Follows constants through one program to where they meet what depends on the input."""

    def __init__(self, subject: Subject, facts: Facts) -> None:
        self.subject = subject
        self.facts = facts
        self.roles = {info.id: info.role for info in subject.graph.tensors}
        self.statistics = _kept_statistics(subject)
        self.found: dict[int, Frontier] = {}

    @property
    def meetings(self) -> Iterator[Step]:
        """The live nodes whose results depend on the input."""
        return (step for step in self.facts.steps if step.index in self.facts.live and step.from_input)

    def weights(self) -> Iterator[tuple[Step, Frontier]]:
        """Yield the live nodes at which constants meet what depends on the input, with where these come from."""
        for step in self.meetings:
            affine = [step.operand(name) for name in ("weight", "bias") if step.kind in ("batch-norm", "norm")]
            for operand in step.operands[:1] if step.short in TAKE_A_SHAPE else step.operands:
                if operand.from_input or operand.id in self.statistics:
                    continue
                frontier = self.of(operand)
                if operand in affine and frontier and operand.leaf is not None:
                    frontier = {("constant", operand.leaf): operand.size}  # even at the start, but one for each channel
                if step.kind not in WEIGHING:
                    frontier = {source: size for source, size in frontier.items() if source not in self.idle}
                if frontier:
                    yield step, frontier

    @cached_property
    def idle(self) -> frozenset[Source]:
        """What is no weight where it is not multiplied: noise, and the indices of a table that is learned."""
        random: list[Source] = [("random", step.index) for step in self.facts.steps if step.kind == "random"]
        tables = [step for step in self.facts.steps if step.kind == "index" and len(step.operands) > 1]
        learned = [step for step in tables if self.subject.learned(self.facts, step.operands[0])]
        indices: list[Source] = [("constant", operand.id) for step in learned for operand in step.operands[1:]]
        return frozenset((*random, *indices))

    def literals(self) -> set[float]:
        """Return the distinct numbers, written in Python, that meet what depends on the input."""
        given = (_literals(step) for step in self.meetings)
        return {abs(number) for numbers in given for number in numbers if number not in NEUTRAL}

    def of(self, operand: Operand) -> Frontier:
        """Return which constants an operand is made of: no more numbers than it has itself."""
        merged: dict[Source, int] = {}
        if operand.leaf is not None:
            merged.update(self.leaf(operand.leaf))
        for writer in operand.writers:
            merged.update(self.made(writer))
        if sum(merged.values()) > operand.size:
            return {self.cut(merged, operand.size): operand.size}
        return merged

    def leaf(self, key: int) -> Frontier:
        if self.roles[key] in ("parameter", "input") or key in self.statistics:
            return {}
        leaf = self.subject.leaves[key]
        return {("constant", key): leaf.distinct}

    def made(self, index: int) -> Frontier:
        """Return which constants a node's results are made of."""
        if index not in self.found:
            self.found[index] = {}  # a node that writes into what it reads
            self.found[index] = self._made(self.facts.steps[index])
        return self.found[index]

    def _made(self, step: Step) -> Frontier:
        size = max((math.prod(shape) for shape in step.shapes), default=0)
        if step.kind == "random":
            return {("random", step.index): size}
        if step.kind == "factory":
            most = 1 if step.short in EVEN_FACTORIES else RAMP if step.short in RAMPS else size
            return {("factory", step.short, step.shapes, step.node.args): min(size, most)}
        merged: dict[Source, int] = {}
        for operand in step.operands:
            if not self.is_setting(step, operand):
                merged.update(self.of(operand))
        merged.update(self.literals_in(step))
        unpacks = (step.short in UNPACKING or step.short.rstrip("_") in UNPACKING) and not _is_step(step, merged)
        pieces = len(step.operands) if step.kind in ("join", "write") else 0
        if merged and all(source[0] == "random" for source in merged):
            return merged
        if merged and (unpacks or sum(merged.values()) < pieces):
            count = size if unpacks else min(pieces, size)
            return {self.cut(merged, count): count}
        return merged

    def literals_in(self, step: Step) -> Frontier:
        """Return the numbers written into weights one by one: each is a weight of its own."""
        if step.kind not in ("arithmetic", "write", "factory") or any(map(self.is_large, step.operands)):
            return {}
        numbers = [number for number in _numbers(step.node.args[1:]) if number not in NEUTRAL]
        return {("literal", step.short, self.occurrence(step), place): 1 for place in range(len(numbers))}

    def is_large(self, operand: Operand) -> bool:
        """A number beside a learned tensor of some size scales it as a whole."""
        return operand.size > 1 and self.subject.learned(self.facts, operand)

    def occurrence(self, step: Step) -> int:
        """Number a node among those of its operator, which is the same in both programs."""
        return sum(other.short == step.short for other in self.facts.steps[: step.index])

    def is_setting(self, step: Step, operand: Operand) -> bool:
        """Tell of zeros and ones that prune a parameter, and of one number that scales it: neither is a weight."""
        if step.kind != "arithmetic":
            return False
        others = [other for other in step.operands if other is not operand and self.subject.learned(self.facts, other)]
        if operand.size == 1:
            return any(other.size > 1 for other in others)
        binary = operand.leaf is not None and self.subject.leaves[operand.leaf].binary
        return binary and any(other.shape == operand.shape for other in others)

    def cut(self, merged: Mapping[Source, int], size: int) -> Source:
        return ("made of", frozenset(merged), size)


def _kept_statistics(subject: Subject) -> frozenset[int]:
    """Return the running statistics that a live batch normalisation updates in training."""
    found = set()
    for step in subject.facts["train"].steps:
        if step.kind == "batch-norm" and step.argument("training"):
            for name in ("running_mean", "running_var"):
                operand = step.operand(name)
                if operand is not None:
                    found.add(operand.id)
    return frozenset(found)


def _is_step(step: Step, merged: Frontier) -> bool:
    """Tell of a mask that is made of an even tensor, a ramp or a causal mask: it holds no more than these."""
    return step.kind == "compare" and sum(merged.values()) <= RAMP


def _literals(step: Step) -> Iterator[float]:
    """Yield the numbers that a node is given beside tensors, and the places that a list picks."""
    if step.kind in LITERAL:
        yield from _numbers((*step.node.args, *step.node.kwargs.values()))
    elif step.kind == "index":
        picked = [item for argument in step.node.args[1:] if isinstance(argument, Items) for item in argument.items]
        yield from _numbers(item for item in picked if isinstance(item, Items))


def _numbers(arguments: Iterable[Arg]) -> Iterator[float]:
    for argument in arguments:
        if isinstance(argument, Items):
            yield from _numbers(argument.items)
        elif isinstance(argument, (int, float)) and not isinstance(argument, bool):
            yield float(argument)
