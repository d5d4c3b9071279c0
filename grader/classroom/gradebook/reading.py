"""A gradebook that is only looked at: it may lie where nothing can be written, and be in the hands of another program.

What is shown is a copy in memory, as the file was at one moment. https://sqlite.org/wal.html#readonly says when a file
that has a write-ahead log can be read where nothing can be written.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from grader.classroom.gradebook.errors import GradebookError, explained
from grader.classroom.gradebook.file import prepare, refuse_absent
from grader.classroom.gradebook.schema import MIGRATIONS, Migration

LOGS = ("-wal", "-journal")  # what SQLite keeps beside a file while it is written, or after its writer was killed
BUSY_SECONDS = 1.0
TRIES = 20  # to copy a file while nobody writes to it
PAUSE = 0.05  # seconds

Stamp = tuple[tuple[str, int, int], ...]


class _Unsteady(Exception):
    """A file was written to while it was read without a lock."""


def snapshot(path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> sqlite3.Connection:
    """Return a connection to a copy of the gradebook, of the newest version, that takes no changes.

    Raises:
        GradebookError: there is no such gradebook, or it cannot be read.
    """
    refuse_absent(path)
    with explained(path):
        connection = _copy(path)
        try:
            prepare(connection, path, migrations)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    return connection


def _copy(path: Path) -> sqlite3.Connection:
    """Return the copy, made in the first way that can be gone: by SQLite's own locks wherever there may be a writer."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise GradebookError(f"{path} cannot be read: {error.strerror}") from None
    for way in (_at_rest, _beside_its_writer):
        with suppress(_Unsteady, sqlite3.OperationalError):
            return way(path)
    return _apart(path)


def _at_rest(path: Path) -> sqlite3.Connection:
    """Read a file that has no log beside it, so that nobody writes to it: then no lock and no file is needed."""
    with _steady(path) as before:
        if len(before) > 1:
            raise _Unsteady
        return _memory(path, "mode=ro&immutable=1")


def _beside_its_writer(path: Path) -> sqlite3.Connection:
    """Read a file with its log, as SQLite has it; files for that are there, or can be made."""
    return _memory(path, "mode=ro")


def _apart(path: Path) -> sqlite3.Connection:
    """Read a copy of the file and of its log: where nobody may make a file, or a program keeps all others out."""
    for _ in range(TRIES):
        with suppress(_Unsteady, FileNotFoundError):
            return _copied(path)
        time.sleep(PAUSE)
    raise GradebookError(
        f"{path} is written to all the time by a program that lets nobody else read: wait for its end, and try again"
    )


def _copied(path: Path) -> sqlite3.Connection:
    with tempfile.TemporaryDirectory(prefix="s5-grade.") as folder:
        with _steady(path) as before:
            for name, _, _ in before:
                shutil.copyfile(name, Path(folder, Path(name).name))
        return _memory(Path(folder, path.name), "mode=rw")


@contextmanager
def _steady(path: Path) -> Iterator[Stamp]:
    """Yield what a file and its logs are like; raise _Unsteady at the end where that is no longer so."""
    before = _stamp(path)
    yield before
    if _stamp(path) != before:
        raise _Unsteady


def _stamp(path: Path) -> Stamp:
    found = []
    for name in (os.fspath(path), *(f"{path}{log}" for log in LOGS)):
        if os.path.exists(name):  # noqa: PTH110 - names are compared as they are
            state = os.stat(name)  # noqa: PTH116
            found.append((name, state.st_mtime_ns, state.st_size))
    return tuple(found)


def _memory(path: Path, mode: str) -> sqlite3.Connection:
    """Return a copy in memory of what SQLite reads from a file."""
    place = f"file:{quote(os.fspath(path))}?{mode}"
    with closing(sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as source:
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master")  # where it is locked, a backup would wait without end
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            source.backup(connection)
        except BaseException:
            connection.close()
            raise
    return connection
