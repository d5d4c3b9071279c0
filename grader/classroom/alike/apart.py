"""Texts that are almost the same, and far from all others: together a surprise, however common each part of them is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from grader.classroom.alike.linkage import linked
from grader.classroom.alike.pairs import near_pairs
from grader.classroom.alike.view import Bag, Hint, Token, View

CLOSE = 0.25  # the largest weighted distance of texts that are almost the same
FAR = 0.6  # the least to others, unweighted: nearer ones may have one origin, such as a tutorial that many begin with
LONG = 24  # stretches beside the starting code, below which two texts may be the same by chance: about 30 lines


def apart(view: View) -> Iterator[Hint]:
    """Yield the groups of texts with no other near them, or no more others than a coincidence is told with.

    Weighing parts one by one misses these: a copy of what is put together of common lines has common lines alone.
    """
    students: defaultdict[Bag, list[str]] = defaultdict(list)
    for student, found in view.bags.items():
        if len(found) >= LONG:
            students[found].append(student)
    bags = list(students)
    near = near_pairs(view, bags, CLOSE)
    most = (len(view.bags) + 1) / 2**view.needed + 1  # who may have a feature that is a surprise
    crowd = _Crowd(students)
    for places in linked(len(bags), near):
        members = sorted(student for place in places for student in students[bags[place]])
        if len(members) > 1 and crowd.around(bags[places[0]]) <= most:
            shared = frozenset.intersection(*(bags[place] for place in places))
            distance = max((near[pair] for pair in combinations(places, 2)), default=0.0)
            yield Hint(tuple(members), distance, view.surprise(shared))


class _Crowd:
    """Counts who is near a text where each part counts the same: what many took from one place weighs little else."""

    def __init__(self, students: Mapping[Bag, Sequence[str]]) -> None:
        self._sizes = [(len(found), len(holders)) for found, holders in students.items()]
        self._places: defaultdict[Token, list[int]] = defaultdict(list)
        for place, found in enumerate(students):
            for token in found:
                self._places[token].append(place)

    def around(self, found: Bag) -> int:
        """Return how many students have a text less than FAR from this one, its own among them."""
        shared: Counter[int] = Counter()
        for token in found:
            shared.update(self._places[token])
        return sum(
            self._sizes[place][1]
            for place, both in shared.items()
            if 1 - both / (len(found) + self._sizes[place][0] - both) < FAR
        )
