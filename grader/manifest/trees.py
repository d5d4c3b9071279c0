"""Where the files of a submission lie."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

Kind = Literal["file", "folder", "link"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What lies in a folder; a link is a symbolic one, and never followed."""

    name: str
    kind: Kind


class Tree(Protocol):
    """Where the files of a submission lie: a folder, an archive, a part of one.

    Names are paths from its top, with forward slashes; the top itself is ''.
    """

    def entries(self, folder: str) -> Iterable[Entry]:
        """Yield what lies in a folder, in any order; nothing where that cannot be told."""

    def kind(self, name: str) -> Kind | None:
        """Return what has a name, a link where any part of it is one; None where nothing has it."""

    def read(self, name: str, cap: int) -> bytes | None:
        """Return a file's bytes, of a larger one the first `cap` + 1; None for what is no plain file.

        Raises OSError, or SubmissionError where nothing of the tree should be graded.
        """


class Disk:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, folder: str) -> Iterator[Entry]:
        try:
            with os.scandir(self.root / folder) as found:
                for entry in found:
                    yield Entry(entry.name, _kind(entry))
        except OSError:
            return

    def kind(self, name: str) -> Kind | None:
        try:
            if any((self.root / part).is_symlink() for part in (name, *parents(name))):
                return "link"
            path = self.root / name
            return "file" if path.is_file() else "folder" if path.is_dir() else None
        except OSError:
            return None

    def read(self, name: str, cap: int) -> bytes | None:
        return read_plain(self.root / name, cap, follow=False)


def _kind(entry: os.DirEntry[str]) -> Kind:
    return "link" if entry.is_symlink() else "folder" if entry.is_dir(follow_symlinks=False) else "file"


def read_plain(path: Path, cap: int, *, follow: bool) -> bytes | None:
    """Return at most `cap` + 1 bytes of a plain file, None where it is anything else. A pipe does not make it wait."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(cap + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def parents(entry: str) -> list[str]:
    """Return the folders between the submission's and a file."""
    return [str(parent) for parent in PurePosixPath(entry).parents][:-1]


def is_readable(name: str) -> bool:
    """Tell whether a file or folder is looked at by itself: hidden ones are not, nor such as cannot be shown."""
    return not name.startswith(".") and name.isprintable()
