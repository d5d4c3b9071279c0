"""What a rules file holds, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from grader.finding import Level
from grader.rules.document import Mark


@dataclass(frozen=True, slots=True)
class Input:
    """What a model is fed: the shape (C, H, W), mean and standard deviation of each channel, the number of classes."""

    shape: tuple[int, int, int] = (1, 28, 28)
    classes: int = 10
    mean: tuple[float, ...] = (0.1307,)
    std: tuple[float, ...] = (0.3081,)


@dataclass(frozen=True, slots=True)
class CheckUse:
    """A check with all its options, defaults filled in, as plain data."""

    check: str
    options: dict[str, Any]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: `needs` says whether all of its checks must hold or any one. `level` is what breaking it amounts to."""

    id: str
    checks: tuple[CheckUse, ...]
    needs: Literal["all", "any"]
    points: int | float
    level: Level
    mark: Mark


@dataclass(frozen=True, slots=True)
class Rules:
    """A whole rules file with what it extends. `file` is its name in messages."""

    file: str
    title: str
    input: Input
    rules: tuple[Rule, ...]
