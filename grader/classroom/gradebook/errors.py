"""What can be wrong with a gradebook's file, said so that one knows what to do."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

DAMAGED = (
    "is damaged: put a copy in its place, or move it away and grade the class again;"
    " all but the overrides comes back that way"
)
FOREIGN = "is no gradebook of s5-grade: name another file"
UNWRITABLE = "cannot be written to, nor into its folder: get the right to, or copy it to where you have it"

# What SQLite says, in part, and what it means here (texts: sqlite3ErrStr in SQLite's src/main.c).
# Before version 3.11 Python does not tell the code of an error.
_MEANINGS = (
    ("file is not a database", FOREIGN),
    ("malformed", DAMAGED),
    ("Could not decode", DAMAGED),
    ("locked", "is held by another program: close what has it open, or wait and try again"),
    ("readonly", UNWRITABLE),
    ("unable to open", UNWRITABLE),
    ("disk is full", "does not fit on its disk: make room and start again; what was recorded is kept"),
    ("disk I/O error", "could not be read or written by its disk: copy it to another one, which must be a local one"),
)


class GradebookError(Exception):
    """A gradebook that cannot be used, or not like that; the message names the file and the way out."""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what is found wrong with a file into a GradebookError; what is a fault of our own code is left as it is."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except sqlite3.DatabaseError as error:
        said = str(error)
        meaning = next((words for part, words in _MEANINGS if part in said), f"cannot be used: {said}")
        raise GradebookError(f"{path} {meaning}") from error
    except (zlib.error, msgspec.MsgspecError) as error:
        raise GradebookError(f"{path} {DAMAGED}") from error
