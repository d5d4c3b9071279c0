"""Trees of files that a download is taken apart into: a folder with its times, a part of a tree, several as one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Protocol

from grader.manifest import DEPTH_CAP, SUFFIXES, Disk, Entry, Kind, SubmissionError, Tree, is_readable

DATED_CAP = 500  # names looked at, for the time of the newest


class Store(Tree, Protocol):
    """A tree that knows when its files were written."""

    def modified(self, name: str) -> datetime | None:
        """Return when a file was written, None where nobody knows."""


class Folder(Disk):
    """A folder of this machine, with the times of its files."""

    def modified(self, name: str) -> datetime | None:
        try:
            return datetime.fromtimestamp((self.root / name).lstat().st_mtime, timezone.utc).astimezone()
        except (OSError, OverflowError, ValueError):
            return None


class Below:
    """The part of a tree below one of its folders."""

    def __init__(self, tree: Store, folder: str) -> None:
        self._tree = tree
        self._folder = folder

    def entries(self, folder: str) -> Iterable[Entry]:
        return self._tree.entries(joined(self._folder, folder))

    def kind(self, name: str) -> Kind | None:
        return self._tree.kind(joined(self._folder, name))

    def read(self, name: str, cap: int) -> bytes | None:
        return self._tree.read(joined(self._folder, name), cap)

    def modified(self, name: str) -> datetime | None:
        return self._tree.modified(joined(self._folder, name))


class Picked:
    """Some files of a tree, each under a name that it is to have: `names` leads from that one to where it lies."""

    def __init__(self, tree: Tree, names: Mapping[str, str]) -> None:
        self._tree = tree
        self._names = names

    def entries(self, folder: str) -> Iterator[Entry]:
        if not folder:
            yield from (Entry(name, "file") for name in self._names)

    def kind(self, name: str) -> Kind | None:
        return self._tree.kind(self._names[name]) if name in self._names else None

    def read(self, name: str, cap: int) -> bytes | None:
        return self._tree.read(self._names[name], cap)


class Union:
    """Several trees as one, each with what it is called. A file may be in one of them only."""

    def __init__(self, trees: Sequence[tuple[str, Tree]]) -> None:
        self._trees = trees

    def entries(self, folder: str) -> Iterator[Entry]:
        seen: set[Entry] = set()
        for entry in itertools.chain.from_iterable(tree.entries(folder) for _, tree in self._trees):
            if entry not in seen:
                seen.add(entry)
                yield entry

    def kind(self, name: str) -> Kind | None:
        return next((kind for _, tree in self._trees if (kind := tree.kind(name)) is not None), None)

    def read(self, name: str, cap: int) -> bytes | None:
        holders = [(shown, tree) for shown, tree in self._trees if tree.kind(name) is not None]
        if len(holders) > 1:
            message = f"{name} is there twice: in {holders[0][0]} and in {holders[1][0]}"
            raise SubmissionError("ambiguous", message, "Hand in one of the two.")
        if not holders:
            raise FileNotFoundError(name)
        return holders[0][1].read(name, cap)


def joined(folder: str, name: str) -> str:
    """Return a path below a folder, where either may be empty."""
    return f"{folder}/{name}" if folder and name else folder or name


def newest(store: Store) -> datetime | None:
    """Return when the newest of the files that can be part of a submission was written."""
    found = []
    folders = [("", 0)]
    left = DATED_CAP
    while folders:
        folder, depth = folders.pop()
        for entry in itertools.islice(store.entries(folder), left):
            left -= 1
            name = joined(folder, entry.name)
            if not is_readable(entry.name):
                continue
            if entry.kind == "folder" and depth < DEPTH_CAP:
                folders.append((name, depth + 1))
            elif entry.kind == "file" and is_handed(entry.name):
                found.append(store.modified(name))
    return max((time for time in found if time is not None), default=None)


def is_handed(name: str) -> bool:
    """Tell whether a file can be the submission, or hold it."""
    return name.lower().endswith((*SUFFIXES, ".zip"))
