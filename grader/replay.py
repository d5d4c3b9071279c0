"""Run a graph on the trusted side: decoded nodes, torch's own functions, nothing of the submission."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.graph import Arg, Graph, Items, Mode, Node, Ref, Size, Slice, Symbol

Values = dict[int, Tensor]
Build = Callable[[Mapping[int, Tensor], int], Any]
Around = Callable[[int, ops.Op, tuple[Any, ...], dict[str, Any], Values], Any]

INPUT = 0  # the id of the graph's input


class ReplayError(Exception):
    """A graph that can't be run: `index` is the node's place in the program of `mode`."""

    def __init__(self, message: str, mode: Mode, index: int | None = None) -> None:
        super().__init__(message)
        self.mode = mode
        self.index = index


@dataclass(frozen=True, slots=True)
class _Instruction:
    op: ops.Op
    args: Build
    kwargs: Build
    outputs: tuple[int, ...]
    grad: bool


class Replay:
    """A graph made ready to run, any number of times, on any batch."""

    def __init__(self, graph: Graph, tensors: Mapping[int, Tensor], classes: int | None = None) -> None:
        """Compile a decoded graph; `tensors` holds its parameters, buffers and constants by id."""
        self.graph = graph
        self.classes = classes
        self.tensors = dict(tensors)
        self._programs = {mode: _compile(graph.program(mode).nodes) for mode in ("eval", "train")}
        self._outputs = {mode: _builder(graph.program(mode).output) for mode in ("eval", "train")}

    def state(self) -> Values:
        """Return fresh copies of all tensors of the graph: running a program may write into them."""
        return {key: tensor.clone() for key, tensor in self.tensors.items()}

    def run(self, mode: Mode, images: Tensor, state: Values, around: Around | None = None, start: int = 0) -> Any:
        """Run one program on images of shape (N, C, H, W) and return its output as the submission shaped it.

        `state` is read and, by nodes that work in place, written. `around` is called in place of each operator, with
        the node's index, the operator, its arguments and all values so far. A run that begins at node `start` finds the
        results of the nodes before it in `state`.

        Raises:
            ReplayError: a node could not be run, or returned another number of tensors than the graph says.
        """
        values: Values = {**state, INPUT: images}
        batch = len(images)
        tracking = torch.is_grad_enabled()
        for index, step in enumerate(self._programs[mode][start:], start):
            try:
                args, kwargs = step.args(values, batch), step.kwargs(values, batch)
                with nullcontext() if step.grad or not tracking else torch.no_grad():
                    result = (
                        step.op.run(*args, **kwargs) if around is None else around(index, step.op, args, kwargs, values)
                    )
            except ReplayError:
                raise
            except Exception as error:  # torch's functions raise anything when they are given nonsense
                raise ReplayError(f"{step.op.short} failed: {_first_line(error)}", mode, index) from error
            if type(result) is Tensor and len(step.outputs) == 1:
                values[step.outputs[0]] = result
            else:
                _bind(values, step.outputs, result, mode, index)
        for kept, taken in self.graph.program(mode).updates:
            state[kept] = values[taken].detach()
        return self._outputs[mode](values, batch)


def tensors_in(result: Any) -> Iterable[Tensor]:
    """Yield the tensors inside a result, in order."""
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for item in result:
            yield from tensors_in(item)


def prediction(output: Any, classes: int | None = None) -> Tensor | None:
    """Return what is taken for the prediction: the first tensor that has a score for each class, or else the first.

    None where an output holds no tensor.
    """
    found = list(tensors_in(output))
    scores = (tensor for tensor in found if tensor.dim() == 2 and tensor.shape[1] == classes)
    return next(scores, found[0] if found else None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _bind(values: Values, outputs: Sequence[int], result: Any, mode: Mode, index: int) -> None:
    found = list(tensors_in(result))
    if len(found) != len(outputs):
        raise ReplayError(f"a node returned {len(found)} tensors where the graph has {len(outputs)}", mode, index)
    values.update(zip(outputs, found, strict=True))


def _compile(nodes: Sequence[Node]) -> tuple[_Instruction, ...]:
    table = ops.table()
    return tuple(
        _Instruction(table[node.op], _sequence(node.args), _mapping(node.kwargs), node.outputs, node.grad)
        for node in nodes
    )


def _sequence(arguments: Sequence[Arg]) -> Build:
    builders = [_builder(argument) for argument in arguments]
    if all(map(_is_fixed, arguments)):
        fixed = tuple([build({}, 0) for build in builders])
        return lambda values, batch: fixed
    return lambda values, batch: tuple([build(values, batch) for build in builders])


def _is_fixed(argument: Arg) -> bool:
    """Tell whether an argument is the same whatever a graph is run on."""
    if isinstance(argument, Items):
        return all(map(_is_fixed, argument.items))
    return not isinstance(argument, (Ref, Size, Slice))


def _mapping(arguments: Mapping[str, Arg]) -> Build:
    if not arguments:
        return lambda values, batch: {}
    builders = {name: _builder(argument) for name, argument in arguments.items()}
    return lambda values, batch: {name: build(values, batch) for name, build in builders.items()}


def _builder(argument: Arg) -> Build:
    """Return what makes an argument's value, given the values so far and the batch size."""
    if isinstance(argument, Ref):
        key = argument.id
        return lambda values, batch: values[key]
    if isinstance(argument, Size):
        return lambda values, batch: argument.at(batch)
    if isinstance(argument, Items):
        return _sequence(argument.items)
    if isinstance(argument, Slice):
        parts = [_builder(part) for part in (argument.start, argument.stop, argument.step)]
        return lambda values, batch: slice(*[part(values, batch) for part in parts])
    value = ops.SYMBOLS[argument.name] if isinstance(argument, Symbol) else argument
    return lambda values, batch: value
