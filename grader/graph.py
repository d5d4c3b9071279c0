"""The graph of a submission: frozen plain data that crosses the process border and that every verdict is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Union

import msgspec

from grader.finding import Span

Mode = Literal["eval", "train"]
Role = Literal["input", "parameter", "buffer", "constant"]


class Ref(msgspec.Struct, frozen=True, tag="ref"):
    """A tensor, by its id: an entry of `Graph.tensors` or an output of an earlier node."""

    id: int


class Size(msgspec.Struct, frozen=True, tag="size"):
    """An integer that follows the batch size B: `(scale * B + offset) // divisor`."""

    scale: int
    offset: int
    divisor: int = 1

    def at(self, batch: int) -> int:
        return (self.scale * batch + self.offset) // self.divisor


class Items(msgspec.Struct, frozen=True, tag="items"):
    """A list or a tuple of arguments."""

    items: tuple[Arg, ...]


class Slice(msgspec.Struct, frozen=True, tag="slice"):
    """A Python slice, each bound None, an integer or a Size."""

    start: Arg
    stop: Arg
    step: Arg


class Symbol(msgspec.Struct, frozen=True, tag="symbol"):
    """A value without a JSON form: 'float32', 'channels_last', '...', 'inf', '-inf', 'nan'."""

    name: str


Arg = Union[None, bool, int, float, str, Ref, Size, Items, Slice, Symbol]


class TensorInfo(msgspec.Struct, frozen=True):
    """A tensor that no node computes.

    `shape` is None for the input alone, whose first axis is the batch. `aliases` are further registered names of the
    same parameter. `trainable` is the parameter's own `requires_grad`.
    """

    id: int
    role: Role
    name: str = ""
    shape: tuple[int, ...] | None = None
    trainable: bool = False
    aliases: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """One torch call: `op` is its public name, `outputs` the ids of the tensors it returned, in order.

    A call that works in place returns the id it was given. `module` is the dotted path of the module whose forward made
    the call ('' for the model itself); `grad` the gradient mode; `span` the nearest place inside the submission.
    """

    op: str
    args: tuple[Arg, ...]
    kwargs: dict[str, Arg]
    outputs: tuple[int, ...]
    module: str = ""
    grad: bool = True
    span: Span | None = None


class Program(msgspec.Struct, frozen=True):
    """What one forward does, in order, with its result. Nodes run one after the other; some work in place.

    `updates` are pairs (tensor of the graph, tensor that takes its place after this forward): state that a module keeps
    by assignment.
    """

    nodes: tuple[Node, ...]
    output: Arg
    updates: tuple[tuple[int, int], ...] = ()


class Module(msgspec.Struct, frozen=True):
    """A registered module: its path, its class's public name, where its class or its construction stands."""

    path: str
    type: str
    span: Span | None = None
    calls: int = 0


class Graph(msgspec.Struct, frozen=True):
    """What a submission computes, in both modes, over one table of tensors.

    `custom_gradient` holds places of custom autograd functions: their forward is in the graph, their backward is not.
    """

    name: str
    tensors: tuple[TensorInfo, ...]
    eval: Program
    train: Program
    modules: tuple[Module, ...] = ()
    custom_gradient: tuple[Span, ...] = ()
    span: Span | None = None

    def program(self, mode: Mode) -> Program:
        return self.eval if mode == "eval" else self.train

    def of_role(self, role: Role) -> tuple[TensorInfo, ...]:
        return tuple(info for info in self.tensors if info.role == role)


def refs(*arguments: Arg) -> Iterator[int]:
    """Yield the ids of all tensors inside arguments, in order."""
    for argument in arguments:
        if isinstance(argument, Ref):
            yield argument.id
        elif isinstance(argument, Items):
            yield from refs(*argument.items)
        elif isinstance(argument, Slice):
            yield from refs(argument.start, argument.stop, argument.step)


def read_ids(node: Node) -> tuple[int, ...]:
    """Return the ids of the tensors that a node is given, in order."""
    return tuple(refs(*node.args, *node.kwargs.values()))
