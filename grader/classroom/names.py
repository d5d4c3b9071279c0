"""What students are called where people read of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from grader.classroom.types import Student


def called(students: Iterable[Student]) -> dict[str, str]:
    """Return the names of students by their ids; namesakes have the id behind it, who has no name has the id alone."""
    distinct = list({student.id: student for student in students}.values())
    often = Counter(student.name for student in distinct)
    return {student.id: _name(student, often[student.name]) for student in distinct}


def joint(names: Iterable[str]) -> str:
    """Return what stands between names in a sentence: 'Doe, Jane' is one of them."""
    return "; " if any("," in name for name in names) else ", "


def _name(student: Student, often: int) -> str:
    if student.name in ("", student.id):
        return student.id
    return student.name if often == 1 else f"{student.name} ({student.id})"
