"""What takes the place of a node in an experiment: functions that are called instead of its operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.checks._products import LAST_AXES
from grader.checks._subject import Edge, Replacement
from grader.experiments.compare import uneven
from grader.facts import Step
from grader.kinds import signature
from grader.replay import Values, tensors_in

LARGE = 3  # of the deviation of a map: a change that gets through a ReLU

Override = Callable[[ops.Op, tuple[Any, ...], dict[str, Any], Values], Any]


def swap(item: Any, old: Tensor, new: Tensor) -> Any:
    if item is old:
        return new
    if isinstance(item, (tuple, list)):
        return type(item)(swap(part, old, new) for part in item)
    if isinstance(item, dict):
        return {key: swap(part, old, new) for key, part in item.items()}
    return item


def kept_results(step: Step, kept: Values) -> Override:
    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        return [kept[key].clone() for key in step.node.outputs]

    return override


def noted(key: int, found: list[Tensor]) -> Override:
    """Return what changes nothing, and adds to `found` what a tensor holds when the node is reached."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        found.append(values[key].clone())
        return op.run(*args, **kwargs)

    return override


def likened(index: int, like: Callable[[Tensor, Tensor], bool], told: dict[int, bool]) -> Override:
    """Return what tells whether all that a node returns, in each run so far, is like what it is given first."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        given = next(iter(tensors_in([*args, *kwargs.values()]))).clone()
        result = op.run(*args, **kwargs)
        told[index] = told.get(index, True) and all(like(given, each) for each in tensors_in(result))
        return result

    return override


def map_changed(edge: Edge, change: Callable[[Tensor], None], in_place: bool) -> Override:
    """Return what gives a node a copy of a map on which `change` has worked.

    In place, a view of the map stays one: what is written into either is seen in both.
    """

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        old = values[edge.operand.id]
        new = old.clone()
        change(new)
        if in_place:
            new = old.copy_(new)
        return op.run(*swap(args, old, new), **swap(kwargs, old, new))

    return override


def end_changed(edge: Edge, axis: int, last: bool, in_place: bool) -> Override:
    """Return what changes a quarter of a map, at the beginning or at the end of an axis; see `map_changed`."""

    def change(images: Tensor) -> None:
        extent = images.shape[axis]
        width = max(extent // 4, 1)
        images.narrow(axis, extent - width if last else 0, width).add_(float(images.double().std()) + 1)

    return map_changed(edge, change, in_place)


def place_changed(edge: Edge, place: int, seed: int) -> Override:
    """Return what changes a map at one of its places, counted row by row, and by the same numbers at each."""

    def change(images: Tensor) -> None:
        part, rest = images, place
        for axis in reversed(edge.operand.axes):
            rest, along = divmod(rest, images.shape[axis])
            part = part.narrow(axis, along, 1)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(part.shape, generator=generator, dtype=torch.float64)
        part.add_((LARGE * (float(images.double().std()) + 0.1) * drawn).to(images.dtype))

    return map_changed(edge, change, edge.step.wrote)


def identity(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    given = next(iter(tensors_in([*args, *kwargs.values()])))
    return given if op.name.endswith("_") or kwargs.get("inplace") or args[3:4] == (True,) else given.clone()


def fixed_statistics(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    """Normalise by mean 0 and variance 1, keeping the learned scale and shift."""
    named = dict(zip(signature(op.name), args, strict=False)) | kwargs
    images = named["input"]
    channels = images.shape[1]
    fixed = torch.nn.functional.batch_norm(
        images, images.new_zeros(channels), images.new_ones(channels), named.get("weight"), named.get("bias"), False
    )
    return fixed if op.short == "batch_norm" else (fixed, *list(tensors_in(op.run(*args, **kwargs)))[1:])


def stilled(pick: float) -> Override:
    """Let a node that draws give one of its numbers everywhere, and a dropout drop nothing.

    A draw from numbers that differ, such as noise around weights, stays as it is.
    """

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        if op.kind == "dropout":
            return identity(op, args, kwargs, values)
        given = tensors_in([*args, *kwargs.values()]) if op.reads_numbers else ()
        differs = any(uneven(tensor, range(tensor.dim())) for tensor in given)
        result = op.run(*args, **kwargs)
        for tensor in () if differs else tensors_in(result):
            if tensor.numel():
                tensor.fill_(tensor.flatten()[int(pick * tensor.numel())].item())
        return result

    return override


def scale_alone(key: int) -> Override:
    """Let a normalisation return its weights alone."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        result = op.run(*args, **kwargs)
        weight, first = values[key], next(iter(tensors_in(result)))
        per_channel = [1, -1, *[1] * (first.dim() - 2)]
        first.copy_(weight.expand_as(first) if op.short in LAST_AXES else weight.view(per_channel))
        return result

    return override


def ones(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    result = op.run(*args, **kwargs)
    next(iter(tensors_in(result))).fill_(1)
    return result


def redrawn(number: int) -> Override:
    """Let a node draw other numbers; which ones follows from those that it would have drawn."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        seeds = torch.randint(1 << 62, (number + 1,))
        torch.default_generator.manual_seed(int(seeds[number]))
        return op.run(*args, **kwargs)

    return override


def zeros(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    result = op.run(*args, **kwargs)
    for tensor in tensors_in(result):
        tensor.zero_()
    return result


REPLACEMENTS: dict[Replacement, Override] = {
    "identity": identity,
    "fixed-statistics": fixed_statistics,
    "zeros": zeros,
    "redrawn": redrawn(0),
}
