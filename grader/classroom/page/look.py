"""What a person should look at: submissions without a verdict, files of nobody, models that are alike, slow ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.classroom.page.rows import Row, duration
from grader.classroom.types import ClassReport

SLOWEST = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to look at: the students that it is about, or a file; what is said of it."""

    people: tuple[Row, ...]
    path: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Topic:
    """A list of such things; `note` says how to take it. `inline` lists are nothing but names."""

    id: str
    title: str
    entries: tuple[Entry, ...]
    note: str = ""
    inline: bool = False


ALIKE = (
    "A hint to look, not a verdict. Small networks for one task are often alike, and so are those that begin with "
    "the same starting code; only a person can tell what happened."
)


def look(report: ClassReport, rows: Sequence[Row]) -> tuple[Topic, ...]:
    """Return the lists that are not empty."""
    by_id = {row.grade.student.id: row for row in rows}
    slow = sorted((row for row in rows if row.grade.seconds > 0), key=lambda row: -row.grade.seconds)[:SLOWEST]
    topics = (
        Topic("no-verdict", "Without a verdict", _with(rows, "error", told=True)),
        Topic(
            "unmatched",
            "Files that belong to nobody",
            tuple(Entry((), item.path, item.reason) for item in report.unmatched),
            "Name the student in the roster's column 'path', and grade again.",
        ),
        Topic(
            "alike",
            "Alike",
            tuple(
                Entry(tuple(by_id[student] for student in group.members if student in by_id), "", group.why)
                for group in report.alike
            ),
            ALIKE,
        ),
        Topic("missing", "Nothing handed in", _with(rows, "missing"), inline=True),
        Topic("waiting", "Not graded yet", _with(rows, "waiting"), inline=True),
        Topic("slow", "Slowest", tuple(Entry((row,), "", duration(row.grade.seconds)) for row in slow)),
    )
    return tuple(topic for topic in topics if topic.entries)


def _with(rows: Sequence[Row], verdict: str, *, told: bool = False) -> tuple[Entry, ...]:
    return tuple(Entry((row,), "", row.headline if told else "") for row in rows if row.grade.verdict == verdict)
