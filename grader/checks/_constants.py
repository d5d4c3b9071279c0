"""Constants that do the work of weights: followed from where they come from to where they meet the image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property

from grader.checks._literals import NEUTRAL, RAMP, literals, needed, phrases, picked
from grader.checks._marks import Marks
from grader.checks._parts import Frontier, Parts, Source
from grader.checks._subject import MODES, Subject
from grader.facts import Facts, Operand, Step
from grader.finding import Span
from grader.kinds import STATISTICS

RENEWED = 1e-3  # of a statistic in each batch: with less, what it held before a training would last
MANY = 64  # numbers in Python code: of more than that, not only which there are may tell something, but in what order
FORMULA = 16  # times as many numbers as are put into a formula: one that mixes them well can hide as many weights
HANDFUL = 16  # constants up to this many in all are settings, not weights

MIXING = frozenset(("arithmetic", "activation", "dense", "weight"))

# Where random numbers work as weights too: elsewhere they are masks and noise.
WEIGHING = frozenset(("conv", "dense", "batch-norm", "norm", "recurrent", "attention", "activation"))

# One number each for an even tensor; the others count by size.
EVEN_FACTORIES = frozenset(
    "zeros ones full empty eye zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty "
    "scalar_tensor".split()
)
RAMPS = frozenset(("arange", "linspace"))
UNPACKING = frozenset(
    "floor ceil round trunc frac fmod remainder __mod__ __rmod__ __floordiv__ floor_divide bitwise_and bitwise_or "
    "bitwise_xor __and__ __or__ __xor__ __rshift__ __lshift__ bitwise_right_shift bitwise_left_shift "
    "int long short byte char float half bfloat16 double to type sin cos tan gt ge lt le eq __eq__ ne greater less "
    "sign heaviside clamp relu threshold one_hot bucketize searchsorted".split()
)
GRID = 8  # numbers that two ramps follow from, with a factor and an offset each
CASTS = frozenset("float half bfloat16 double to type".split())
ADDED = frozenset("add sub __radd__ __rsub__ rsub".split())
NEGATIONS = frozenset("neg negative positive".split())


def constants(subject: Subject) -> tuple[int, list[Span | None]]:
    """Return how many constants work as weights, over both programs, and where; none up to a handful."""
    count, places, _ = _found(subject)
    return (count, places) if count > HANDFUL else (0, [])


def hidden_weights(subject: Subject) -> tuple[int, ...]:
    """Return the ids of the tensors that are no parameters, but work as weights."""
    count, _, tensors = _found(subject)
    return tuple(sorted(tensors)) if count > HANDFUL else ()


def _found(subject: Subject) -> tuple[int, list[Span | None], set[int]]:
    parts = Parts()
    total: dict[Source, int] = {}
    met: dict[Source, int] = {}
    places: list[tuple[int, Span | None]] = []
    for mode in MODES:
        walk = _Walk(subject, subject.facts[mode], parts)
        for step, frontier in walk.weights():
            met.update(frontier)
            places.append((sum(frontier.values()), step.node.span))
        total.update(walk.literals())
    total.update(met)
    places.sort(key=lambda place: place[0], reverse=True)
    return parts.count(total), [span for _, span in places], parts.tensors(met)


class _Walk:
    """Follows constants through one program to where they meet what depends on the input."""

    def __init__(self, subject: Subject, facts: Facts, parts: Parts) -> None:
        self.subject = subject
        self.facts = facts
        self.roles = {info.id: info.role for info in subject.graph.tensors}
        self.statistics = kept_statistics(subject)
        self.parts = parts
        self.marks = Marks(facts, parts.marks)
        self.found: dict[int, Frontier] = {}
        self.parameters: dict[int, frozenset[int]] = {}  # those that a node's results are made of
        self.settings: set[int] = set()  # the marks of nodes that scale or prune a parameter …
        self.taken: set[tuple[int, bool]] = set()  # … and which parameters these are, each once

    @property
    def meetings(self) -> Iterator[Step]:
        """The live nodes whose results depend on the input."""
        return (step for step in self.facts.steps if step.index in self.facts.live and step.from_input)

    def weights(self) -> Iterator[tuple[Step, Frontier]]:
        """Yield the live nodes at which constants meet what depends on the input, with where these come from."""
        for step in self.facts.steps:
            self.prepare(step)
        for step in self.meetings:
            affine = [step.operand(name) for name in ("weight", "bias") if step.kind in ("batch-norm", "norm")]
            for operand in step.used:
                if operand.from_input or self.keeps(step, operand):
                    continue
                frontier = self.of(operand)
                if operand in affine and frontier and operand.leaf is not None:
                    frontier = {("constant", operand.leaf): operand.size}  # even at the start, but one for each channel
                is_mask = operand == step.operand("attn_mask")
                if step.kind not in WEIGHING or is_mask:
                    idle = self.indices if is_mask or step.plain in ADDED else frozenset()
                    kept = {source for source in frontier.keys() - idle if not self.is_noise(source)}
                    frontier = {source: frontier[source] for source in kept}
                if frontier:
                    yield step, frontier

    def keeps(self, step: Step, operand: Operand) -> bool:
        """Tell whether an operand is statistics that a batch normalisation uses, and one keeps up to date."""
        is_used = step.kind == "batch-norm" and operand in map(step.operand, STATISTICS)
        return is_used and self.parts.tensors(self.of(operand)) <= self.statistics

    @cached_property
    def indices(self) -> frozenset[Source]:
        """Indices of learned tables that do not look drawn: they are no weights where what they choose is added."""
        tables = [step for step in self.facts.steps if step.kind == "index" and len(step.operands) > 1]
        learned = [step for step in tables if self.subject.learned(self.facts, step.operands[0])]
        given = (operand for step in learned for operand in step.operands[1:] if not operand.from_input)
        sources = {source for operand in given for source in self.of(operand)}
        drawn = self.subject.experiments.drawn
        return frozenset(source for source in sources if not any(map(drawn, self.parts.tensors([source]))))

    def literals(self) -> Frontier:
        """Return the distinct numbers, written in Python, that meet what depends on the input, and lists of places."""
        numbers = [number for step in self.meetings for number in literals(step) if number not in NEUTRAL]
        found: dict[Source, int] = {("number", abs(number)): 1 for number in numbers}
        if len(numbers) > MANY:
            found |= {("phrase", place): 1 for place in range(len(found), phrases(numbers))}
        for step in self.meetings:
            found |= {("places", places): needed(places) for places in picked(step)}
        return found

    def prepare(self, step: Step) -> None:
        """Find out all of a node that later ones ask for: in order, as a chain can be long."""
        self.parameters[step.index] = frozenset().union(*map(self.behind, step.operands))
        self.marks.of_step(step)
        if not step.from_input:
            self.made(step.index)

    def of(self, operand: Operand) -> Frontier:
        """Return which constants an operand is made of: no more numbers than it has itself."""
        merged: dict[Source, int] = {}
        drawn = max((writer for writer in operand.writers if self.redraws(writer, operand)), default=None)
        if operand.leaf is not None and drawn is None:
            merged.update(self.leaf(operand.leaf))
        for writer in operand.writers:
            if drawn is None or writer >= drawn:  # what was there before is gone
                merged.update(self.made(writer))
        if sum(merged.values()) > operand.size:
            return {self.parts.part(merged, self.marks.of(operand)): operand.size}
        return merged

    def redraws(self, writer: int, operand: Operand) -> bool:
        """Tell whether a node puts random numbers in the place of all that a tensor held."""
        step = self.facts.steps[writer]
        return step.kind == "random" and step.wrote and math.prod(step.shapes[0]) == operand.size

    def leaf(self, key: int) -> Frontier:
        if self.roles[key] in ("parameter", "input"):
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
        if step.kind == "random" or self.is_mask(step):
            return {("random", step.index): size}
        if step.kind == "factory":
            most = 1 if step.short in EVEN_FACTORIES else RAMP if step.short in RAMPS else size
            return {("factory", step.short, step.shapes, step.node.args): min(size, most)}
        setting = self.is_setting(step)
        merged = self.given(step, setting)
        is_mask = step.kind == "compare" and any(source[0] == "random" for source in merged)
        merged.update({("places", places): needed(places) for places in picked(step)})
        if not setting and not is_mask:
            merged.update(self.literals_in(step))
        if merged and all(source[0] == "random" for source in merged):
            return merged
        count = sum(merged.values())
        if merged and step.kind == "compare" and count <= RAMP + 1:  # a mask made of a ramp holds no more than that
            return {self.parts.part({}, self.marks.of_step(step)): count}
        pieces = len(step.operands) if step.kind in ("join", "write") else 0
        drawn = self.scattered(step, merged, size) if merged else 0
        if drawn:
            return {self.parts.part({}, self.marks.of_step(step)): drawn}
        if count > 1 and _unpacks(step, count):
            bent = count > HANDFUL and step.short not in CASTS
            return {self.parts.part(merged, self.marks.of_step(step), bent=bent): size}
        if count > HANDFUL and self.bends(step):
            return {self.parts.part(merged, self.marks.of_step(step), bent=True): min(size, count)}
        if merged and count < pieces:
            return {self.parts.part(merged, self.marks.of_step(step)): min(pieces, size)}
        return merged

    def is_mask(self, step: Step) -> bool:
        """Tell whether a node drops some of numbers that are all one."""
        if step.kind != "dropout" or not step.argument("training"):
            return False
        given = [self.of(operand) for operand in step.operands if not operand.from_input]
        return sum(sum(frontier.values()) for frontier in given) == 1 and not self.parameters[step.index]

    def given(self, step: Step, setting: bool) -> dict[Source, int]:
        """Return which constants a node is given; noise on weights, and masks for them, leave these what they are."""
        found: dict[Source, int] = {}
        for operand in step.operands:
            free = self.keeps(step, operand) or (setting and self.could_be_setting(operand))
            if not operand.from_input and not free:
                found.update(self.of(operand))
        learned = bool(self.parameters[step.index])
        return {source: size for source, size in found.items() if not (learned and self.is_noise(source))}

    def is_noise(self, source: Source) -> bool:
        """Tell whether a source is random numbers, scaled, shifted or compared: no weights where they are added."""
        if source[0] == "random":
            return True
        made_of = self.parts.made.get(source, {})
        drawn = {inner for inner in made_of if self.is_noise(inner)}
        others = {inner: size for inner, size in made_of.items() if inner not in drawn}
        plain = all(inner[0] in ("literal", "factory") for inner in others)
        return bool(drawn) and plain and sum(others.values()) <= HANDFUL

    def scattered(self, step: Step, merged: Frontier, size: int) -> int:
        """Return how many numbers a formula makes that no longer follow from each other: many of few, or none."""
        least = FORMULA * sum(merged.values())
        drawn = any(source[0] == "random" for source in merged)
        if step.kind not in MIXING or drawn or size < least or self.parameters[step.index]:
            return 0
        found = self.subject.experiments.scattered(self.facts.mode, step.index)
        return found if found >= least else 0

    def bends(self, step: Step) -> bool:
        """Tell whether a node makes other numbers of constants, and not the same ones scaled and shifted."""
        if self.parameters[step.index]:
            return False
        several = sum(operand.size > 1 for operand in step.operands if self.of(operand)) > 1
        if step.kind == "arithmetic":
            return (several and step.plain not in ADDED) or any(map(self.is_whole, step.operands))
        return step.kind == "activation" and step.plain not in NEGATIONS

    def is_whole(self, operand: Operand) -> bool:
        """Tell whether an operand is made of integers: sums and products of these leave their highest bits out."""
        tensors = self.parts.tensors(self.of(operand))
        return any(self.subject.leaves[key].whole for key in tensors)

    def literals_in(self, step: Step) -> Frontier:
        """Return the numbers written into weights one by one: each is a weight of its own."""
        numbers = [number for number in literals(step) if number not in NEUTRAL]
        return {("literal", self.marks.of_step(step), place): 1 for place in range(len(numbers))} if numbers else {}

    def is_setting(self, step: Step) -> bool:
        """Tell whether a node scales a parameter by one number, or prunes it by zeros and ones: once for each."""
        if step.kind != "arithmetic":
            return False
        mark = self.marks.of_step(step)
        constant = [operand for operand in step.operands if self.could_be_setting(operand)]
        least = max((operand.size for operand in constant), default=1)
        others = [operand for operand in step.operands if operand not in constant and not operand.from_input]
        learned = {key for operand in others for key in self.behind(operand) if operand.size >= max(least, 2)}
        free = (key for key in sorted(learned) if self.subject.leaves[key].size >= max(least, 2))
        key = next((key for key in free if (key, least > 1) not in self.taken), None)
        if mark not in self.settings and key is not None:
            self.taken.add((key, least > 1))
            self.settings.add(mark)
        return mark in self.settings

    def behind(self, operand: Operand) -> frozenset[int]:
        """Return the parameters that a tensor is made of."""
        own = self.subject.parameter_ids & {operand.leaf}
        return own.union(*(self.parameters.get(writer, frozenset()) for writer in operand.writers))

    def could_be_setting(self, operand: Operand) -> bool:
        if operand.from_input or self.behind(operand):
            return False
        return operand.size == 1 or (operand.leaf is not None and self.subject.leaves[operand.leaf].binary)


def kept_statistics(subject: Subject) -> frozenset[int]:
    """Return the running statistics that a live batch normalisation updates in training."""
    found = set()
    for step in subject.facts["train"].steps:
        momentum = step.argument("momentum")
        renewed = momentum is None or (isinstance(momentum, (int, float)) and momentum >= RENEWED)
        live = step.index in subject.facts["train"].live
        if step.kind == "batch-norm" and live and step.argument("training") and renewed:
            for name in STATISTICS:
                operand = step.operand(name)
                if operand is not None:
                    found.add(operand.id)
    return frozenset(found)


def _unpacks(step: Step, count: int) -> bool:
    if step.short in CASTS and count <= GRID:
        return False
    rounded = step.node.kwargs.get("rounding_mode") is not None
    return rounded or step.plain in UNPACKING
