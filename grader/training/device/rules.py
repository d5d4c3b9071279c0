"""The rules by which parameters move, for a device that is never waited for.

They are those of `grader.training.descent`. All parameters move in a few calls, and what changes from step to step, the
learning rate above all, is read from the device's memory: a number of Python would be the same at each replay of a
recorded step. The rate is a factor of its own, so a parameter may differ from the other rule's in its last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from grader.checks.accuracy import Optimizer, Stage
from grader.training.descent import SQUARES, TINY


class Rule(Protocol):
    """Moves parameters by their gradients; `kept` is what it remembers between two steps."""

    kept: list[Tensor]

    def numbers(self, rate: float, step: int) -> list[float]:
        """Return what a step needs to know, counted from 1, at a learning rate."""

    def step(self, numbers: Tensor) -> None:
        """Move each parameter that has a gradient, by what `numbers` returned; the gradients are used up."""


class Descent:
    """Stochastic gradient descent with Nesterov's momentum."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.kept = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]

    def numbers(self, rate: float, step: int) -> list[float]:
        return [rate]

    @torch.no_grad()
    def step(self, numbers: Tensor) -> None:
        moved, gradients, velocities = _with_gradients(self.parameters, self.kept)
        if not moved:
            return
        torch._foreach_add_(gradients, moved, alpha=self.weight_decay)
        torch._foreach_mul_(velocities, self.momentum)
        torch._foreach_add_(velocities, gradients)
        torch._foreach_add_(gradients, velocities, alpha=self.momentum)
        torch._foreach_mul_(gradients, numbers[0])
        torch._foreach_sub_(moved, gradients)


class Adam:
    """Adam (Kingma and Ba, 2015), with the decay of weights in the gradient."""

    def __init__(self, parameters: Sequence[Tensor], momentum: float, weight_decay: float) -> None:
        self.parameters = parameters
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.means = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter, requires_grad=False) for parameter in parameters]
        self.kept = [*self.means, *self.squares]

    def numbers(self, rate: float, step: int) -> list[float]:
        return [rate / (1 - self.momentum**step), (1 - SQUARES**step) ** -0.5]

    @torch.no_grad()
    def step(self, numbers: Tensor) -> None:
        moved, gradients, means, squares = _with_gradients(self.parameters, self.means, self.squares)
        if not moved:
            return
        torch._foreach_add_(gradients, moved, alpha=self.weight_decay)
        torch._foreach_lerp_(means, gradients, 1 - self.momentum)
        torch._foreach_mul_(squares, SQUARES)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - SQUARES)
        lengths = torch._foreach_sqrt(squares)
        torch._foreach_mul_(lengths, numbers[1])
        torch._foreach_add_(lengths, TINY)
        ways = torch._foreach_div(means, lengths)
        torch._foreach_mul_(ways, numbers[0])
        torch._foreach_sub_(moved, ways)


_RULES: dict[Optimizer, type[Descent] | type[Adam]] = {"sgd": Descent, "adam": Adam}


def rule_of(stage: Stage, parameters: Sequence[Tensor]) -> Rule:
    """Return the rule by which a stage moves parameters."""
    return _RULES[stage.optimizer](parameters, stage.momentum, stage.weight_decay)


def _with_gradients(parameters: Sequence[Tensor], *kept: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the parameters that have a gradient, their gradients, and what is kept of each."""
    rows = [
        (parameter, parameter.grad, *others)
        for parameter, *others in zip(parameters, *kept, strict=True)
        if parameter.grad is not None
    ]
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(2 + len(kept))]
