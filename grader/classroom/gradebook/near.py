"""Whom a person may have meant who named no student of the class."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from grader.classroom.types import Student
from grader.render.escape import visible

SHOWN = 5


def near(asked: str, students: Sequence[Student]) -> list[Student]:
    """Return the students whose id or name holds what was asked for, and then those with one spelled much like it."""
    wanted = asked.casefold().strip()
    spellings: dict[str, list[Student]] = {}
    for student in students:
        for text in {student.id.casefold(), student.name.casefold()}:
            spellings.setdefault(text, []).append(student)
    holding = [text for text in spellings if wanted and wanted in text]
    alike = difflib.get_close_matches(wanted, spellings, n=SHOWN)
    found = [student for text in [*sorted(holding), *alike] for student in spellings[text]]
    return list({student.id: student for student in found}.values())[:SHOWN]


def shown(student: Student) -> str:
    return f"{student.id!r} ({visible(student.name)})" if student.name else repr(student.id)
