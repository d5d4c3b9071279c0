"""Where the paths of a roster lead: what lies there, and what lies beside it for others."""

from __future__ import annotations

import fnmatch
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

from grader.classroom.intake import layouts
from grader.classroom.intake.finds import Find, Finds
from grader.classroom.intake.folders import named
from grader.classroom.intake.roster import Claim, Enrolled
from grader.classroom.intake.stores import Store, is_handed, joined
from grader.classroom.types import TimeSource
from grader.manifest import Entry, shown_path

Claimed = tuple[Enrolled, Claim, Find]


class Claims:
    """The paths of a roster, followed in a download."""

    def __init__(self, store: Store, enrolled: Sequence[Enrolled], time_source: TimeSource) -> None:
        self._store = store
        self._time_source: TimeSource = time_source
        self._listed = cache(self._names)
        self._owners: dict[str, set[str]] = defaultdict(set)
        self._exactest: dict[str, tuple[Enrolled, Claim]] = {}
        self._places: list[tuple[Enrolled, Claim, list[str]]] = []
        for student in enrolled:
            for claim in student.claims:
                if claim.path:
                    places = list(self._matches(claim.path))
                    self._places.append((student, claim, places))
                    for place in places:
                        is_file = store.kind(place) == "file"
                        self._owners[place.rpartition("/")[0]].add(student.student.id if is_file else "")
                        self._exactest.setdefault(place, (student, claim))
                        if _exactness(claim, place) > _exactness(self._exactest[place][1], place):
                            self._exactest[place] = student, claim
        self._taken = {place for _, _, places in self._places for place in places}
        self._on_the_way = {parent for place in self._taken for parent in _parents(place)}

    def followed(self) -> tuple[list[Claimed], list[tuple[str, str]]]:
        """Return the submissions that rows name, and the paths that lead to none, each with the reason."""
        found: list[Claimed] = []
        left = []
        for student, claim, places in self._places:
            reason = f"line {claim.line} of the roster names it for {student.student.id}, but "
            own = [place for place in places if self._is_for(student, claim, place)]
            if not own:
                lacking = "other rows name all of it more exactly" if places else "it is not there"
                left.append((claim.path, reason + lacking))
            for result in self._submissions(own):
                found += [(student, claim, find) for find in result.found]
                left += [(path, reason + "it is " + words) for path, words in result.left]
        return found, left

    def rest(self, entries: Sequence[Entry]) -> Iterator[tuple[str, list[Entry]]]:
        """Yield the folders with what no row names in them, from the top on down to what rows name."""
        pending = [("", entries)]
        while pending:
            folder, inside = pending.pop()
            yield folder, [entry for entry in inside if not self._concerns(joined(folder, entry.name))]
            for entry in inside:
                path = joined(folder, entry.name)
                if path in self._on_the_way and path not in self._taken and not self._is_whole(path):
                    pending.append((path, layouts.listing(self._store, path)))

    def _is_for(self, student: Enrolled, claim: Claim, place: str) -> bool:
        """Tell whether no row of another student names a place more exactly."""
        other, exacter = self._exactest[place]
        return other is student or _exactness(exacter, place) <= _exactness(claim, place)

    def _concerns(self, path: str) -> bool:
        return path in self._taken or path in self._on_the_way

    def _is_whole(self, folder: str) -> bool:
        """Tell whether all files of a folder belong to one student, who is the only one with a file there."""
        owners = self._owners.get(folder, set())
        return len(owners) == 1 and "" not in owners

    def _submissions(self, places: Sequence[str]) -> Iterator[Finds]:
        """Yield what lies at some places: by the rules of the layout, as if it stood alone there."""
        folders: dict[str, list[str]] = defaultdict(list)
        for place in places:
            folder, _, name = place.rpartition("/")
            folders[folder].append(name)
        for folder, names in folders.items():
            store = layouts.below(self._store, folder)
            entries = [Entry(name, kind) for name in names if (kind := store.kind(name)) is not None]
            whole = bool(folder) and self._is_whole(folder)
            beside = [entry for entry in entries if whole and _is_source(entry)]
            alone = [entry for entry in entries if not (whole and _is_source(entry))]
            result = layouts.finds(store, alone, self._time_source, roster=True)
            result.found += [self._file(store, entry) for entry in beside]
            yield Finds(
                [_moved(find, folder) for find in result.found],
                [(joined(folder, name), words) for name, words in result.left],
            )

    def _file(self, store: Store, entry: Entry) -> Find:
        """Return a file of a folder that is all one student's: the others there are what it may import."""
        time = store.modified(entry.name)
        source: TimeSource = self._time_source if time else ""
        name = shown_path(entry.name)
        return Find(named(name), entry.name, store, submitted=time, time_source=source, file=name)

    def _matches(self, pattern: str) -> Iterator[str]:
        """Yield the places that a path with wildcards names."""
        found = [""]
        for part in pattern.split("/"):
            found = [joined(folder, name) for folder in found for name in self._named(folder, part)]
        return iter(found)

    def _named(self, folder: str, part: str) -> Iterator[str]:
        if self._store.kind(joined(folder, part)) is not None:
            yield part
            return
        literal = _literal(part)
        if literal == part:
            return
        names = self._listed(folder)
        matches = re.compile(fnmatch.translate(part)).match
        for index in range(bisect_left(names, literal), len(names)):
            if not names[index].startswith(literal):
                return
            if matches(names[index]):
                yield names[index]

    def _names(self, folder: str) -> list[str]:
        return [entry.name for entry in layouts.listing(self._store, folder)]


def _literal(pattern: str) -> str:
    """Return what stands before the first wildcard."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0]


def is_pattern(path: str) -> bool:
    return _literal(path) != path


def _exactness(claim: Claim, place: str) -> int:
    """Return how closely a row names what lies at a place: 'ada*' is less close to 'adam' than 'adam*' is."""
    return len(claim.path) + 1 if claim.path == place else len(_literal(claim.path))


def _is_source(entry: Entry) -> bool:
    return entry.kind == "file" and is_handed(entry.name) and not entry.name.lower().endswith(".zip")


def _parents(place: str) -> Iterator[str]:
    while place := place.rpartition("/")[0]:
        yield place


def _moved(find: Find, folder: str) -> Find:
    return replace(find, path=joined(folder, find.path))
