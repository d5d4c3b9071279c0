"""What stands from the run before until the run that is under way has come to it: no grade is lost by starting one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from grader.classroom.gradebook.forms import AttemptForm, ClassForm
from grader.classroom.types import Attempt

Tie = tuple[str, int, str, str]  # student, number of the attempt, key, sha256

_TIES = "SELECT student, number, key, sha256, form FROM ties JOIN attempts USING (student, number) ORDER BY place"
KEEP = "INSERT INTO ties (student, number, key, sha256, earlier) VALUES (?, ?, ?, ?, 1)"


def ties(
    connection: sqlite3.Connection, before: ClassForm | None, now: ClassForm, attempts: tuple[Attempt, ...]
) -> list[Tie]:
    """Return the ties of the run before that say something of the attempts of this one: where these lie as they lay.

    Other rules, other settings and another version of s5-grade give other results: then none of them does.
    """
    if before is None or _terms(before) != _terms(now):
        return []
    return list(_kept(connection, {(one.student, one.number): one.path for one in attempts}))


def _kept(connection: sqlite3.Connection, paths: dict[tuple[str, int], str]) -> Iterator[Tie]:
    for student, number, key, sha256, text in connection.execute(_TIES):
        if paths.get((student, number)) == msgspec.json.decode(text, type=AttemptForm).path:
            yield student, number, key, sha256


def _terms(form: ClassForm) -> object:
    return form.rules_sha256, form.settings, form.version
