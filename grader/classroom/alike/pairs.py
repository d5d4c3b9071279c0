"""All pairs within a distance, without looking at all pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from grader.classroom.alike.view import Bag, Token, View

Pair = tuple[int, int]

ROUNDING = 1e-9  # of sums of bits


def near_pairs(view: View, bags: Sequence[Bag], limit: float) -> dict[Pair, float]:
    """Return the pairs of bags at most `limit` apart, by their places, the smaller first, with their distances.

    Two bags that share the weight it takes share a token among the rarest ones of each; only these are indexed (prefix
    filtering: Bayardo, Ma and Srikant, WWW 2007). Nothing within the limit is missed.
    """
    similarity = 1 - limit
    weights = [view.weight(found) for found in bags]
    holders: defaultdict[Token, list[int]] = defaultdict(list)
    near: dict[Pair, float] = {}
    for place, found in enumerate(bags):
        prefix = list(_prefix(view, found, similarity * weights[place] - ROUNDING))
        candidates = {other for token in prefix for other in holders[token]}
        for other in candidates:
            if _may_reach(weights[place], weights[other], similarity):
                shared = view.weight(found & bags[other])
                if shared >= similarity * (weights[place] + weights[other] - shared) - ROUNDING:
                    distance = view.distance(found, bags[other])
                    if distance <= limit:
                        near[other, place] = distance
        for token in prefix:
            holders[token].append(place)
    return near


def _may_reach(one: float, other: float, similarity: float) -> bool:
    return min(one, other) >= similarity * max(one, other)


def _prefix(view: View, found: Bag, needed: float) -> Iterator[Token]:
    """Yield the rarest tokens of a bag, until those that are left weigh less than is needed."""
    left = view.weight(found)
    for token in sorted(found, key=lambda token: (-view.bits[token], token)):
        if left < needed:
            return
        yield token
        left -= view.bits[token]
