"""What a submission is like, whatever its names: a digest of its graph, and the features by which two are compared."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

import msgspec

FEATURES_CAP = 128  # of each sort; a digest, two full bags and the traits are at most 4 KB of JSON


class Likeness(msgspec.Struct, frozen=True):
    """A submission without names, places and numbers of weights.

    `digest` is the same for graphs that are the same, '' where there is no graph. `features` are counted parts of the
    graph, `text` counted stretches of the source, each by a short hash. `traits` say in words what two graphs may be
    recognised by: 'channels 11-13-17'.
    """

    digest: str = ""
    features: dict[str, int] = {}
    text: dict[str, int] = {}
    traits: tuple[str, ...] = ()


def hashed(*parts: str) -> str:
    """Return the 8 hexadecimal digits that stand for some texts."""
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def sketch(features: Iterable[str]) -> dict[str, int]:
    """Count features, and keep those with the smallest hashes where there are too many.

    The same ones are kept of two submissions that share them, so what is left of them compares as the whole does
    (bottom-k sampling; Cohen and Kaplan 2007).
    """
    counts = Counter(features)
    return {feature: counts[feature] for feature in sorted(counts)[:FEATURES_CAP]}
