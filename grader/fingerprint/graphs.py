"""The fingerprint of a graph: a digest of all that it computes, and its parts as features.

Features are labels of vertices as the Weisfeiler–Lehman kernel makes them (Shervashidze et al., JMLR 12, 2011): a
vertex is told first by itself, then together with its neighbours, then with theirs. They are taken from two views of
the program that trains. The whole one knows every operator. The skeleton knows only where weights are applied, where
maps shrink and where branches meet: it stays the same where activations are swapped or a dropout is slipped in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from grader.facts import Facts
from grader.fingerprint.canonical import Canonical, Source, Vertex, canonical
from grader.fingerprint.traits import traits
from grader.graph import Graph, Mode
from grader.kinds import MULTIPLYING, Kind
from grader.likeness import Likeness, hashed, sketch

VERSION = "1"  # of what a digest is made from
WHOLE_DEPTH, SKELETON_DEPTH = 0, 2
SKELETON: frozenset[Kind] = frozenset((*MULTIPLYING, "avg-pool", "max-pool", "join"))
MODES: tuple[Mode, ...] = ("eval", "train")


def fingerprint(graph: Graph, facts: Mapping[Mode, Facts]) -> Likeness:
    """Return what a graph is like; texts are no part of it."""
    return likeness_of({mode: canonical(graph, facts[mode]) for mode in MODES})


def likeness_of(programs: Mapping[Mode, Canonical]) -> Likeness:
    """Return what two programs in their canonical form are like; the features are those of the one that trains."""
    told = "\n".join([VERSION, *(line for mode in MODES for line in _lines(programs[mode]))])
    digest = hashlib.sha256(told.encode()).hexdigest()[:32]
    return Likeness(digest, sketch(features(programs["train"])), traits=traits(programs["train"]))


def _lines(program: Canonical) -> Iterator[str]:
    """Yield one line a vertex: with vertices and leaves numbered as they are met, nothing else tells them apart."""
    numbers: dict[Source, str] = {}

    def numbered(source: Source) -> str:
        leaf = program.leaf(source)
        if leaf is None:
            return f"{places[source[0]]}.{source[1]}"
        return numbers.setdefault(source, f"{leaf} #{len(numbers)}")

    places = {index: place for place, index in enumerate(program.vertices)}
    for vertex in program.vertices.values():
        yield " | ".join([vertex.op, *vertex.attributes, *map(numbered, vertex.inputs)])
    yield " | ".join(["returns", *map(numbered, program.output)])


def features(program: Canonical) -> Iterator[str]:
    """Yield the labels of all vertices, at every depth, in both views."""
    whole = program.vertices
    labels = {index: hashed("whole", _told(program, vertex)) for index, vertex in whole.items()}
    yield from _refined(labels, {index: _computed(vertex) for index, vertex in whole.items()}, WHOLE_DEPTH)
    skeleton = _skeleton(whole)
    labels = {index: hashed("skeleton", _bare(program, whole[index])) for index in skeleton}
    yield from _refined(labels, skeleton, SKELETON_DEPTH)


def _refined(labels: Mapping[int, str], inputs: Mapping[int, tuple[int, ...]], depth: int) -> Iterator[str]:
    """Yield labels, then those that each makes with the labels before and behind it, and so on."""
    users: dict[int, list[int]] = {index: [] for index in inputs}
    for index, sources in inputs.items():
        for source in sources:
            users[source].append(index)
    yield from labels.values()
    for _ in range(depth):
        labels = {
            index: hashed(
                label,
                "<",
                *(labels[source] for source in inputs[index]),
                ">",
                *sorted(labels[user] for user in users[index]),
            )
            for index, label in labels.items()
        }
        yield from labels.values()


def _computed(vertex: Vertex) -> tuple[int, ...]:
    return tuple(source[0] for source in vertex.inputs if source[0] >= 0)


def _told(program: Canonical, vertex: Vertex) -> str:
    return " | ".join([vertex.op, *vertex.attributes, *(program.leaf(source) or "@" for source in vertex.inputs)])


def _bare(program: Canonical, vertex: Vertex) -> str:
    """Tell a vertex of the skeleton without what does not change its place in it: a bias."""
    leaves = [leaf for source in vertex.inputs if (leaf := program.leaf(source)) is not None]
    told = (attribute for attribute in vertex.attributes if not attribute.startswith("bias"))
    return " | ".join([vertex.op, *told, *leaves[:1]])


def _skeleton(whole: Mapping[int, Vertex]) -> dict[int, tuple[int, ...]]:
    """Return the vertices of the skeleton with those of it that they work on, through vertices that are none of it."""
    reached: dict[int, tuple[int, ...]] = {}
    skeleton: dict[int, tuple[int, ...]] = {}
    for index, vertex in whole.items():
        before = tuple(dict.fromkeys(found for source in _computed(vertex) for found in reached[source]))
        if vertex.kind in SKELETON or len(before) > 1:
            skeleton[index] = before
            before = (index,)
        reached[index] = before
    return skeleton
