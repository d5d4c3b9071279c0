"""The weights that training starts from: the submitted ones, out of order."""

from __future__ import annotations

from collections.abc import Container, Iterable

import torch
from torch import Tensor

from grader.replay import Values

KNOWING = 1_000  # numbers: a place for each of 28×28 pixels takes fewer, pictures of ten digits take more


def knowing(state: Values, weights: Container[int]) -> set[int]:
    """Return the tensors beside the weights that may know digits: together they hold very many numbers that differ."""
    tables = {key for key, tensor in state.items() if key not in weights and _differ(tensor)}
    return tables if sum(state[key].numel() for key in tables) > KNOWING else set()


def permuted(state: Values, ids: Iterable[int], seed: int) -> Values:
    """Return the state with each of these tensors permuted along each of its axes, independently.

    Any initialisation keeps its distribution, and those that are made of rows and columns (dirac, orthogonal) keep
    their structure; weights that were trained lose what they know.
    """
    generator = torch.Generator().manual_seed(seed)
    return {**state, **{key: _permuted(state[key], generator) for key in sorted(ids)}}


def redrawn(state: Values, ids: Iterable[int], seed: int) -> Values:
    """Return the state with each of these tensors drawn afresh from a normal of its own mean and standard deviation.

    Tensors that hold no floating-point numbers are shuffled element by element.
    """
    generator = torch.Generator().manual_seed(seed)
    return {**state, **{key: _redrawn(state[key], generator) for key in sorted(ids)}}


def _differ(tensor: Tensor) -> bool:
    flat = tensor.flatten()
    return bool((flat != flat[:1]).any())


def _permuted(tensor: Tensor, generator: torch.Generator) -> Tensor:
    for axis, length in enumerate(tensor.shape):
        tensor = tensor.index_select(axis, _order(length, generator))
    return tensor


def _redrawn(tensor: Tensor, generator: torch.Generator) -> Tensor:
    if tensor.numel() < 2:
        return tensor
    if not tensor.is_floating_point():
        return tensor.flatten()[_order(tensor.numel(), generator)].view(tensor.shape)
    wide = tensor.double()
    drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64, device="cpu")
    return (wide.mean() + wide.std(correction=0) * drawn).to(tensor.dtype)


def _order(length: int, generator: torch.Generator) -> Tensor:
    return torch.randperm(length, generator=generator, device="cpu")
