"""The gradebook as a plain table: one row a student, UTF-8 with a byte order mark, since Excel asks for one.

Numbers are numbers; every text, whoever wrote it, is made inert. A column of a rule says 'pass', 'fail', 'error' for
undecided, or 'skipped'; it is empty for a submission of which there is no report.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import datetime

from grader.classroom.out.inert import inert
from grader.classroom.types import ClassReport, Grade

_COLUMNS: tuple[tuple[str, Callable[[Grade], object]], ...] = (
    ("id", lambda grade: grade.student.id),
    ("name", lambda grade: grade.student.name),
    ("email", lambda grade: grade.student.email),
    ("section", lambda grade: grade.student.section),
    ("group", lambda grade: grade.student.group),
    ("verdict", lambda grade: grade.verdict),
    ("score", lambda grade: grade.score),
    ("penalty", lambda grade: grade.penalty),
    ("final", lambda grade: grade.final),
    ("max", lambda grade: grade.max_score),
    ("override", lambda grade: grade.override and grade.override.points),
    ("override_reason", lambda grade: grade.override and grade.override.reason),
    ("override_author", lambda grade: grade.override and grade.override.author),
    ("override_at", lambda grade: grade.override and grade.override.at),
    ("headline", lambda grade: grade.headline),
    ("attempt", lambda grade: grade.attempt),
    ("attempts", lambda grade: grade.attempts),
    ("submitted", lambda grade: grade.submitted),
    ("late", lambda grade: "yes" if grade.late else ""),
    ("late_seconds", lambda grade: grade.late_seconds),
    ("untrained", lambda grade: "yes" if grade.untrained else ""),
    ("from_before", lambda grade: "yes" if grade.earlier else ""),
    ("parameters", lambda grade: grade.parameters),
    ("accuracy", lambda grade: grade.accuracy),
    ("sha256", lambda grade: grade.sha256),
    ("path", lambda grade: grade.path),
)


def render(report: ClassReport) -> bytes:
    """Return the table, with one column a rule at its end."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow([*(name for name, _ in _COLUMNS), *(inert(f"rule {rule}") for rule in report.rules)])
    for grade in report.grades:
        statuses = {rule.id: rule.status for rule in grade.rules}
        cells = [_cell(read(grade)) for _, read in _COLUMNS]
        writer.writerow([*cells, *(statuses.get(rule, "") for rule in report.rules)])
    return buffer.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, datetime):
        return value.isoformat()
    return inert(value) if isinstance(value, str) else str(value)
