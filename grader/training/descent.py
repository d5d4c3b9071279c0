"""Stochastic gradient descent with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Descent:
    """The rule of `torch.optim.SGD(nesterov=True)`, written out: torch's own class loads a compiler, for seconds."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocities = [torch.zeros_like(parameter) for parameter in parameters]

    def forget(self) -> None:
        """Drop the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move each parameter that has a gradient; the gradients are used up."""
        for parameter, velocity in zip(self.parameters, self.velocities, strict=True):
            gradient = parameter.grad
            if gradient is not None:
                gradient.add_(parameter, alpha=self.weight_decay)
                velocity.mul_(self.momentum).add_(gradient)
                parameter.sub_(gradient.add_(velocity, alpha=self.momentum), alpha=rate)
