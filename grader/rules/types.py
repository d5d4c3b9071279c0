"""What a rules file holds, frozen."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import msgspec

from grader.datasets import KNOWN, Source
from grader.finding import Level
from grader.rules.document import Mark

MNIST = KNOWN["mnist"]
EMBEDDED = Source("mnist")


@dataclass(frozen=True, slots=True)
class Input:
    """What a model is fed: the shape (C, H, W), mean and standard deviation of each channel, the number of classes.

    No mean and no deviation: they are taken from the training images. `dataset` is None where none is named: MNIST.
    """

    shape: tuple[int, int, int] = MNIST.shape
    classes: int = MNIST.classes
    mean: tuple[float, ...] = MNIST.mean
    std: tuple[float, ...] = MNIST.std
    dataset: Source | None = None

    @property
    def source(self) -> Source:
        return self.dataset or EMBEDDED

    @property
    def is_trainable(self) -> bool:
        """Whether there are images of this shape to train on."""
        return self.dataset is not None or (self.shape, self.classes) == (MNIST.shape, MNIST.classes)

    @property
    def probe(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """By what the digits are shifted and scaled that a model is tried on; their own mean where none is given."""
        if self.mean:
            return self.mean, self.std
        return MNIST.mean * self.shape[0], MNIST.std * self.shape[0]


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

    def uses_of(self, check: str) -> list[CheckUse]:
        """Return where the rules use a check, in order."""
        return [use for rule in self.rules for use in rule.checks if use.check == check]

    @property
    def sha256(self) -> str:
        """The digest of what the rules mean: names of files and places in them have no part in it."""
        rules = [
            [rule.id, rule.needs, rule.points, rule.level, [[use.check, use.options] for use in rule.checks]]
            for rule in self.rules
        ]
        images = asdict(self.input)
        dataset = images.pop("dataset")
        if dataset is not None:
            images |= {"dataset": dataset["name"], "torchvision": dataset["torchvision"]}
        meaning = [self.title, images, rules]
        return hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()
