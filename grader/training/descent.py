"""The rules by which parameters move, written out: torch's own classes load a compiler, for seconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from grader.checks.accuracy import Optimizer, Stage

SQUARES = 0.999  # how much of the mean square Adam keeps at each step
TINY = 1e-8


class Rule(Protocol):
    """Moves parameters by their gradients."""

    def step(self, rate: float) -> None:
        """Move each parameter that has a gradient; the gradients are used up."""


class Descent:
    """Stochastic gradient descent with Nesterov's momentum: the rule of `torch.optim.SGD(nesterov=True)`."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.velocities = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for parameter, velocity in zip(self.parameters, self.velocities, strict=True):
            gradient = parameter.grad
            if gradient is not None:
                gradient.add_(parameter, alpha=self.weight_decay)
                velocity.mul_(self.momentum).add_(gradient)
                parameter.sub_(gradient.add_(velocity, alpha=self.momentum), alpha=rate)


class Adam:
    """Adam (Kingma and Ba, 2015), with the decay of weights in the gradient: the rule of `torch.optim.Adam`."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.means = [torch.zeros_like(parameter) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter) for parameter in parameters]
        self.steps = 0

    @torch.no_grad()
    def step(self, rate: float) -> None:
        self.steps += 1
        rate /= 1 - self.momentum**self.steps
        unbiased = (1 - SQUARES**self.steps) ** 0.5
        for parameter, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            gradient = parameter.grad
            if gradient is not None:
                gradient.add_(parameter, alpha=self.weight_decay)
                mean.lerp_(gradient, 1 - self.momentum)
                square.mul_(SQUARES).addcmul_(gradient, gradient, value=1 - SQUARES)
                parameter.addcdiv_(mean, (square.sqrt() / unbiased).add_(TINY), value=-rate)


_RULES: dict[Optimizer, type[Descent] | type[Adam]] = {"sgd": Descent, "adam": Adam}


def rule_of(stage: Stage, parameters: Sequence[Tensor]) -> Rule:
    """Return the rule by which a stage moves parameters."""
    return _RULES[stage.optimizer](parameters, stage.momentum, stage.weight_decay)


def forget(parameters: Sequence[Tensor]) -> None:
    """Drop the gradients."""
    for parameter in parameters:
        parameter.grad = None
