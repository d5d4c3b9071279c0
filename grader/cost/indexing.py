"""Bounds of operators that pick parts of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from grader.cost.amounts import flat, is_sequence, numbers_in, product_of, size_of

PIECE = 128  # numbers that take the memory of one tensor's record


def indexing(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    size = size_of(tensors[0]) if tensors else 1
    if short == "diag":
        offset = max(map(abs, numbers_in([args[1:2], kwargs.get("diagonal", 0)])), default=0)
        return product_of([size + offset] * 2), 0
    if short == "unfold":
        return product_of([float(size), *numbers_in([args[2:3], kwargs.get("size", ())])]), 0
    if short in ("take_along_dim", "gather"):
        return max(size, *map(size_of, tensors)), 0
    if short == "index_select" and len(tensors) > 1 and len(args) > 1 and isinstance(args[1], int):
        return size // max(tensors[0].shape[args[1]], 1) * size_of(tensors[1]), 0
    if short == "__getitem__" and len(tensors) > 1:
        return _picked(tensors[0], args[1]), 0
    if "split" in short or short in ("chunk", "unsafe_chunk", "unbind"):
        return size + PIECE * _pieces(short, tensors[0], args, kwargs), 0
    return size * math.prod(map(size_of, tensors[1:])), 0


def _pieces(short: str, tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    """Bound the number of parts that a tensor is cut into: of an empty one, there are as many as are asked for."""
    longest = max(tensor.shape, default=1)
    named = [kwargs[name] for name in ("chunks", "sections", "split_size", "split_size_or_sections") if name in kwargs]
    given: Any = next(iter([*args[1:2], *named]), None)
    if isinstance(given, Tensor):
        given = given.tolist()
    if short == "unbind" or not isinstance(given, int):
        return max(longest, len(given) + 1 if is_sequence(given) else 1)
    return longest // max(given, 1) + 1 if short in ("split", "unsafe_split") else max(given, 1)


def _picked(tensor: Tensor, index: Any) -> int:
    """Bound what an index of integers, slices and tensors of positions picks."""
    items = list(index) if is_sequence(index) else [index]
    used = sum(item is not None and item is not Ellipsis for item in items)
    rest = iter(tensor.shape)
    kept, picks = [1.0], 1
    for item in items:
        if item is Ellipsis:
            kept += [float(next(rest, 1)) for _ in range(tensor.dim() - used)]
        elif isinstance(item, slice):
            kept.append(float(next(rest, 1)))
        elif item is not None and not _is_flag(item):
            next(rest, None)
            picks = max(picks, size_of(item) if isinstance(item, Tensor) else len(flat(item)))
    return product_of([*kept, *map(float, rest), float(picks)])


def _is_flag(item: Any) -> bool:
    """Tell of one truth value, which as an index adds an axis and uses none."""
    return isinstance(item, bool) or (isinstance(item, Tensor) and item.dtype == torch.bool and not item.dim())
