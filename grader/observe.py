"""One run of a graph within limits, and what is seen of it: who wrote which memory, and what came out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from grader import cost, ops
from grader.facts import Facts, Operand, Step
from grader.graph import Arg, Items, Mode, Node, Ref, read_ids
from grader.layout import all_single, leaves_single, mixes_positions, output_axes, writes_channels
from grader.replay import INPUT, Replay, ReplayError, Values, prediction, tensors_in

KNOWN_TYPES = frozenset(ops.SYMBOLS[name] for name in ops.DTYPES)


def observe(replay: Replay, mode: Mode, images: Tensor, limits: cost.Limits) -> tuple[Facts, list[Tensor]]:
    """Run one program once, within limits, and return what was seen of it, and the tensors of its output.

    Every node's memory and arithmetic are bounded from the shapes of its arguments before it runs.

    Raises:
        ReplayError: a node could not be run or would cost too much.
    """
    observer = _Observer(replay, mode, len(images), limits)
    with torch.no_grad():
        state = replay.state()
        observer.begin({**state, INPUT: images})
        output = replay.run(mode, images, state, observer.around)
    found = list(tensors_in(output))
    return observer.facts(found), found


def run_within(replay: Replay, mode: Mode, images: Tensor, limits: cost.Limits) -> list[Tensor]:
    """Run one program once, within limits, and return the tensors of its output.

    Raises:
        ReplayError: a node could not be run or would cost too much.
    """
    meter = cost.Meter(limits)

    def around(index: int, op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        try:
            meter.charge(op, args, kwargs)
        except cost.TooDear as error:
            raise ReplayError(str(error), mode, index) from None
        return op.run(*args, **kwargs)

    with torch.no_grad():
        return list(tensors_in(replay.run(mode, images, replay.state(), around)))


class _Observer:
    """Follows one run: who wrote which memory, and what came out."""

    def __init__(self, replay: Replay, mode: Mode, batch: int, limits: cost.Limits) -> None:
        self.nodes = replay.graph.program(mode).nodes
        self.result = replay.graph.program(mode).output
        self.classes = replay.classes
        self.mode: Mode = mode
        self.batch = batch
        self.meter = cost.Meter(limits)
        self.steps: list[Step] = []
        self.writers: dict[int, int] = {}  # memory → the node that wrote it last
        self.maker: dict[int, int] = {}  # tensor id → node that returned it last
        self.axes: dict[int, tuple[int, ...]] = {INPUT: ()}
        self.flat: dict[int, bool] = {}
        self.single: dict[int, bool] = {}
        self.filled: dict[int, bool] = {}  # memory that is written to → whether all of that has one position alone
        self.in_parts: set[int] = set()  # memory of which a part was overwritten: its positions are no longer alike
        self.owner: dict[int, int] = {}  # memory → tensor of the graph
        self.alive: list[Any] = []  # memory is told apart by its address: nothing may be freed
        self.from_input: list[bool] = []

    def begin(self, values: Values) -> None:
        self.owner = {_memory(tensor): key for key, tensor in values.items()}
        self.axes[INPUT] = tuple(range(2, values[INPUT].dim()))
        self.alive.append(values)
        self.values = values

    def around(self, index: int, op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        self.values = values
        node = self.nodes[index]
        given = [(key, values[key]) for key in dict.fromkeys(read_ids(node))]
        operands = tuple(self.operand(key, tensor) for key, tensor in given)
        try:
            macs = self.meter.charge(op, args, kwargs)
        except cost.TooDear as error:
            raise ReplayError(str(error), self.mode, index) from None
        versions = [tensor._version for _, tensor in given]
        result = op.run(*args, **kwargs)
        from_input = op.reads_numbers and any(operand.from_input for operand in operands)
        self.from_input.append(from_input)
        found = list(tensors_in(result))
        self.alive.append((given, found))
        written = [tensor for (_, tensor), version in zip(given, versions, strict=True) if tensor._version != version]
        in_parts = op.kind == "write" and not writes_channels(node, operands)
        for tensor in written:
            if in_parts or tensor.numel() < tensor.untyped_storage().nbytes() // tensor.element_size():
                self.in_parts.add(_memory(tensor))
            others = [operand for operand, (_, own) in zip(operands, given, strict=True) if own is not tensor]
            self.filled[_memory(tensor)] = all_single("write", others) and self.filled.get(_memory(tensor), True)
        for tensor in written:  # a writer was given the memory too, so it leads on to the writers before it
            self.writers[_memory(tensor)] = index
        self.settle(index, node, op, operands, found, written, macs)
        return result

    def settle(
        self,
        index: int,
        node: Node,
        op: ops.Op,
        operands: tuple[Operand, ...],
        found: list[Tensor],
        written: list[Tensor],
        macs: int,
    ) -> None:
        """Note the outputs of a node, and the step."""
        shapes = tuple(tuple(tensor.shape) for tensor in found)
        axes = tuple(output_axes(op.kind, node, operands, shape) for shape in shapes)
        given = {operand.id for operand in operands}
        if any(tensor.device.type != "cpu" or tensor.dtype not in KNOWN_TYPES for tensor in found):
            raise ReplayError(f"{op.short} makes numbers of a type that is not supported", self.mode, index)
        if any(len(shape) > ops.MAX_AXES for shape in shapes):
            raise ReplayError(f"{op.short} makes a tensor of more than {ops.MAX_AXES} axes", self.mode, index)
        for key, tensor, shape, where in zip(node.outputs, found, shapes, axes, strict=False):
            if key in given:
                if tensor is not self.values[key]:
                    raise ReplayError("a node returned another tensor than it was given", self.mode, index)
                if not any(tensor is other for other in written):
                    continue  # returned as it was: still the work of who made it
            self.maker[key] = index
            self.axes[key] = where
            is_map = math.prod(shape[axis] for axis in where) > 1
            self.flat[key] = mixes_positions(op.kind, operands, shape, is_map)
            self.single[key] = leaves_single(op.kind, operands, shape, is_map)
        wrote = bool(written)
        self.steps.append(Step(index, node, op.kind, operands, shapes, self.from_input[index], axes, macs, wrote))

    def operand(self, key: int, tensor: Tensor) -> Operand:
        memory = _memory(tensor)
        writers = [found[place] for found, place in ((self.writers, memory), (self.maker, key)) if place in found]
        from_input = self.owner.get(memory) == INPUT or any(self.from_input[writer] for writer in writers)
        leaf = key if key not in self.maker and self.owner.get(memory) == key else None
        return Operand(
            key,
            tuple(tensor.shape),
            tuple(sorted(set(writers))),
            leaf,
            from_input,
            self.axes.get(key, ()) if memory not in self.in_parts else (),
            self.flat.get(key, False),
            self.single.get(key, False) or self.is_filled(key, memory),
        )

    def is_filled(self, key: int, memory: int) -> bool:
        """Tell whether all that a tensor has of an image was written into it, and has one position alone."""
        own = self.maker.get(key)
        return self.filled.get(memory, False) and own is not None and not self.from_input[own]

    def facts(self, found: list[Tensor]) -> Facts:
        returned = tuple(self.operand(key, tensor) for key, tensor in zip(_returned(self.result), found, strict=True))
        scores = prediction(found, self.classes)
        finite = scores is None or bool(torch.isfinite(scores).all())
        place = next((place for place, tensor in enumerate(found) if tensor is scores), 0)
        return Facts(self.mode, self.batch, tuple(self.steps), returned, finite, place)


def _returned(output: Arg) -> Iterator[int]:
    """Yield the ids of the tensors that `tensors_in` finds in an output: those that bound a slice are not returned."""
    if isinstance(output, Items):
        for item in output.items:
            yield from _returned(item)
    elif isinstance(output, Ref):
        yield output.id


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
