"""What the members of a group share, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations

from grader.classroom.alike.view import View
from grader.classroom.types import AlikeGroup
from grader.likeness import Likeness

SHARES = ((0.95, "nearly all"), (0.87, "nine tenths"), (0.7, "three quarters"), (0.6, "two thirds"), (0.45, "half"))
FEW = 0.05  # of the class: a trait that more have is not worth telling


class Words:
    """Knows the whole class: what a group has, and how many others have it too."""

    def __init__(self, likenesses: Mapping[str, Likeness], graphs: View, texts: View, names: Mapping[str, str]) -> None:
        self.likenesses = likenesses
        self.graphs = graphs
        self.texts = texts
        self.names = names
        self.traits = Counter(trait for likeness in likenesses.values() for trait in likeness.traits)

    def graph_group(self, members: tuple[str, ...], distance: float, surprise: float) -> AlikeGroup:
        """Return a group whose graphs are alike, with what their texts have in common."""
        digests = Counter(self.likenesses[student].digest for student in members)
        same = len(digests) == 1
        parts = [
            f"{'the same graph' if same else 'nearly the same graph'}{self._trait(members)}",
            *self._same_among(members, digests),
            self._text(members),
            _rarity(surprise),
        ]
        return AlikeGroup("same" if same else "near", members, round(distance, 3), "; ".join(parts))

    def text_group(self, members: tuple[str, ...], distance: float, surprise: float) -> AlikeGroup:
        """Return a group whose texts are alike, with what their graphs have in common."""
        return self._of_text(members, distance, _rarity(surprise))

    def close_group(self, members: tuple[str, ...], distance: float, surprise: float) -> AlikeGroup:
        """Return a group whose texts are almost the same though each part of them is common."""
        return self._of_text(members, distance, "few other texts are anything like theirs")

    def _of_text(self, members: tuple[str, ...], distance: float, surprise: str) -> AlikeGroup:
        digests = {self.likenesses[student].digest for student in members}
        same = len(digests) == 1 and "" not in digests
        parts = [self._text(members), self._graphs(members, digests), surprise]
        return AlikeGroup("same" if same else "near", members, 0.0 if same else round(distance, 3), "; ".join(parts))

    def _trait(self, members: Sequence[str]) -> str:
        """Return the trait of all members that the fewest others have, where these are few."""
        shared = [
            trait
            for trait in self.likenesses[members[0]].traits
            if all(trait in self.likenesses[student].traits for student in members)
        ]
        others = {trait: self.traits[trait] - len(members) for trait in shared}
        rarest = min(others, key=lambda trait: others[trait], default="")
        if not rarest or others[rarest] > FEW * len(self.likenesses):
            return ""
        count = others[rarest]
        return f", with {rarest} that {'nobody else has' if not count else f'{_others(count)} too'}"

    def _same_among(self, members: Sequence[str], digests: Counter[str]) -> Iterator[str]:
        """Yield who of a group has the very same graph."""
        for digest, count in digests.items():
            if 1 < count < len(members):
                alike = [student for student in members if self.likenesses[student].digest == digest]
                named = [self.names.get(student, student) for student in alike]
                who = " and ".join(named) if count == 2 else f"{count} of them"
                yield f"{who} have the same one"

    def _graphs(self, members: Sequence[str], digests: Set[str]) -> str:
        if "" in digests:
            return "not all of them have a graph"
        if len(digests) == 1:
            return "their graphs are the same"
        return f"their graphs are at a distance of {_apart(self.graphs, members):.2f}"

    def _text(self, members: Sequence[str]) -> str:
        """Say how much of the source text is the same, of the two members that have the least in common."""
        bags = {self.texts.bags[student] for student in members}
        if not any(bags):
            return "they have no source text of their own"
        if len(bags) == 1:
            return "their source text is the same but for names, strings and comments"
        alike = 1 - _apart(self.texts, members)
        share = 2 * alike / (1 + alike)  # of each text, where both are as long
        words = next((words for least, words in SHARES if share >= least), "")
        return f"{words} of their source text is the same" if words else "names and source text differ"


def _apart(view: View, members: Sequence[str]) -> float:
    """Return the largest distance between two members."""
    bags = {view.bags[student] for student in members}
    return max((view.distance(one, other) for one, other in combinations(bags, 2)), default=0.0)


def _others(count: int) -> str:
    return "1 other has" if count == 1 else f"{count} others have"


def _rarity(bits: float) -> str:
    return f"what they share is found, on average, in 1 of {2**bits:.0f} submissions"
