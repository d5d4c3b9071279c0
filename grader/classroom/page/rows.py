"""The table of students: what stands in its cells, and what they are sorted by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from grader.classroom.gradebook.standing import MISSING, PASSED, WAITING
from grader.classroom.types import ClassReport, Grade, RuleOutcome
from grader.render.escape import shortened

NAME = 120  # code points of a name that are shown
HEADLINE = 240


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict in words, and the name of its colour."""

    word: str
    kind: str


# In the order in which they stand in bars and are sorted.
VERDICTS: dict[str, Outcome] = {
    "pass": Outcome("passed", "pass"),
    "fail": Outcome("not passed", "fail"),
    "error": Outcome("no verdict", "warning"),
    "waiting": Outcome("not graded yet", "open"),
    "missing": Outcome("nothing handed in", "missing"),
}
_MARKS = {"pass": "p", "fail": "f", "error": "e", "skipped": "s"}
_WORDS = {"fail": "failed", "error": "undecided", "skipped": "skipped", "pass": "passed"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that can be sorted by: `name` is that of its values, `falls` whether the largest come first."""

    name: str
    title: str
    needed: Callable[[ClassReport], bool]
    falls: bool = False

    @property
    def figure(self) -> bool:
        return self.name in ("final", "parameters", "accuracy")


PLAIN = (PASSED, MISSING, WAITING)  # headlines that say what the verdict does


def _tells_of_time(grade: Grade) -> bool:
    return grade.submitted is not None or grade.attempts > 1 or bool(grade.late)


COLUMNS = (
    Column("name", "Student", lambda report: True),
    Column("verdict", "Result", lambda report: True),
    Column("rules", "Rules", lambda report: any(grade.rules for grade in report.grades), falls=True),
    Column("final", "Points", lambda report: True, falls=True),
    Column("parameters", "Parameters", lambda report: any(grade.parameters is not None for grade in report.grades)),
    Column("accuracy", "Accuracy", lambda report: any(g.accuracy is not None for g in report.grades), falls=True),
    Column("submitted", "Handed in", lambda report: any(_tells_of_time(grade) for grade in report.grades)),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One student: `marks` are letters of what the rules came to, in their order; `failed` the places of those failed.

    `keys` is what each column is sorted by, None for last. `found_by` is searched though it is not shown.
    """

    grade: Grade
    href: str | None
    name: str
    below: str
    found_by: str
    headline: str
    outcome: Outcome
    marks: tuple[str, ...]
    outcomes: str
    failed: tuple[int, ...]
    points: tuple[str, ...]
    handed_in: str
    handed_in_notes: tuple[str, ...]
    late: str
    keys: dict[str, float | None]


def rows(report: ClassReport, link: Callable[[Grade], str | None]) -> tuple[Row, ...]:
    """Return the rows in the order of the report."""
    order = list(VERDICTS)
    return tuple(_row(report, grade, link(grade), order.index(grade.verdict)) for grade in report.grades)


def shown_name(grade: Grade) -> str:
    """Return what a student is called on the page."""
    return shortened(grade.student.name or grade.student.id, NAME)


def shown_time(at: datetime | None, beside: datetime | None) -> str:
    """Return a time for people; its year only where it is not that of another time, which stands beside it."""
    if at is None:
        return ""
    year = "" if beside is not None and at.year == beside.year else f" {at.year}"
    zone = f" {at.tzname()}" if beside is None and at.tzname() else ""
    return f"{at.day} {at:%b}{year}, {at:%H:%M}{zone}"


def shown_points(points: float) -> str:
    """Return points for people, with two decimals at most."""
    return f"{points:,.2f}".rstrip("0").rstrip(".")


def duration(seconds: float) -> str:
    """Return a length of time in its largest unit."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (unit != "days" and seconds >= length):
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _row(report: ClassReport, grade: Grade, href: str | None, place: int) -> Row:
    by_id = {rule.id: rule for rule in grade.rules}
    outcomes = [by_id.get(rule) for rule in report.rules]
    failed = tuple(number for number, rule in enumerate(outcomes) if rule is not None and rule.status == "fail")
    student = grade.student
    return Row(
        grade=grade,
        href=href,
        name=shown_name(grade),
        below=" · ".join(
            shortened(text, NAME)
            for text in (student.id, student.section, student.group)
            if text not in ("", student.name or student.id)
        ),
        found_by=shortened(" ".join(filter(None, (student.email, *student.platform.values(), grade.path))), HEADLINE),
        headline="" if grade.headline in PLAIN else shortened(grade.headline, HEADLINE),
        outcome=VERDICTS[grade.verdict],
        marks=tuple(_MARKS[rule.status] if rule is not None else "n" for rule in outcomes),
        outcomes=_told(outcomes),
        failed=failed,
        points=tuple(_points(grade)),
        handed_in=shown_time(grade.submitted, report.made),
        handed_in_notes=(f"attempt {grade.attempt} of {grade.attempts}",) if grade.attempts > 1 else (),
        late=_late(grade),
        keys={
            "verdict": place,
            "rules": len(failed) if grade.rules else None,
            "final": grade.final,
            "parameters": grade.parameters,
            "accuracy": grade.accuracy,
            "submitted": grade.submitted.timestamp() if grade.submitted is not None else None,
        },
    )


def _late(grade: Grade) -> str:
    """Return by how much a submission is late; a platform may know no more than that it is."""
    if grade.late_seconds > 0:
        return f"{duration(grade.late_seconds)} late"
    return "late" if grade.late else ""


def _points(grade: Grade) -> list[str]:
    """Return how the final points came about, where they are not the score."""
    found = []
    if grade.override is not None:
        found.append("set by hand" + (f", was {grade.score:g}" if grade.score is not None else ""))
    elif grade.penalty:
        found.append(f"{shown_points(grade.score or 0)} − {shown_points(grade.penalty)} late")
    return found


def _told(outcomes: Sequence[RuleOutcome | None]) -> str:
    """Return what the rules came to in words, for those who do not see the marks."""
    told = []
    for status, word in _WORDS.items():
        ids = [rule.id for rule in outcomes if rule is not None and rule.status == status]
        if ids:
            told.append(f"{word}: {', '.join(ids)}")
    return "; ".join(told)
