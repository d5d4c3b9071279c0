"""Several traces of one forward → one program: integers that follow the batch size, constants that never change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NoReturn

import torch
from torch import Tensor

from grader.finding import Span
from grader.graph import Arg, Items, Node, Program, Ref, Size, Slice, Symbol
from grader.protocol import Refusal
from grader.worker.refusal import Refused
from grader.worker.trace import Raw, Record, Trace, Value


class Differs(Exception):
    """Two traces of one forward that don't agree, and where."""

    def __init__(self, what: str, span: Span | None, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.span = span
        self.fix = fix


@dataclass
class Constants:
    """The constants of a graph: tensors that no call made. Both programs share those with the same numbers."""

    first_id: int
    tensors: dict[int, Tensor] = field(default_factory=dict)
    spans: dict[int, Span | None] = field(default_factory=dict)

    def add(self, tensor: Tensor, span: Span | None, taken: set[int]) -> int:
        """Return the id of a constant; `taken` are those that this program uses for other tensors already."""
        for key, known in self.tensors.items():
            if key not in taken and same_numbers(known, tensor):
                return key
        key = self.first_id + len(self.tensors)
        self.tensors[key] = tensor
        self.spans[key] = span
        return key


class Merger:
    """Merges two traces, made at two batch sizes with different inputs and seeds, into a program."""

    def __init__(
        self, small: Trace, large: Trace, batches: tuple[int, int], constants: Constants, first_result: int
    ) -> None:
        self.small = small
        self.large = large
        self.batches = batches
        self.constants = constants
        self.next_id = first_result
        self.ids: dict[int, int] = {}  # value of the small trace → id
        self.pairs: dict[int, int] = {}  # value of the small trace → value of the large one
        self.taken: set[int] = set()
        self.span: Span | None = None
        self.alive: list[Value] = []
        self.divides = False  # a number is a part of the batch size, or one that changes by itself

    def program(self) -> Program:
        """Return the merged program.

        Raises:
            Differs: the two traces are not of one and the same computation.
        """
        small, large = self.small.records, self.large.records
        if len(small) != len(large):
            place = next((i for i, (a, b) in enumerate(zip(small, large, strict=False)) if a.op != b.op), -1)
            raise Differs(f"{len(small)} torch calls in one forward, {len(large)} in another", small[place].span)
        nodes: list[Node] = []
        for one, other in zip(small, large, strict=True):
            self.span = one.span
            if one.op != other.op:
                raise Differs(f"{_short(one)} in one forward is {_short(other)} in another", one.span)
            node = self.node(one, other)
            if node is not None:
                nodes.append(node)
        self.span = None
        output = self.merge(self.small.output, self.large.output)
        if [kept for kept, _ in self.small.updates] != [kept for kept, _ in self.large.updates]:
            raise Differs("forward assigns other state", None)
        updates = tuple(
            (kept, self.merge_value(one, other).id)
            for (kept, one), (_, other) in zip(self.small.updates, self.large.updates, strict=True)
        )
        return Program(tuple(nodes), output, updates)

    def node(self, one: Record, other: Record) -> Node | None:
        """Return the node of a pair of records; None where a seeded factory turned out to be a constant."""
        if one.random and other.random and all(map(_seeded, one.random, other.random)):
            for value, twin, content in zip(one.outputs, other.outputs, one.random, strict=True):
                value.content, twin.content = content, content
            return None
        args = tuple([self.merge(a, b) for a, b in _zip(one.args, other.args, self.span)])
        if one.kwargs.keys() != other.kwargs.keys():
            raise Differs(f"{_short(one)} is called with other keywords", one.span)
        kwargs = {name: self.merge(one.kwargs[name], other.kwargs[name]) for name in one.kwargs}
        outputs = tuple([self.result(a, b) for a, b in _zip(one.outputs, other.outputs, self.span)])
        return Node(one.op, args, kwargs, outputs, one.module, one.grad, one.span)

    def result(self, one: Value, other: Value) -> int:
        if id(one) not in self.ids and one.leaf is None and one.content is None:
            self.ids[id(one)] = self.next_id
            self.pairs[id(one)] = id(other)
            self.alive += [one, other]
            self.next_id += 1
        return self.merge_value(one, other).id

    def merge(self, one: Raw, other: Raw) -> Arg:
        """Return the argument that stands for both."""
        if isinstance(one, Value) or isinstance(other, Value):
            if not (isinstance(one, Value) and isinstance(other, Value)):
                raise Differs("an argument is a tensor in one forward only", self.span)
            return self.merge_value(one, other)
        if type(one) is not type(other):
            raise Differs(f"an argument is {one!r} in one forward and {other!r} in another", self.span)
        merge = MERGERS.get(type(one))
        if merge is not None:
            return merge(self, one, other)
        if one != other:
            raise Differs(f"an argument is {one!r} in one forward and {other!r} in another", self.span)
        return one  # type: ignore[no-any-return]

    def integers(self, one: int, other: int) -> Arg:
        if one == other:
            return one
        between = self.batches[1] - self.batches[0]
        if not between:
            raise Differs(f"a number is {one} in one forward and {other} in another", self.span)
        slope = Fraction(other - one, between)
        scale, divisor = slope.numerator, slope.denominator
        self.divides = self.divides or divisor > 1
        return Size(scale, one * divisor - scale * self.batches[0], divisor)

    def floats(self, one: float, other: float) -> Arg:
        if one != other and not (math.isnan(one) and math.isnan(other)):
            raise Differs(f"a number is {one!r} in one forward and {other!r} in another", self.span)
        return one if math.isfinite(one) else Symbol(str(one))

    def sequences(self, one: list[Raw], other: list[Raw]) -> Arg:
        return Items(tuple([self.merge(a, b) for a, b in _zip(one, other, self.span)]))

    def slices(self, one: slice, other: slice) -> Arg:
        pairs = ((one.start, other.start), (one.stop, other.stop), (one.step, other.step))
        return Slice(*[self.merge(a, b) for a, b in pairs])

    def merge_value(self, one: Value, other: Value) -> Ref:
        if one.leaf is not None or other.leaf is not None:
            if one.leaf != other.leaf:
                raise Differs("another parameter or buffer is used", self.span)
            return Ref(one.leaf or 0)
        key = id(one)
        if key in self.ids:
            if self.pairs[key] != id(other):
                raise Differs("a tensor comes from another place", self.span)
            return Ref(self.ids[key])
        if one.content is None or other.content is None:
            raise Differs("a tensor comes from another place", self.span)
        if not same_numbers(one.content, other.content):
            if one.learned:
                fix = "Make layers in __init__, as self.conv = …, and only call them in forward."
                raise Differs("a layer is made anew in it", self.span or one.span, fix)
            raise Differs("a tensor that no recorded call made has other numbers each time", self.span or one.span)
        constant = self.constants.add(one.content, one.span or self.span, self.taken)
        self.taken.add(constant)
        self.ids[key] = constant
        self.pairs[key] = id(other)
        self.alive += [one, other]
        return Ref(constant)


MERGERS: dict[type, Callable[..., Arg]] = {
    int: Merger.integers,
    float: Merger.floats,
    list: Merger.sequences,
    slice: Merger.slices,
}


def same_numbers(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are identical to the bit."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(*[tensor.contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)])


def _seeded(one: Tensor, other: Tensor) -> bool:
    """Random numbers that are the same under two seeds do not follow the seed."""
    return one.numel() > 1 and same_numbers(one, other)


def _short(record: Record) -> str:
    return record.op.rpartition(".")[2]


def _zip(one: Raw, other: Raw, span: Span | None) -> list[tuple[Raw, Raw]]:
    if len(one) != len(other):
        raise Differs(f"a sequence has {len(one)} elements in one forward and {len(other)} in another", span)
    return list(zip(one, other, strict=True))


def refuse(differs: Differs, same_batch: bool) -> NoReturn:
    """Raise the refusal for traces that differ: at one batch size because of the data, else because of the size."""
    if same_batch:
        raise Refused(
            Refusal(
                "data-dependent",
                f"forward does not compute the same each time: {differs.what}",
                why="The grade is a statement about one fixed computation; this one changes from call to call.",
                fix=differs.fix
                or "Make forward the same for every input: no if on values, no Python randomness, no counters.",
                span=differs.span,
            )
        )
    raise Refused(
        Refusal(
            "data-dependent",
            f"forward depends on the batch size: {differs.what}",
            why="A loop over the images, or a number made of the batch size, is another computation for each batch.",
            fix="Let one tensor operation work on the whole batch; x.size(0) may be used in view and reshape.",
            span=differs.span,
        )
    )
