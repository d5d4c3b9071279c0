"""The model has fewer learned numbers than the limit.

Counted are all registered parameters, frozen and unused ones too, shared ones once: the number that
`sum(p.numel() for p in model.parameters())` gives. To these are added constants that do the work of weights: tensors
in lists and globals, buffers, literals and seeded random numbers that reach a convolution, a matrix product, a
normalisation or a factor. Statistics that a batch normalisation keeps, what torch's own weight and spectral
normalisation and pruning keep, one number repeated, and in total up to 16 numbers (the mean of a normalisation, an edge
filter) are not weights.

Numbers that are unpacked from fewer, by rounding or bit operations, count as unpacked.

## Options

- `below`: the count must be less than this.

## Examples

```python
# options: {"below": 200}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
```

```python
# options: {"below": 100}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))  # error: 100 parameters, limit is 100
```

Weights that are not registered count too:

```python
# options: {"below": 80}
filters = [torch.randn(10, 1, 3, 3)]

class Net(nn.Module):
    def forward(self, x):
        return F.conv2d(x, filters[0]).mean((2, 3))  # error: 90 parameters, limit is 80
```
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from grader.checks._head import pooled_head
from grader.checks._subject import MODES, Subject, times
from grader.facts import Facts, Operand, Step
from grader.finding import CheckResult, Finding, Span
from grader.graph import Arg, Items, TensorInfo

ID = "parameters"
SHRINKING = (90, 80, 75, 70, 60, 50, 40, 30, 25, 20, 10)  # percent of the channels, to choose from
WIDTH = 32  # the channels of the example
HANDFUL = 16  # constants up to this many in all are settings, not weights

# Where a constant changes a number by more than an offset: there it works as a weight.
ADDITIVE = frozenset(
    ("add", "sub", "subtract", "__rsub__", "rsub", "__radd__", "maximum", "minimum", "where", "masked_fill")
)
WEIGHING = frozenset(("conv", "dense", "batch-norm", "norm", "arithmetic", "recurrent", "attention", "activation"))

# One number each for an even tensor; the others count by size.
EVEN_FACTORIES = (
    "zeros",
    "ones",
    "full",
    "empty",
    "eye",
    "zeros_like",
    "ones_like",
    "full_like",
    "new_zeros",
    "new_ones",
    "new_full",
)
UNPACKING = frozenset(
    "floor ceil round trunc frac fmod remainder __mod__ __rmod__ __floordiv__ floor_divide bitwise_and bitwise_or "
    "bitwise_xor __and__ __or__ __xor__ __rshift__ __lshift__ bitwise_right_shift bitwise_left_shift "
    "int long short byte char float half bfloat16 double to type sin cos gt ge lt le eq ne greater less sign heaviside "
    "clamp relu threshold".split()
)

Source = tuple[Any, ...]  # ("constant", id), ("factory", …), ("random", node) or ("made of", sources, size)
Frontier = Mapping[Source, int]  # where constants come from → how many numbers that is


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`below`: the number of parameters must be less than this."""

    below: int


def check(subject: Subject, options: Options) -> CheckResult:
    hidden, places = constants(subject)
    count = subject.registered + hidden
    message = f"{count:,} parameters, limit is {options.below:,}"
    if count < options.below:
        return CheckResult(ID, "pass", message, measured=count, limit=options.below)
    reason = why(subject, hidden)
    if places:
        advice = "Write them as parameters, so that they are counted where they stand, and use fewer."
        found = Finding(ID, "error", message, reason, advice, place(subject, places))
    else:
        found = heaviest(subject, options, Finding(ID, "error", message, reason, "", place(subject, places)))
    return CheckResult(ID, "fail", message, (found,), count, options.below)


def why(subject: Subject, hidden: int) -> str:
    registered = subject.registered
    parts = []
    if hidden:
        parts.append(f"{registered:,} are registered, and {hidden:,} more are constants that work as weights.")
    largest = largest_of(subject)
    if largest is not None:
        size = subject.leaves[largest.id].size
        share = 100 * size / max(registered, 1)
        parts.append(
            f"The largest tensor is {largest.name} ({times(largest.shape or ())}): {size:,} numbers, {share:.0f} %."
        )
    return " ".join(parts)


def heaviest(subject: Subject, options: Options, found: Finding) -> Finding:
    """Return the finding with the way out of the layer that has the most parameters."""
    largest = largest_of(subject)
    readers = ((facts, step) for facts, step in subject.steps() if largest is not None and reads(step, largest))
    facts, step = next(readers, (None, None))
    if facts is None or step is None:
        return replace(found, fix="Use fewer channels, or smaller kernels.")
    found = replace(found, related=subject.made_here(step))
    head = pooled_head(subject, facts, step) if step.kind == "dense" else None
    if head is not None and head.after < subject.registered:
        fix = f"Replace that matrix by {head.code}: {head.parameters:,} parameters."
        return replace(found, fix=fix, after=head.after)
    return replace(found, fix=slimmer(subject, options))


