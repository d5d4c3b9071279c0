"""What a rules file holds, frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

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
    """A whole rules file with what it extends.

    `file` is its name in messages, `source` what `read_rules` was asked for, '' for the default ones.
    """

    file: str
    title: str
    input: Input
    rules: tuple[Rule, ...]
    source: str = field(default="", compare=False)

    @property
    def sha256(self) -> str:
        """The digest of what the rules mean: names of files and places in them have no part in it."""
        rules = [
            [rule.id, rule.needs, rule.points, rule.level, [[use.check, use.options] for use in rule.checks]]
            for rule in self.rules
        ]
        meaning = [self.title, self.input, rules]
        return hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()
