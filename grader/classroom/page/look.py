"""What a person should look at: submissions without a verdict, files of nobody, models that are alike, slow ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from grader.classroom.mates import with_mates
from grader.classroom.page.rows import Row, duration
from grader.classroom.types import ClassReport

SLOWEST = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to look at: the students that it is about, and files; what is said of it."""

    people: tuple[Row, ...]
    paths: tuple[str, ...] = ()
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
STARTER = "It could not be graded, so look-alikes share its text alone, and the parts of its graph count as a surprise."
JOINED = (
    "Taken for attempts of one student, or of one group, in this order. Where one is somebody else's, name each in the "
    "roster's column 'path', and grade again."
)
APART = "Graded as students of their own, as nobody says otherwise. A roster tells who they are."
EARLIER = "The last run was to grade these again, and has not, or not yet: they have the result of before."

UNTRAINED = "Their points are without training, which is still to come, or which a fault of s5-grade kept from ending."


def look(report: ClassReport, rows: Sequence[Row]) -> tuple[Topic, ...]:
    """Return the lists that are not empty."""
    by_id = {row.grade.student.id: row for row in rows}
    slow = sorted((row for row in rows if row.grade.seconds > 0), key=lambda row: -row.grade.seconds)[:SLOWEST]
    topics = (
        Topic("no-verdict", "Without a verdict", _with(rows, "error", told=True)),
        Topic(
            "unmatched",
            "Files that belong to nobody",
            tuple(Entry((), (item.path,), item.reason) for item in report.unmatched),
            "Name the student in the roster's column 'path', and grade again.",
        ),
        Topic(
            "alike",
            "Alike",
            tuple(Entry(_people(with_mates(report, group.members), by_id), (), group.why) for group in report.alike),
            ALIKE,
        ),
        Topic("starter", "Starting code", (Entry((), (), report.starter),) if report.starter else (), STARTER),
        Topic("several-names", "Several names", _aliases(report, by_id, joined=True), JOINED),
        Topic("namesakes", "Nearly the same name", _aliases(report, by_id, joined=False), APART),
        Topic("earlier", "From before", _where(rows, lambda row: row.grade.earlier), EARLIER, inline=True),
        Topic("untrained", "Not trained yet", _where(rows, lambda row: row.grade.untrained), UNTRAINED, inline=True),
        Topic("missing", "Nothing handed in", _with(rows, "missing"), inline=True),
        Topic("waiting", "Not graded yet", _with(rows, "waiting"), inline=True),
        Topic("slow", "Slowest", tuple(Entry((row,), (), duration(row.grade.seconds)) for row in slow)),
    )
    return tuple(topic for topic in topics if topic.entries)


def _with(rows: Sequence[Row], verdict: str, *, told: bool = False) -> tuple[Entry, ...]:
    return tuple(Entry((row,), (), row.headline if told else "") for row in rows if row.grade.verdict == verdict)


def _where(rows: Sequence[Row], holds: Callable[[Row], bool]) -> tuple[Entry, ...]:
    return tuple(Entry((row,)) for row in rows if holds(row))


def _aliases(report: ClassReport, by_id: Mapping[str, Row], *, joined: bool) -> tuple[Entry, ...]:
    return tuple(
        Entry(_people(alias.students, by_id), alias.paths, alias.why)
        for alias in report.aliases
        if alias.joined == joined
    )


def _people(students: Sequence[str], by_id: Mapping[str, Row]) -> tuple[Row, ...]:
    return tuple(by_id[student] for student in students if student in by_id)
