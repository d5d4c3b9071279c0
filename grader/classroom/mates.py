"""Who handed in together: students of one group, whose counting submission is the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from grader.classroom.types import ClassReport


def with_mates(report: ClassReport, members: Iterable[str]) -> tuple[str, ...]:
    """Return ids of students, each followed by those who handed in the same with them."""
    shared: defaultdict[object, list[str]] = defaultdict(list)
    place = {}
    for grade in report.grades:
        group = grade.student.group
        place[grade.student.id] = (group, grade.path) if group else grade.student.id
        shared[place[grade.student.id]].append(grade.student.id)
    return tuple(dict.fromkeys(id for member in members for id in (member, *shared.get(place.get(member), ()))))
