"""The steps of the generated forward: nodes and calls of layers, both modes in one list where that is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from grader.graph import Arg, Graph, Items, Node, Ref, Slice, Symbol, refs

INPUT = 0  # the id of the graph's input
LOOKAHEAD = 20  # steps of training mode alone, in a row, beyond which two programs count as different

TRAINING = Symbol("self.training")
PREDICTING = Symbol("not self.training")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a forward: a node, or a call of a layer that stands for some; `training` is for that mode alone."""

    node: Node
    layer: str = ""
    training: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """What one forward does and returns; `updates` are those of `Program`, in training mode alone where `training`."""

    steps: tuple[Step, ...]
    output: Arg
    updates: tuple[tuple[int, int], ...] = ()
    training: bool = False


def last_reads(steps: Sequence[Step], *kept: Arg) -> dict[int, int]:
    """Return for each tensor the number of the last step that reads it; what is kept is read after all of them."""
    last: dict[int, int] = {}
    for number, step in enumerate(steps):
        last.update(dict.fromkeys(refs(*step.node.args, *step.node.kwargs.values()), number))
    return {**last, **dict.fromkeys(refs(*kept), len(steps))}


def merged(graph: Graph, evaluation: Sequence[Step], training: Sequence[Step]) -> Forward | None:
    """Return both modes as one forward that asks `self.training`; None where they differ in more than that.

    Training mode may have steps of its own, which put a tensor in the place of one that nothing reads any more.
    """
    merger = _Merger(graph, training)
    place = 0
    for step in evaluation:
        ahead = training[place : place + LOOKAHEAD]
        length = next((number for number, other in enumerate(ahead) if _alike(step, other)), None)
        if length is None:
            return None
        merger.alone(place, place + length)
        if not merger.common(step, place + length):
            return None
        place += length + 1
    merger.alone(place, len(training))
    output = merger.argument(graph.eval.output, graph.train.output)
    updates = tuple((kept, merger.renamed.get(taken, taken)) for kept, taken in graph.train.updates)
    paired = tuple((kept, merger.ids.get(taken, -1)) for kept, taken in updates)
    if output is None or graph.eval.updates not in ((), paired):
        return None
    return Forward(merger.result(), output[0], updates, training=not graph.eval.updates)


def _alike(one: Step, other: Step) -> bool:
    """Tell whether two steps may be the same line: what they are given is compared later."""
    if one.layer or other.layer:
        return one.layer == other.layer
    nodes = (one.node, other.node)
    return len({(node.op, node.module, node.grad, node.span, len(node.outputs)) for node in nodes}) == 1


class _Merger:
    """Walks through both programs at once; `ids` tells for a tensor of training mode which it is in evaluation mode.

    What both have is written with the names of training mode: there, two tensors may be what in evaluation is one.
    `renamed` are tensors that training mode alone makes, and in whose place they stand from then on.
    """

    def __init__(self, graph: Graph, training: Sequence[Step]) -> None:
        self.training = training
        self.ids = {info.id: info.id for info in graph.tensors}
        self.leaves = frozenset(self.ids) - {INPUT}
        kept = (graph.train.output, *(Ref(taken) for _, taken in graph.train.updates))
        self.last = last_reads(training, *kept)
        self.born: dict[int, int] = {}  # a tensor → the step of training mode that made it
        self.alone_made: set[int] = set()  # tensors that training mode alone makes
        self.renamed: dict[int, int] = {}
        self.steps: list[Step] = []

    def alone(self, start: int, end: int) -> None:
        """Take steps of training mode."""
        for number in range(start, end):
            step = self.training[number]
            made = [key for key in step.node.outputs if key not in self.ids and key not in self.born]
            self.alone_made.update(made)
            self.born.update(dict.fromkeys(made, number))
            self.steps.append(replace(step, training=True))

    def common(self, one: Step, number: int) -> bool:
        """Take the step that both modes have; tell whether they work on the same."""
        other = self.training[number]
        names = tuple(one.node.kwargs)
        if one.node.kwargs.keys() != other.node.kwargs.keys():
            return False
        given = [(*step.node.args, *(step.node.kwargs[name] for name in names)) for step in (one, other)]
        found = self.pairs(*given)
        if found is None:
            return False
        outputs = [self.renamed.get(key, key) for key in other.node.outputs]
        if any(self.ids.setdefault(twin, key) != key for key, twin in zip(one.node.outputs, outputs, strict=True)):
            return False
        self.born.update({key: self.born.get(key, number) for key in outputs})
        split = len(other.node.args)
        changes = {"args": found[:split], "kwargs": dict(zip(names, found[split:], strict=True))}
        self.steps.append(replace(other, node=msgspec.structs.replace(other.node, **changes)))
        return True

    def pairs(self, one: Sequence[Arg], other: Sequence[Arg]) -> tuple[Arg, ...] | None:
        if len(one) != len(other):
            return None
        found = [self.argument(a, b) for a, b in zip(one, other, strict=True)]
        return None if None in found else tuple(item[0] for item in found if item is not None)

    def argument(self, one: Arg, other: Arg) -> tuple[Arg] | None:
        """Return the argument that holds in both modes, in a tuple, as it may be None; None where there is none."""
        if isinstance(one, Ref) and isinstance(other, Ref):
            return self.tensor(one.id, other.id)
        if isinstance(one, Items) and isinstance(other, Items):
            items = self.pairs(one.items, other.items)
            return None if items is None else (Items(items),)
        if isinstance(one, Slice) and isinstance(other, Slice):
            parts = self.pairs((one.start, one.stop, one.step), (other.start, other.stop, other.step))
            return None if parts is None else (Slice(*parts),)
        if isinstance(one, bool) and isinstance(other, bool) and one != other:
            return (TRAINING if other else PREDICTING,)
        return (other,) if type(one) is type(other) and one == other else None

    def tensor(self, one: int, other: int) -> tuple[Arg] | None:
        """Return the tensor that is `one` in evaluation and `other` in training mode, in a tuple; None for two."""
        other = self.renamed.get(other, other)
        if other in self.alone_made:
            place = self.place(one, other)
            if place is None:
                return None
            self.renamed[other] = place
            self.last[place] = self.last[other]
            other = place
        return (Ref(other),) if self.ids.get(other) == one else None

    def place(self, one: int, other: int) -> int | None:
        """Return the tensor, `one` in evaluation mode, that nothing reads any more once training mode makes `other`."""
        made = self.born[other]
        return next(
            (
                key
                for key, twin in reversed(self.ids.items())
                if twin == one
                and key not in self.leaves
                and self.born.get(key, -1) < made
                and self.last.get(key, -1) <= made
            ),
            None,
        )

    def result(self) -> tuple[Step, ...]:
        """Return the steps, each tensor under the name that it has in the end."""
        return tuple(replace(step, node=_renamed(step.node, self.renamed)) for step in self.steps)


def _renamed(node: Node, names: Mapping[int, int]) -> Node:
    if not names:
        return node
    return msgspec.structs.replace(
        node,
        args=tuple([_other(argument, names) for argument in node.args]),
        kwargs={name: _other(argument, names) for name, argument in node.kwargs.items()},
        outputs=tuple([names.get(key, key) for key in node.outputs]),
    )


def _other(argument: Arg, names: Mapping[int, int]) -> Arg:
    if isinstance(argument, Ref):
        return Ref(names.get(argument.id, argument.id))
    if isinstance(argument, Items):
        return Items(tuple([_other(item, names) for item in argument.items]))
    if isinstance(argument, Slice):
        return Slice(*[_other(part, names) for part in (argument.start, argument.stop, argument.step)])
    return argument
