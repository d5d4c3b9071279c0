"""Groups in which everyone is near everyone else."""

from __future__ import annotations

from collections.abc import Mapping

from grader.classroom.alike.pairs import Pair


def linked(count: int, near: Mapping[Pair, float]) -> list[tuple[int, ...]]:
    """Return the places 0 to `count` - 1 in groups of which all pairs are near, those at the smallest distances first.

    Complete linkage: two groups become one only where each of one is near each of the other. Joining whatever is near
    anything (single linkage) makes chains, at whose ends stand submissions that have nothing in common.
    """
    group = {place: frozenset((place,)) for place in range(count)}
    around = {place: {place} for place in range(count)}
    for one, other in near:
        around[one].add(other)
        around[other].add(one)
    for one, other in sorted(near, key=lambda pair: (near[pair], pair)):
        first, second = group[one], group[other]
        if first is not second and all(second <= around[place] for place in first):
            joined = first | second
            group.update(dict.fromkeys(joined, joined))
    return [tuple(sorted(found)) for found in dict.fromkeys(group.values())]
