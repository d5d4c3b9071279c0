"""The gradebook of a class: what was found and what came of it, kept so that no moment of a crash loses any of it."""

from __future__ import annotations

import math
import os
import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Literal

import msgspec

from grader.classroom.gradebook import earlier, near
from grader.classroom.gradebook.errors import GradebookError, explained
from grader.classroom.gradebook.file import connect
from grader.classroom.gradebook.forms import (
    AttemptForm,
    ClassForm,
    Outcome,
    attempt_form,
    class_form,
    packed,
    report_of,
    text_of,
)
from grader.classroom.gradebook.queries import RECORD, TRIED
from grader.classroom.gradebook.reading import snapshot
from grader.classroom.gradebook.running import RunLock
from grader.classroom.gradebook.standing import Tried, grade_of
from grader.classroom.types import AlikeGroup, Class, ClassReport, Course, Done, Grade, LatePolicy, Override, Student
from grader.likeness import Likeness
from grader.obstacles import INTERNAL
from grader.report import Report, ReportError, read_report


class Gradebook:
    """A gradebook that is open. It is used by the thread that opened it, and by no other.

    Other processes may read it and add overrides meanwhile; only one at a time may grade into it. Its methods raise
    GradebookError where the file does not let them do their work.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._run: RunLock | None = None
        self._number = 0  # of the run

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = True) -> Gradebook:
        """Open the gradebook in a file; one that is not there is made, or, without `create`, is an error.

        Raises:
            GradebookError: there is no such gradebook, or it cannot be used.
        """
        absolute = Path(path).absolute()
        return cls(absolute, connect(absolute, create=create))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Gradebook:
        """Open the gradebook in a file as it is at this moment, to look at: it may lie where nothing can be written.

        Raises:
            GradebookError: there is no such gradebook, or it cannot be read.
        """
        absolute = Path(path).absolute()
        return cls(absolute, snapshot(absolute))

    def __enter__(self) -> Gradebook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, and let the next run begin."""
        self._connection.close()
        if self._run is not None:
            self._run.release()
            self._run = None

    def begin(
        self,
        found: Class,
        course: Course,
        *,
        attempt: Literal["latest", "best"],
        late: LatePolicy,
        now: datetime,
        again: bool = False,
    ) -> None:
        """Begin a run: what was found takes the place of what the run before found; results and overrides stay.

        Where nothing but time has passed, a result of before counts until this run says what an attempt's is; in a run
        that grades everything `again`, until the new one is there.

        Raises:
            GradebookError: another run grades into this gradebook.
        """
        if self._run is None:
            self._run = RunLock(self._path)
        students = [(student.id, text_of(student)) for student in found.students]
        attempts = [(one.student, one.number, text_of(attempt_form(one))) for one in found.attempts]
        with self._writing() as connection:
            before = self._form()
            self._number = 1 if before is None else before.run + 1
            form = class_form(found, course, attempt, late, now, run=self._number, again=again)
            kept = earlier.ties(connection, before, form, found.attempts)
            connection.execute("DELETE FROM students")  # and with them attempts and ties
            connection.execute("INSERT OR REPLACE INTO class (only, form, alike) VALUES (1, ?, '[]')", (text_of(form),))
            connection.executemany("INSERT INTO students (id, form) VALUES (?, ?)", students)
            connection.executemany("INSERT INTO attempts (student, number, form) VALUES (?, ?, ?)", attempts)
            connection.executemany(earlier.KEEP, kept)

    def submitted(self, student: str, number: int, key: str, sha256: str) -> None:
        """Say under which key the result of an attempt is or will be; of several keys the last that has one counts."""
        # Not waited for until it is on the disk: what a power cut takes with it, the next run says again.
        with self._writing(durably=False) as connection:
            connection.execute("DELETE FROM ties WHERE student = ? AND number = ? AND earlier", (student, number))
            connection.execute(
                "INSERT OR REPLACE INTO ties (student, number, key, sha256) VALUES (?, ?, ?, ?)",
                (student, number, key, sha256),
            )

    def knows(self, key: str) -> bool:
        """Tell whether there is a result that need not be computed again."""
        with explained(self._path):
            query = "SELECT 1 FROM results WHERE key = ? AND NOT failed"
            return self._connection.execute(query, (key,)).fetchone() is not None

    def record(self, done: Done) -> None:
        """Keep a result; when this returns, it is on the disk."""
        error = done.report.error
        failed = error is not None and error.code == INTERNAL
        likeness = None if done.likeness is None else packed(done.likeness)
        with self._writing() as connection:
            row = (done.key, failed, done.seconds, self._number, packed(done.report), likeness)
            connection.execute(RECORD, row)

    def report(self, key: str) -> Report | None:
        """Return the full report of a result."""
        with explained(self._path):
            row = self._connection.execute("SELECT report FROM results WHERE key = ?", (key,)).fetchone()
            return None if row is None else self._report(row[0])

    def likeness(self, key: str) -> Likeness | None:
        """Return what the submission of a result is like, where that is known."""
        with explained(self._path):
            query = "SELECT likeness FROM results WHERE key = ? AND likeness IS NOT NULL"
            row = self._connection.execute(query, (key,)).fetchone()
            return None if row is None else msgspec.json.decode(zlib.decompress(row[0]), type=Likeness)

    def likenesses(self) -> Iterator[tuple[str, Likeness]]:
        """Yield the id of each student with the likeness of the attempt that counts, where it has one.

        Of a group that hands in together, the first stands for all who have the same attempt.
        """
        told: set[tuple[str, str]] = set()
        for grade in self.class_report().grades:
            shared = (grade.student.group, grade.path)
            if grade.student.group and shared in told:
                continue
            likeness = self.likeness(grade.key)
            if likeness is not None:
                told.add(shared)
                yield grade.student.id, likeness

    def alike(self, groups: Sequence[AlikeGroup], starter: str = "") -> None:
        """Keep which submissions are alike, and what is wrong with the starting code, until the next run begins."""
        with self._writing() as connection:
            connection.execute("UPDATE class SET alike = ?, starter = ?", (text_of(groups), starter))

    def override(self, student: str, points: float | None, reason: str, author: str, at: datetime) -> None:
        """Give a student a score beside the computed one, or, with None, take the last one back.

        Raises:
            GradebookError: no student of the class has this id, or these are no points.
        """
        if points is not None and not (math.isfinite(points) and points >= 0):
            raise GradebookError(f"{points:g} points cannot be given: name a number from 0")
        with self._writing() as connection:
            self._refuse_stranger(student)
            connection.execute(
                "INSERT INTO overrides (student, form) VALUES (?, ?)",
                (student, text_of(Override(points, reason, author, at))),
            )

    def strays(self) -> tuple[str, ...]:
        """Return the ids with an override that are no student's of the class as it was last found."""
        with explained(self._path):
            query = "SELECT student, form FROM overrides WHERE student NOT IN (SELECT id FROM students) ORDER BY place"
            last = {id: msgspec.json.decode(form, type=Override) for id, form in self._connection.execute(query)}
        return tuple(sorted(id for id, override in last.items() if override.points is not None))

    def history(self, student: str) -> tuple[Override, ...]:
        """Return all overrides of a student, the earliest first.

        Raises:
            GradebookError: there are none, and no student of the class has this id.
        """
        with explained(self._path):
            query = "SELECT form FROM overrides WHERE student = ? ORDER BY place"
            rows = self._connection.execute(query, (student,))
            found = tuple(msgspec.json.decode(form, type=Override) for (form,) in rows)
            if not found:
                self._refuse_stranger(student)
        return found

    def class_report(self) -> ClassReport:
        """Return the grades of the whole class as they follow from what is known now.

        Raises:
            GradebookError: no class was graded into this gradebook.
        """
        with explained(self._path), self._connection:
            self._connection.execute("BEGIN")  # one state of it, whoever writes meanwhile
            form = self._form()
            if form is None:
                raise GradebookError(f"{self._path} holds no class yet: grade one with s5-grade class")
            grades = self._grades(form)
            alike, starter = self._connection.execute("SELECT alike, starter FROM class").fetchone()
        return report_of(form, grades, msgspec.json.decode(alike, type=tuple[AlikeGroup, ...]), starter)

    def _form(self) -> ClassForm | None:
        row = self._connection.execute("SELECT form FROM class").fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=ClassForm)

    def _grades(self, form: ClassForm) -> tuple[Grade, ...]:
        rows = self._connection.execute("SELECT student, form FROM overrides ORDER BY place")
        overrides = {student: msgspec.json.decode(text, type=Override) for student, text in rows}  # the last one wins
        tries: defaultdict[str, list[Tried]] = defaultdict(list)
        oldest = (form.run if form.again else 0,)  # of the runs whose results are not from before
        for student, number, text, key, sha256, report, seconds, old in self._connection.execute(TRIED, oldest):
            attempt = msgspec.json.decode(text, type=AttemptForm)
            outcome = None if report is None else self._outcome(report)
            tries[student].append(Tried(number, attempt, key or "", sha256 or "", outcome, seconds or 0.0, bool(old)))
        terms = (form.attempt, form.late)
        train = form.settings.get("train", False)
        return tuple(
            grade_of(student, tries[student.id], *terms, overrides.get(student.id), train=train)
            for student in sorted(self._students(), key=lambda student: (student.name.casefold(), student.id))
        )

    def _students(self) -> list[Student]:
        rows = self._connection.execute("SELECT form FROM students")
        return [msgspec.json.decode(form, type=Student) for (form,) in rows]

    def _refuse_stranger(self, student: str) -> None:
        if self._connection.execute("SELECT 1 FROM students WHERE id = ?", (student,)).fetchone() is not None:
            return
        meant = ", ".join(map(near.shown, near.near(student, self._students())))
        advice = f"did you mean {meant}?" if meant else "name one by the id that the gradebook shows"
        raise GradebookError(f"{self._path} has no student {student!r}: {advice}")

    def _report(self, data: bytes) -> Report:
        try:
            return read_report(zlib.decompress(data))
        except ReportError as error:
            raise self._unread(error) from None

    def _outcome(self, data: bytes) -> Outcome:
        try:
            return msgspec.json.decode(zlib.decompress(data), type=Outcome)
        except msgspec.MsgspecError as error:
            raise self._unread(error) from None

    def _unread(self, error: Exception) -> GradebookError:
        return GradebookError(f"{self._path} has a report that cannot be read ({error}): grade the class again")

    @contextmanager
    def _writing(self, *, durably: bool = True) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside a transaction, which is given up if anything fails."""
        connection = self._connection
        with explained(self._path):
            connection.execute(f"PRAGMA synchronous = {'FULL' if durably else 'NORMAL'}")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
