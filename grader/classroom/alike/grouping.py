"""Groups of submissions that are alike, the most surprising first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType

from grader.classroom.alike.apart import apart
from grader.classroom.alike.linkage import linked
from grader.classroom.alike.pairs import near_pairs
from grader.classroom.alike.view import Bag, Hint, View, bag
from grader.classroom.alike.words import Words
from grader.classroom.types import AlikeGroup
from grader.likeness import Likeness

GRAPH_LIMIT = 0.4  # distances up to which two submissions are alike: docs/alike.md has the measurements
TEXT_LIMIT = 0.5
LEAST = 6  # features beside the starting code, below which there is nothing to compare


def groups(
    likenesses: Iterable[tuple[str, Likeness]],
    starter: Likeness | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[AlikeGroup, ...]:
    """Return the groups of a class, given as (student, likeness), with the assignment's starting code left out.

    Those who handed in the starting code as it was are one group, the last. `names` are what words call students by,
    their id where there is none.
    """
    found = dict(sorted(likenesses, key=lambda pair: pair[0]))
    start = starter or Likeness()
    unchanged = tuple(student for student, likeness in found.items() if _is_start(likeness, start))
    for student in unchanged:
        del found[student]
    graphs = View({student: bag(item.features) - bag(start.features) for student, item in found.items() if item.digest})
    texts = View({student: bag(item.text) - bag(start.text) for student, item in found.items()})
    of_graphs, of_texts = tuple(hints(graphs, GRAPH_LIMIT)), tuple(hints(texts, TEXT_LIMIT))
    close = tuple(_new(apart(texts), (*of_graphs, *of_texts)))
    ordered = tuple(_told(Words(found, graphs, texts, names), of_graphs, of_texts, close))
    return (*ordered, AlikeGroup("same", unchanged, 0.0, "unchanged starting code")) if unchanged else ordered


def _new(found: Iterable[Hint], known: Iterable[Hint]) -> Iterator[Hint]:
    """Yield the hints whose students are not all in a group that is told of anyway."""
    groups_of: defaultdict[str, list[frozenset[str]]] = defaultdict(list)
    for hint in known:
        members = frozenset(hint.members)
        for member in members:
            groups_of[member].append(members)
    for hint in found:
        if not any(group.issuperset(hint.members) for group in groups_of[hint.members[0]]):
            yield hint


def _told(words: Words, graphs: Sequence[Hint], texts: Sequence[Hint], close: Sequence[Hint]) -> Iterator[AlikeGroup]:
    """Yield the hints, the most surprising first; students who are alike in both views are told of once."""
    known = {hint.members for hint in graphs}
    told = [(hint, words.graph_group) for hint in graphs]
    told += [(hint, words.text_group) for hint in texts if hint.members not in known]
    told += [(hint, words.close_group) for hint in close]
    for hint, tell in sorted(told, key=lambda pair: (-pair[0].surprise, pair[0].members)):
        yield tell(hint.members, hint.distance, hint.surprise)


def _is_start(likeness: Likeness, starter: Likeness) -> bool:
    """Tell whether a submission is the starting code: by its graph where that has one, else by its text."""
    if starter.digest:
        return likeness.digest == starter.digest
    return bool(starter.text) and not likeness.digest and likeness.text == starter.text


def hints(view: View, limit: float) -> Iterator[Hint]:
    """Yield the groups that one view shows; submissions made of what is common are not compared."""
    students: defaultdict[Bag, list[str]] = defaultdict(list)
    for student, found in view.bags.items():
        if len(found) >= LEAST and view.surprise(found) >= view.needed:
            students[found].append(student)
    bags = list(students)
    near = near_pairs(view, bags, limit)
    for places in linked(len(bags), near):
        shared = frozenset.intersection(*(bags[place] for place in places))
        members = sorted(student for place in places for student in students[bags[place]])
        surprise = view.surprise(shared)
        if len(members) > 1 and surprise >= view.needed:
            yield Hint(tuple(members), max((near[pair] for pair in combinations(places, 2)), default=0.0), surprise)
