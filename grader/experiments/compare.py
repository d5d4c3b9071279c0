"""How far two results lie apart, and whether that is more than rounding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EFFECT = 1e-4  # of the largest output: less is rounding
ROUNDING = 1e-6  # of the largest of weights: what even ones may differ by
UNEVEN = 1e-3  # of what a change of the means does: less is rounding


def distance(one: Tensor, other: Tensor) -> float:
    return (
        float((one - other).abs().max())
        if one.shape == other.shape and one.numel()
        else float(one.shape != other.shape)
    )


def differ(one: Tensor, other: Tensor, effect: float = EFFECT) -> bool:
    """Tell whether predictions differ: a number that is added to all scores of an image changes nothing.

    `effect` is how much of the spread between images counts; a dropout spreads them, too.
    """
    if not one.numel():
        return False
    rounding = 16 * torch.finfo(one.dtype).eps * float(one.abs().max()) if one.is_floating_point() else 0.0
    one, other = _centred(one), _centred(other)
    spread = float((one - one.mean(0, keepdim=True)).abs().max())
    return distance(one, other) > max(effect * spread, rounding, 1e-12)


def _centred(scores: Tensor) -> Tensor:
    several = scores.dim() > 1 and scores.shape[1] > 1
    return scores - scores.mean(1, keepdim=True) if several else scores


def all_identical(one: Sequence[Tensor] | None, other: Sequence[Tensor] | None) -> bool:
    """Tell whether two runs of a node gave the same, finite numbers."""
    if one is None or other is None or len(one) != len(other):
        return False
    return all(bool(torch.isfinite(a).all()) and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def uneven(tensor: Tensor, axes: Sequence[int], rounding: float = ROUNDING) -> bool:
    inside = [axis for axis in axes if -tensor.dim() <= axis < tensor.dim()]
    if not inside or not tensor.numel():
        return False
    spread = tensor.double().amax(inside) - tensor.double().amin(inside)
    return float(spread.max()) > rounding * max(float(tensor.double().abs().max()), 1e-12)
