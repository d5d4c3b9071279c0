"""What filling in a file of a learning platform comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.classroom.names import joint
from grader.render.escape import shortened, visible

LISTED = 60  # names in one note
LENGTH = 80  # code points of one name


class FormError(Exception):
    """A file that can't be filled in: `line` counts from 1, 0 where it is the file as a whole; `fix` is the way out."""

    def __init__(self, file: str, line: int, message: str, fix: str) -> None:
        super().__init__(f"{file}:{line}: {message}. {fix}" if line else f"{file}: {message}. {fix}")
        self.file = file
        self.line = line
        self.message = message
        self.fix = fix


@dataclass(frozen=True, slots=True)
class Filled:
    """The file with its grades: `changed` is the number of students whose cells are others now; `notes` are for people.

    All that the notes quote of the file and of the class is made visible.
    """

    data: bytes
    changed: int
    notes: tuple[str, ...]


def listed(names: Sequence[str]) -> str:
    """Return names as part of a sentence, the first of them where there are many."""
    shown = joint(names).join(shortened(visible(name), LENGTH) for name in names[:LISTED])
    return f"{shown} and {len(names) - LISTED:,} more" if len(names) > LISTED else shown
