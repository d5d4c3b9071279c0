"""What a download was found to hold: submissions, each with what its name tells of the student."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from grader.classroom.types import TimeSource
from grader.manifest import Tree

# A way to know a student, and what is known: ('canvas', '12345').
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Who:
    """What a name tells of the student: `id` where no roster says another, `keys` to look for in one, surest first.

    Where it `is_doubtful`, only a student whose name agrees as well is the one.
    """

    id: str
    keys: tuple[Key, ...]
    name: str = ""
    platform: dict[str, str] = field(default_factory=dict)
    is_doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Find:
    """One submission: `path` is its place in the download, `order` tells which of a student's came first."""

    who: Who
    path: str
    tree: Tree
    order: tuple[int, ...] = ()
    submitted: datetime | None = None
    time_source: TimeSource = ""
    late: bool | None = None
    file: str | None = None


@dataclass(slots=True)
class Finds:
    """What some names of a download stand for; `left` are those of nobody, each with the reason."""

    found: list[Find] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
    layouts: list[str] = field(default_factory=list)

    def add(self, other: Finds) -> None:
        self.found += other.found
        self.left += other.left
        self.layouts += [layout for layout in other.layouts if layout not in self.layouts]


def folded(text: str) -> str:
    """Return an id, a login or an address to compare by."""
    return unicodedata.normalize("NFC", text.strip()).casefold()


def letters(name: str) -> str:
    """Return what file names keep of a person's name: 'Doe, Jane' is 'doejane'."""
    return "".join(filter(str.isalnum, folded(name)))


def spellings(name: str) -> Iterator[str]:
    """Yield the letters of a name in every order that its words may have: families first, or last."""
    words = [letters(word) for word in re.split(r"[\s,]+", name)]
    for start in range(len(words)):
        yield "".join(words[start:] + words[:start])
