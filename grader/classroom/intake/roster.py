"""A roster: who the students are, and where the submissions of each lie.

Three kinds are told apart by the names of their columns: one's own, with any of the columns in the table below;
Canvas's exported gradebook (instructure/canvas-lms, lib/gradebook_exporter.rb); Moodle's offline grading worksheet
(moodle/moodle, mod/assign/feedback/offline and mod/assign/gradingtable.php). In the last two the student's id is the
platform's number, which is also in the names of the files that they give out. Moodle's has a column 'Group' where
students submit in groups; to Canvas's one can be added.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from grader.classroom.intake.finds import folded
from grader.classroom.intake.problems import IntakeError
from grader.classroom.intake.table import Row, Table, positions, read_table
from grader.classroom.intake.times import moment
from grader.classroom.types import Student

Kind = Literal["own", "canvas", "moodle"]

TEAM = "team"  # whoever calls the column so is sure that all of a group count for each other
GROUPS = (TEAM, "group")
_SHARED = {
    "path": ("path", "file", "folder", "repository"),
    "due": ("due", "due date", "deadline"),
    "submitted": ("submitted", "submitted at"),
}
COLUMNS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "own": {
        "id": ("id", "student id", "student", "identifier"),
        "name": ("name", "full name", "student name"),
        "first": ("first name", "firstname", "given name"),
        "last": ("last name", "lastname", "surname", "family name"),
        "email": ("email", "e mail", "email address", "mail"),
        "section": ("section",),
        "group": GROUPS,
        "login": ("login", "username", "user name", "github username", "github", "login id"),
        "sis": ("sis", "sis id", "sis user id"),
        "canvas": ("canvas", "canvas id"),
        "moodle": ("moodle", "participant", "moodle id"),
        **_SHARED,
    },
    "canvas": {
        "canvas": ("id",),
        "name": ("student",),
        "first": ("firstname",),
        "last": ("lastname",),
        "login": ("sis login id",),
        "sis": ("sis user id",),
        "section": ("section",),
        "group": GROUPS,
        "email": ("email", "email address"),
        **_SHARED,
    },
    "moodle": {
        "moodle": ("identifier",),
        "name": ("full name",),
        "email": ("email address",),
        "sis": ("id number",),
        "login": ("username",),
        "section": ("section",),
        "group": GROUPS,
        "status": ("status",),
        "handed in": ("last modified (submission)",),
        **_SHARED,
    },
}
_IDS: dict[Kind, tuple[str, ...]] = {  # what the id is taken from, the first that there is
    "own": ("id", "login", "email", "canvas", "moodle"),
    "canvas": ("canvas",),
    "moodle": ("moodle",),
}
_TEST_STUDENT = ("Student, Test", "Test Student")  # whom Canvas gives every course, and who is nobody
_PLATFORM = ("canvas", "sis", "login", "moodle")
_NUMBER = re.compile(r"(\d+)$", re.ASCII)  # of 'Participant 123', in whatever language


@dataclass(frozen=True, slots=True)
class Claim:
    """What a row says of a submission: where it lies, when it was handed in, by whose word."""

    line: int
    path: str = ""
    submitted: datetime | None = None
    time_source: Literal["roster", "platform", ""] = ""
    late: bool | None = None


@dataclass(slots=True)
class Enrolled:
    """A student of the roster, with the row that it stands in first."""

    student: Student
    line: int
    claims: list[Claim] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Roster:
    """A whole roster, in its order; `group_column` is what the column of groups is called, '' where there is none.

    `unused` are the columns that mean nothing here, as they are called; none of a platform's, which has many.
    """

    file: str
    enrolled: tuple[Enrolled, ...]
    group_column: str = ""
    unused: tuple[str, ...] = ()


def read_roster(path: str) -> Roster:
    """Read a roster. Raises IntakeError with all that is wrong with it."""
    table = read_table(path)
    columns = [heading(name) for name in table.columns.cells]
    kind = _kind(columns)
    reading = _Reading(table, kind, positions(columns, COLUMNS[kind]))
    reading.check_columns(columns)
    for row in table.rows:
        reading.row(row)
    if reading.problems:
        raise IntakeError(*reading.problems)
    if not reading.enrolled:
        raise IntakeError(f"{table.file}: the roster names no student. Give each a row below the names of the columns.")
    place = reading.places.get("group")
    group = "" if place is None else columns[place]
    used = {*reading.places.values()} if kind == "own" else range(len(columns))
    unused = [name for number, name in enumerate(table.columns.cells) if name and number not in used]
    return Roster(table.file, tuple(reading.enrolled.values()), group, tuple(unused))


def heading(name: str) -> str:
    """Return the name of a column to compare by."""
    return " ".join(re.split(r"[\s_-]+", name.casefold().strip()))


def _kind(columns: list[str]) -> Kind:
    if "identifier" in columns and {"last modified (submission)", "last modified (grade)", "status"} & {*columns}:
        return "moodle"
    if "id" in columns and {"student", "lastname"} & {*columns} and {"sis login id", "section"} & {*columns}:
        return "canvas"
    return "own"


class _Reading:
    """One call of `read_roster`: the students and the problems found so far."""

    def __init__(self, table: Table, kind: Kind, places: Mapping[str, int]) -> None:
        self.table = table
        self.kind = kind
        self.places = places
        self.enrolled: dict[str, Enrolled] = {}
        self.groups: dict[str, str] = {}  # as they are spelled first, by what is compared
        self.problems: list[str] = []

    def note(self, line: int, words: str) -> None:
        self.problems.append(f"{self.table.file}:{line}: {words}")

    def check_columns(self, columns: list[str]) -> None:
        """Check that there is a column with an id. Raises IntakeError."""
        line = self.table.columns.line
        if not {*_IDS[self.kind]} & {*self.places}:
            found = ", ".join(repr(name[:40]) for name in self.table.columns.cells[:20])
            self.note(line, f"no column 'id' among {found}. Name the columns in the first line: id, name, email, …")
            raise IntakeError(*self.problems)
        used = [columns[place] for place in self.places.values()]
        for name in dict.fromkeys(name for name in used if columns.count(name) > 1):
            self.note(line, f"two columns are called {name!r}: rename one")

    def row(self, row: Row) -> None:
        """Add what a row says."""
        if self.kind == "canvas" and ("points possible" in row.cells[0].casefold() or not any(row.cells[:4])):
            return  # how many points an assignment gives, and which one is hidden
        if len(row.cells) > len(self.table.columns.cells) and any(row.cells[len(self.table.columns.cells) :]):
            self.note(row.line, "more cells than columns: put a cell with a comma in quotes")
            return
        given = {name: row.cells[place] for name, place in self.places.items() if place < len(row.cells)}
        student = self._student(row, given)
        claim = self._claim(row, given)
        if student is None or claim is None:
            return
        if self.kind == "canvas" and student.name in _TEST_STUDENT and "sis" not in student.platform:
            return
        known = self.enrolled.get(student.id)
        if known is None:
            self.enrolled[student.id] = Enrolled(student, row.line, [claim])
        elif not (claim.path and all(earlier.path for earlier in known.claims)):
            words = f"{student.id!r} is in line {known.line} already: only rows that name several attempts in 'path'"
            self.note(row.line, f"{words} may share an id")
        else:
            known.student = self._merged(known, student, row.line)
            known.claims.append(claim)

    def _student(self, row: Row, given: Mapping[str, str]) -> Student | None:
        platform = {name: given[name] for name in _PLATFORM if given.get(name)}
        if given.get("moodle"):
            number = _NUMBER.search(given["moodle"])
            if number is None:
                self.note(row.line, f"{given['moodle'][:40]!r} is no participant, such as 'Participant 123'")
                return None
            platform["moodle"] = number[1]
        id = next((known for way in _IDS[self.kind] if (known := platform.get(way) or given.get(way))), "")
        if not id:
            self.note(row.line, "no id: give each student one")
            return None
        name = given.get("name") or " ".join(filter(None, (given.get("first"), given.get("last"))))
        due = self._time(row, given, "due", day_ends=True)
        group = given.get("group", "")
        group = self.groups.setdefault(folded(group), group)
        return Student(id, name, given.get("email", ""), given.get("section", ""), due, platform, group)

    def _claim(self, row: Row, given: Mapping[str, str]) -> Claim | None:
        path = given.get("path", "").replace("\\", "/")
        if path.startswith("/") or ".." in PurePosixPath(path).parts or re.match(r"[A-Za-z]:", path):
            self.note(row.line, f"{path[:80]!r} leads out of the folder: give a path inside it")
            return None
        path = "/".join(part for part in path.split("/") if part not in ("", "."))
        status = given.get("status", "").casefold()
        late = None if not status.startswith("submitted") else bool(re.search(r"\blate\b", status))
        if submitted := self._time(row, given, "submitted"):
            return Claim(row.line, path, submitted, "roster", late)
        handed_in = self._time(row, given, "handed in")
        return Claim(row.line, path, handed_in, "platform" if handed_in else "", late)

    def _time(self, row: Row, given: Mapping[str, str], name: str, *, day_ends: bool = False) -> datetime | None:
        try:
            return moment(given.get(name, ""), day_ends=day_ends)
        except ValueError as error:
            self.note(row.line, f"{self.table.columns.cells[self.places[name]]}: {error}")
            return None

    def _merged(self, known: Enrolled, other: Student, line: int) -> Student:
        """Return what two rows say of a student, noting where they disagree."""
        changes = {}
        for name in ("name", "email", "section", "due", "group"):
            old, new = getattr(known.student, name), getattr(other, name)
            if old and new and old != new:
                self.note(line, f"{other.id!r} has another {name} in line {known.line}")
            changes[name] = old or new
        return msgspec.structs.replace(known.student, **changes, platform={**other.platform, **known.student.platform})
