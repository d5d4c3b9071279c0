"""Bounds of operators that make a tensor from numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from grader.cost.amounts import broadcast, is_sequence, numbers_in, per_axis, product_of


def factory(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short.endswith(("_like", "_")) or (tensors and short == "bernoulli"):
        return broadcast(tensors), 0
    if short == "arange":
        return _arange(args, kwargs), 0
    sizes = args[1:] if isinstance(next(iter(args), None), Tensor) else args
    named = [kwargs[name] for name in ("size", "n", "m", "steps", "window_length") if name in kwargs]
    numbers = numbers_in([sizes, named])
    if short in ("linspace", "randint", "normal", "full", "new_full"):  # bounds and fill values are numbers too
        shapes = [size for size in sizes if is_sequence(size)]
        numbers = [max(numbers, default=1.0)] if short == "linspace" else numbers_in([shapes, named])
    if short == "eye":
        numbers = per_axis(numbers, 2)
    return max(product_of(numbers), broadcast(tensors) if short == "normal" else 1), 0


def _arange(args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    names = ("end",) if len(numbers_in(args)) == 1 else ("start", "end", "step")
    named = dict(zip(names, numbers_in(args), strict=False))
    given = {name: numbers_in([kwargs.get(name)]) for name in ("start", "end", "step")}
    named |= {name: numbers[0] for name, numbers in given.items() if numbers}
    step = abs(named.get("step", 1.0)) or 1.0
    return int(min(abs(named.get("end", 0.0) - named.get("start", 0.0)) / step, 1e18)) + 1
