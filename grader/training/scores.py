"""What a model returns, and the loss that suits it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Kind = Literal["logits", "log-probabilities", "probabilities"]
Loss = Callable[[Tensor, Tensor], Tensor]

ROUNDING = 1e-3  # of a row's sum: far above float32, and above bfloat16 for ten classes


def kind_of(scores: Tensor) -> Kind:
    """Return what rows of scores are: log-probabilities, probabilities, or else logits."""
    wide = scores.detach().double()
    if bool((wide <= ROUNDING).all()) and _sum_to_one(wide.exp()):
        return "log-probabilities"
    if bool((wide >= 0).all()) and _sum_to_one(wide):
        return "probabilities"
    return "logits"


def _sum_to_one(rows: Tensor) -> bool:
    return bool(((rows.sum(1) - 1).abs() < ROUNDING).all())


def _of_probabilities(scores: Tensor, labels: Tensor) -> Tensor:
    # The smallest normal number: its logarithm and its reciprocal, the gradient, are both finite.
    return functional.nll_loss(scores.clamp_min(torch.finfo(scores.dtype).tiny).log(), labels)


LOSSES: dict[Kind, Loss] = {
    "logits": functional.cross_entropy,
    "log-probabilities": functional.nll_loss,
    "probabilities": _of_probabilities,
}