def slimmer(subject: Subject, options: Options) -> str:
    """Return how much narrower the whole model has to be."""
    for percent in SHRINKING:
        count = sum(narrowed(info, percent / 100, subject) for info in subject.graph.of_role("parameter"))
        if count < options.below:
            shown = f"about {round(count, -2):,}" if count > 1000 else f"{count:,}"
            example = f"{WIDTH} become {round(WIDTH * percent / 100)}"
            return f"With {percent} % of the channels everywhere ({example}), {shown} parameters are left."
    return "Use fewer channels, smaller kernels and fewer layers."


def narrowed(info: TensorInfo, factor: float, subject: Subject) -> int:
    """Return about how many numbers a parameter has in a narrower model: the image and the classes keep theirs."""
    shape = info.shape or ()
    kept = (1, subject.classes) if len(shape) == 1 else (1,)
    size = 1
    for axis, extent in enumerate(shape):
        fixed = axis > 1 or extent in kept or (axis == 0 and extent == subject.classes)
        fixed = fixed or (axis == 1 and extent == subject.input_shape[0])
        size *= extent if fixed else max(1, round(extent * factor))
    return size


def reads(step: Step, info: TensorInfo) -> bool:
    return any(operand.id == info.id for operand in step.operands)


def largest_of(subject: Subject) -> TensorInfo | None:
    return max(subject.graph.of_role("parameter"), key=lambda info: subject.leaves[info.id].size, default=None)


def place(subject: Subject, places: list[Span | None]) -> Span | None:
    """Return where the constants are used, or the largest parameter."""
    largest = largest_of(subject)
    uses = [step.node.span for _, step in subject.steps() if largest is not None and reads(step, largest)]
    return next(iter([span for span in [*places, *uses] if span is not None]), subject.graph.span)


def constants(subject: Subject) -> tuple[int, list[Span | None]]:
    """Return how many constants work as weights, over both programs, and where; none up to a handful."""
    total: dict[Source, int] = {}
    places: list[Span | None] = []
    literals: set[float] = set()
    for mode in MODES:
        walk = _Walk(subject, subject.facts[mode])
        for step, frontier in walk.weights():
            total.update(frontier)
            places.append(step.node.span)
        literals |= walk.literals()
    count = sum(total.values()) + len(literals)
    return (count, places) if count > HANDFUL else (0, [])


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

    def weights(self) -> Iterator[tuple[Step, Frontier]]:
        """Yield the live nodes at which constants act as weights, with where these come from."""
        for step in self.facts.steps:
            if step.index not in self.facts.live or not step.from_input or step.kind not in WEIGHING:
                continue
            if step.kind == "arithmetic" and step.short.rstrip("_") in ADDITIVE:
                continue
            affine = [step.operand(name) for name in ("weight", "bias") if step.kind in ("batch-norm", "norm")]
            for operand in step.operands:
                if operand.from_input or operand.id in self.statistics:
                    continue
                frontier = self.of(operand)
                if operand in affine and frontier and operand.leaf is not None:
                    frontier = {("constant", operand.leaf): operand.size}  # even at the start, but one for each channel
                if step.kind == "arithmetic":  # random factors are masks and noise
                    frontier = {source: size for source, size in frontier.items() if source[0] != "random"}
                if frontier:
                    yield step, frontier

    def literals(self) -> set[float]:
        """Return the distinct factors written as Python numbers."""
        found = set()
        for step in self.facts.steps:
            if (
                step.index in self.facts.live
                and step.from_input
                and step.short in ("mul", "mul_", "div", "div_", "multiply")
            ):
                found |= {abs(float(item)) for item in step.node.args[1:2] if isinstance(item, float)}
        return found

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
        size = max((_size(shape) for shape in step.shapes), default=0)
        if step.kind == "random":
            return {("random", step.index): size}
        if step.kind == "factory":
            uneven = step.short not in EVEN_FACTORIES
            return {("factory", step.short, step.shapes, step.node.args): size if uneven else 1}
        merged: dict[Source, int] = {}
        for operand in step.operands:
            if not self.is_setting(step, operand):
                merged.update(self.of(operand))
        merged.update(self.literals_in(step))
        unpacks = step.short.rstrip("_") in UNPACKING
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
        numbers = [number for number in _numbers(step.node.args[1:]) if number not in (0.0, 1.0, -1.0)]
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


def _numbers(arguments: Iterable[Arg]) -> Iterator[float]:
    for argument in arguments:
        if isinstance(argument, Items):
            yield from _numbers(argument.items)
        elif isinstance(argument, (int, float)) and not isinstance(argument, bool):
            yield float(argument)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
