"""What the trusted side observed when it ran a graph: shapes, data flow, where the maps are. Plain data, no torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from grader.graph import Arg, Items, Mode, Node, Ref, Size
from grader.kinds import DEFAULTS, TAKE_A_SHAPE, Kind, plain, signature

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that a node was given.

    `writers` are the indexes of the nodes that made this tensor or wrote into its memory; `leaf` is its id where it is
    a tensor of the graph itself. `axes` are the spatial axes where it is a map; `flattened` tells that it holds
    positions of a map along its other axes, `single` that it has one position alone, or copies of it.
    """

    id: int
    shape: Shape
    writers: tuple[int, ...]
    leaf: int | None
    from_input: bool
    axes: Shape = ()
    flattened: bool = False
    single: bool = False

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def is_map(self) -> bool:
        return math.prod(self.shape[axis] for axis in self.axes) > 1


@dataclass(frozen=True, slots=True)
class Step:
    """A node with what was observed of it: `shapes` and `axes` are those of its outputs, in order."""

    index: int
    node: Node
    kind: Kind
    operands: tuple[Operand, ...]
    shapes: tuple[Shape, ...]
    from_input: bool
    axes: tuple[Shape, ...]
    macs: int
    wrote: bool  # worked in place on a tensor that it was given

    @property
    def short(self) -> str:
        """The operator's short name: 'conv2d' for torch.nn.functional.conv2d."""
        return self.node.op.rpartition(".")[2]

    @property
    def plain(self) -> str:
        """The short name without the underscore of in-place forms."""
        return plain(self.short)

    @property
    def used(self) -> tuple[Operand, ...]:
        """The operands of which it takes the numbers, and not the shape or the type alone."""
        return self.operands[:1] if self.short in TAKE_A_SHAPE else self.operands

    @property
    def makes_map(self) -> bool:
        """Whether an output is a map of more than one position."""
        pairs = zip(self.shapes, self.axes, strict=True)
        return any(math.prod(shape[axis] for axis in axes) > 1 for shape, axes in pairs)

    def argument(self, name: str) -> Any:
        """Return an argument by its parameter's name: a literal, a Ref, or the operator's own default."""
        return named_arguments(self.node).get(name, DEFAULTS.get(self.node.op, {}).get(name))

    def operand(self, name: str) -> Operand | None:
        """Return the tensor given for a parameter, None where none was."""
        argument = named_arguments(self.node).get(name)
        if not isinstance(argument, Ref):
            return None
        return next(operand for operand in self.operands if operand.id == argument.id)


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the checks need to know of the numbers in a tensor of the graph."""

    size: int
    distinct: int  # numbers, without those that repeat others along a whole axis
    binary: bool  # zeros and ones only
    whole: bool = False  # integers


@dataclass(frozen=True)
class Facts:
    """All that was observed of one program, in order.

    `output` are the tensors that it returns, in order; the prediction is at `place` among them, and `finite` tells
    whether all its numbers are.
    """

    mode: Mode
    batch: int
    steps: tuple[Step, ...]
    output: tuple[Operand, ...]
    finite: bool
    place: int = 0
    plain: Facts | None = None

    @property
    def given(self) -> Facts:
        """These facts with all that the input was given to following it, whether it showed on an image or not."""
        return self.plain or self

    @cached_property
    def live(self) -> frozenset[int]:
        """The indexes of the nodes that the output may depend on."""
        return frozenset(self.behind(self.output))

    @cached_property
    def readers(self) -> Mapping[int, Sequence[Step]]:
        """The nodes that read what a node made or wrote, by its index."""
        found: dict[int, list[Step]] = {}
        for step in self.steps:
            for writer in {writer for operand in step.operands for writer in operand.writers}:
                found.setdefault(writer, []).append(step)
        return found

    @cached_property
    def makers(self) -> Mapping[int, Step]:
        """The node that made a tensor first, by the tensor's id."""
        return {key: step for step in reversed(self.steps) for key in step.node.outputs}

    def behind(self, operands: Iterable[Operand]) -> Iterator[int]:
        """Yield the indexes of all nodes that these operands may depend on."""
        seen: set[int] = set()
        stack = [writer for operand in operands for writer in operand.writers]
        while stack:
            index = stack.pop()
            if index not in seen:
                seen.add(index)
                yield index
                stack.extend(writer for operand in self.steps[index].operands for writer in operand.writers)

    def live_steps(self, *kinds: Kind) -> tuple[Step, ...]:
        """Return the live nodes of these kinds, in order."""
        return tuple(step for step in self.steps if step.kind in kinds and step.index in self.live)

    def following(self, indexes: frozenset[int]) -> Facts:
        """Return these facts with the nodes of these indexes, and no others, following the input."""

        def corrected(operand: Operand) -> Operand:
            if operand.id == 0 and not operand.writers:
                return operand
            return replace(operand, from_input=any(writer in indexes for writer in operand.writers))

        steps = tuple(
            replace(step, from_input=step.index in indexes, operands=tuple(map(corrected, step.operands)))
            for step in self.steps
        )
        return replace(self, steps=steps, output=tuple(map(corrected, self.output)), plain=self)

    @property
    def primary(self) -> Operand | None:
        """The tensor that is taken for the prediction."""
        return self.output[self.place] if self.output else None


def named_arguments(node: Node) -> Mapping[str, Arg]:
    """Return a node's arguments by the names of their parameters, as far as these are known."""
    return {**dict(zip(signature(node.op), node.args, strict=False)), **_renamed(node.kwargs)}


def _renamed(kwargs: Mapping[str, Arg]) -> dict[str, Arg]:
    """Give keywords that have a second name in torch their first one."""
    if not kwargs:
        return {}
    other_names = {"axis": "dim", "train": "training", "self": "input", "vec": "other"}
    if "mat1" in kwargs or "batch1" in kwargs:  # torch.addmm(input=bias, mat1=…, mat2=…)
        other_names |= {"input": "bias", "mat1": "input", "batch1": "input", "batch2": "other"}
    other_names["mat2"] = "other"
    return {other_names.get(name, name): value for name, value in kwargs.items()}


def integers(argument: Arg, batch: int = 0) -> tuple[int, ...]:
    """Return the integers of an argument that is one or a sequence of them; empty where it is anything else."""
    if isinstance(argument, bool):
        return ()
    if isinstance(argument, int):
        return (argument,)
    if isinstance(argument, Size):
        return (argument.at(batch),)
    if isinstance(argument, Items):
        found = tuple(number for item in argument.items for number in integers(item, batch))
        return found if len(found) == len(argument.items) else ()
    return ()
