"""Numbers and sizes among the arguments of a node, within a range that multiplies safely."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

PLAIN = 1 << 31  # an option below is taken as it is

# An operator's short name, its tensors, its arguments → bounds on the numbers in its result, and on its arithmetic
Bound = Callable[[str, list[Tensor], Sequence[Any], dict[str, Any]], tuple[int, int]]


def tensors_in(items: Sequence[Any]) -> Iterator[Tensor]:
    """Yield the tensors inside sequences, in order."""
    for item in items:
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (tuple, list)):
            yield from tensors_in(item)


def flat(items: Any) -> list[Any]:
    """Return what sequences inside sequences hold."""
    if isinstance(items, (tuple, list)):
        return [leaf for item in items for leaf in flat(item)]
    return [items]


def numbers_in(items: Any) -> list[float]:
    """Return the numbers among items, kept within a range that multiplies safely."""
    found = [item for item in flat(items) if isinstance(item, (int, float)) and not isinstance(item, bool)]
    return [max(-1e18, min(1e18, float(item))) if item == item else 0.0 for item in found]


def size_of(tensor: Tensor) -> int:
    """Return how many numbers a tensor has, its empty axes left out: with them, it can be summed to something large."""
    return math.prod(max(extent, 1) for extent in tensor.shape)


def product_of(numbers: Iterable[float]) -> int:
    """Return a product in which what is below one counts as one, and which ends at 1e30."""
    return int(min(math.prod(max(number, 1.0) for number in numbers), 1e30))


def per_axis(numbers: list[float], axes: int) -> list[float]:
    """Return one number for each axis: a single one stands for all."""
    return numbers * axes if len(numbers) == 1 else numbers


def is_sequence(item: Any) -> bool:
    """Tell of what arguments hold as a sequence."""
    return isinstance(item, (tuple, list))


def for_each_axis(value: Any, count: int, default: int) -> list[int]:
    """Return one integer for each axis: an option may be one for all, or a sequence."""
    if type(value) is tuple and len(value) == count and all(type(item) is int and abs(item) < PLAIN for item in value):
        return list(value)
    numbers = [int(number) for number in numbers_in([value])] if not isinstance(value, str) else []
    return numbers if len(numbers) == count else (numbers or [default])[:1] * count


def broadcast(tensors: Sequence[Tensor]) -> int:
    """Return how many numbers tensors have together where each is repeated along the axes of the others."""
    if len(tensors) == 1:
        return size_of(tensors[0])
    rank = max((tensor.dim() for tensor in tensors), default=0)
    padded = [(1,) * (rank - tensor.dim()) + tuple(tensor.shape) for tensor in tensors]
    return math.prod(max(1, *extents) for extents in zip(*padded, strict=True))
