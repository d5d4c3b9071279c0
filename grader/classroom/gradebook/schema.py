"""The tables of a gradebook, and how one of an earlier version becomes one of this."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from grader.classroom.gradebook.errors import GradebookError

Migration = Sequence[str]

APPLICATION = 0x53354742  # 'S5GB': what the header of a gradebook's file says that it is

# Statements by the version that they lead to, 1 first. One that was published is never changed: add another one.
#
# What is looked up has a column; the rest is JSON of the types in `grader.classroom.types` and `forms`, which may gain
# fields without a migration. Reports and likenesses are JSON compressed by zlib.
MIGRATIONS: tuple[Migration, ...] = (
    (
        """
        CREATE TABLE class (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            form TEXT NOT NULL,
            alike TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE students (
            id TEXT PRIMARY KEY,
            form TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE attempts (
            student TEXT NOT NULL REFERENCES students ON DELETE CASCADE,
            number INTEGER NOT NULL,
            form TEXT NOT NULL,
            PRIMARY KEY (student, number)
        )
        """,
        # Which results an attempt has or waits for, in the order in which they were tied to it.
        """
        CREATE TABLE ties (
            place INTEGER PRIMARY KEY,
            student TEXT NOT NULL,
            number INTEGER NOT NULL,
            key TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            UNIQUE (student, number, key),
            FOREIGN KEY (student, number) REFERENCES attempts ON DELETE CASCADE
        )
        """,
        # `failed` is 1 where the grader or the machine failed, not the submission: to be tried again.
        """
        CREATE TABLE results (
            key TEXT PRIMARY KEY,
            failed INTEGER NOT NULL,
            seconds REAL NOT NULL,
            recorded TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
            report BLOB NOT NULL,
            likeness BLOB
        )
        """,
        # No reference to a student: who leaves the class and comes back has the overrides of before.
        """
        CREATE TABLE overrides (
            place INTEGER PRIMARY KEY AUTOINCREMENT,
            student TEXT NOT NULL,
            form TEXT NOT NULL
        )
        """,
        "CREATE INDEX overrides_by_student ON overrides (student)",
    ),
    (
        # 1 where the run before said so, and the one that is recorded last has not come to that attempt.
        "ALTER TABLE ties ADD COLUMN earlier INTEGER NOT NULL DEFAULT 0",
        # Which run made a result; runs count from 1.
        "ALTER TABLE results ADD COLUMN run INTEGER NOT NULL DEFAULT 0",
        # What kept the assignment's starting code from being graded.
        "ALTER TABLE class ADD COLUMN starter TEXT NOT NULL DEFAULT ''",
    ),
)


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring a gradebook to the newest version in one transaction; a file without tables has version 0.

    Raises:
        GradebookError: the gradebook is of a newer version than these migrations lead to.
    """
    newest = len(migrations)
    version = version_of(connection)
    if version > newest:
        raise GradebookError(
            f"{path} is a gradebook of version {version}, and this s5-grade knows them up to version {newest}:"
            " use the s5-grade that wrote it, or a newer one"
        )
    if version == newest:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for migration in migrations[version_of(connection) :]:  # another process may have come first
            for statement in migration:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {newest}")


def version_of(connection: sqlite3.Connection) -> int:
    return _number(connection, "user_version")


def application_of(connection: sqlite3.Connection) -> int:
    return _number(connection, "application_id")


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
