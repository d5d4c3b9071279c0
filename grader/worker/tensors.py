"""Tensors as the worker tells them apart: by the memory that they lie in, how often it was written, and how."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

PLAIN = frozenset((int, float, bool, str, type(None)))


def memory_of(tensor: Tensor) -> int:
    """Return what tells the memory of a tensor from that of others; views of one tensor share it."""
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):  # sparse and wrapped tensors have no storage
        return -id(tensor)


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor was written to; of inference mode's tensors torch keeps no count."""
    return 0 if tensor.is_inference() else tensor._version


def same_view(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors that share memory show the same part of it in the same way."""
    shape = one.shape == other.shape and one.stride() == other.stride()
    return shape and one.storage_offset() == other.storage_offset() and one.dtype == other.dtype


def repeats(tensor: Tensor) -> bool:
    """Tell whether a number in memory stands for several of a tensor, as in a grid: torch can't write there."""
    if tensor.layout != torch.strided:
        return False
    return any(step == 0 and extent > 1 for step, extent in zip(tensor.stride(), tensor.shape, strict=True))


def tensors_in(items: Any) -> list[Tensor]:
    """Return the tensors inside sequences and the values of mappings, in order."""
    if isinstance(items, Tensor):
        return [items]
    if isinstance(items, dict):
        items = items.values()
    elif not isinstance(items, (tuple, list)):
        return []
    found: list[Tensor] = []
    for item in items:  # most are numbers, and asked for thousands of times
        if type(item) not in PLAIN:
            found += tensors_in(item)
    return found
