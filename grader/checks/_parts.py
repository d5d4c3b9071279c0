"""Where constants come from, and how many numbers they are where one was made of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# ("constant", id), ("factory", …), ("random", node), ("literal", …), ("number", …), ("places", …) or ("made of", mark)
Source = tuple[Any, ...]
Frontier = Mapping[Source, int]  # where constants come from → how many numbers that is


class Parts:
    """What was made of constants in both programs of a submission, by the mark of what made it."""

    def __init__(self) -> None:
        self.marks: dict[Any, int] = {}
        self.made: dict[Source, Frontier] = {}
        self.bent: set[Source] = set()

    def part(self, merged: Frontier, mark: int, *, bent: bool = False) -> Source:
        """Return the source for what was made of others; of a `bent` one these can't be told, nor they of it."""
        source = ("made of", mark)
        self.made[source] = merged
        self.bent |= {source} if bent else set()
        return source

    def count(self, total: Frontier) -> int:
        """Return how many numbers these are: parts of a tensor are no more than it has in all."""
        parts: dict[Source, int] = {}
        whole = 0
        for source, size in total.items():
            made_of = self.made.get(source, {})
            if source in self.bent or size > sum(made_of.values()):  # of nothing else, or unpacked from less
                whole += size
            else:
                rest = {given: count for given, count in made_of.items() if given not in total}
                parts[tuple(rest)] = min(sum(rest.values()), parts.get(tuple(rest), 0) + size)
        return whole + sum(parts.values())

    def tensors(self, sources: Iterable[Source]) -> set[int]:
        """Return the tensors among the sources of a frontier, those behind a narrow place too."""
        seen: set[Source] = set()
        stack = list(sources)
        while stack:
            source = stack.pop()
            if source not in seen:
                seen.add(source)
                stack.extend(self.made.get(source, ()))
        return {source[1] for source in seen if source[0] == "constant"}
