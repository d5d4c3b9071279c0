"""One way to look at a class: each student's features, and how much of a surprise each feature is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

Token = tuple[str, int]  # a feature and which occurrence of it: to have it twice is a token of its own
Bag = frozenset[Token]

NEEDED = 0.4  # of the bits that nobody else's feature has: docs/alike.md has the measurements


def bag(features: Mapping[str, int]) -> Bag:
    """Return counted features as a set."""
    return frozenset((feature, number) for feature, count in features.items() for number in range(count))


@dataclass(frozen=True, slots=True)
class Hint:
    """Students who are alike in one view: the largest distance among them, and the bits of what they all share."""

    members: tuple[str, ...]
    distance: float
    surprise: float


@dataclass(frozen=True)
class View:
    """What each student's submission is compared by, the starting code left out."""

    bags: Mapping[str, Bag]

    @cached_property
    def bits(self) -> Mapping[Token, float]:
        """How surprising each token is: log2 of one in how many has it; one that two have counts as if one had it.

        The two may be the very pair that is looked at, which should not make it less of a surprise.
        """
        spread = Counter(token for found in self.bags.values() for token in found)
        return {token: math.log2((len(self.bags) + 1) / max(count - 1, 1)) for token, count in spread.items()}

    @cached_property
    def needed(self) -> float:
        """The bits that a coincidence takes to be worth telling: more in a large class, where chance has more pairs."""
        return NEEDED * math.log2(len(self.bags) + 1)

    def weight(self, tokens: Iterable[Token]) -> float:
        return math.fsum(self.bits[token] for token in tokens)

    def distance(self, one: Bag, other: Bag) -> float:
        """Return 1 - weighted Jaccard: 0 for the same tokens, 1 where nothing, or nothing surprising, is shared."""
        whole = self.weight(one | other)
        return 1 - self.weight(one & other) / whole if whole else 1.0

    def surprise(self, tokens: Bag) -> float:
        """Return the mean of the bits of some tokens, 0 where there are none."""
        return self.weight(tokens) / len(tokens) if tokens else 0.0
