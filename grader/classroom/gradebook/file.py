"""The file of a gradebook: made, looked over, opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from grader.classroom.gradebook.errors import DAMAGED, FOREIGN, GradebookError, explained
from grader.classroom.gradebook.schema import APPLICATION, MIGRATIONS, Migration, application_of, migrate, version_of

BUSY_SECONDS = 10.0  # to wait for another program's transaction; ours take milliseconds


def connect(path: Path, *, create: bool, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """Return a connection to the gradebook in a file, brought to the newest version; each commit is on the disk.

    Raises:
        GradebookError: there is none and none is to be made, or the file is not one that can be used.
    """
    if create:
        _make(path)
    refuse_absent(path)
    with explained(path):
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            prepare(connection, path, migrations, create=create)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def refuse_absent(path: Path) -> None:
    """Raise GradebookError where there is no such file."""
    if not path.is_file():
        raise GradebookError(f"{path} is a folder: name a file" if path.is_dir() else f"there is no gradebook {path}")


def prepare(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration], *, create: bool = False
) -> None:
    """Look a gradebook over, and bring it to the newest version; with `create`, one that is empty is made.

    Raises:
        GradebookError: it is none, is damaged, or is of a newer version.
    """
    if not _is_gradebook(connection) and not (create and _is_empty(connection)):
        raise GradebookError(f"{path} {FOREIGN}")
    (state,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if state != "ok":
        raise GradebookError(f"{path} {DAMAGED}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    migrate(connection, path, migrations)


def _make(path: Path) -> None:
    """Make an empty file that its owner alone may read, as grades are nobody else's; leave one that is there."""
    try:
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except (FileNotFoundError, NotADirectoryError):
        raise GradebookError(f"there is no folder {path.parent} for the gradebook {path.name}: make it first") from None
    except OSError as error:
        problem = f"{path} cannot be made ({error.strerror}): name a file in a folder that can be written to"
        raise GradebookError(problem) from None


def _is_gradebook(connection: sqlite3.Connection) -> bool:
    return application_of(connection) == APPLICATION and version_of(connection) > 0


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Tell whether a file holds nothing yet; one whose maker was killed is like that."""
    (entries,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return not entries and not application_of(connection)
