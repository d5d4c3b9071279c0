"""Whose a submission is: the student of a roster whom its name can mean, if that is one only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from grader.classroom.intake.finds import Key, Who, folded, letters, spellings
from grader.classroom.intake.roster import Enrolled
from grader.classroom.types import Student

_FORMS: dict[str, Callable[[str], str]] = {"canvas": str, "moodle": str, "name": letters}  # others are folded
SHOWN = 3


class Index:
    """The students of a roster by all that names can tell of them."""

    def __init__(self, enrolled: Sequence[Enrolled], file: str) -> None:
        self._file = file
        self._students: dict[Key, dict[str, Enrolled]] = defaultdict(dict)
        for one in enrolled:
            for key in set(_keys(one.student)):
                self._students[key][one.student.id] = one

    def find(self, who: Who) -> Enrolled | str:
        """Return the student who is meant, or why that cannot be told."""
        for way, value in who.keys:
            found = self._called(way, value)
            if way == "mailbox" and ("name", value) in who.keys:  # neither is surer than the other
                found = {**found, **self._called("name", value)}
            by_name = way == "moodle" or who.is_doubtful
            found = {id: one for id, one in found.items() if _may_be(who, one.student, by_name=by_name)}
            if len(found) > 1:
                some = ", ".join(list(found)[:SHOWN])
                return f"more than one student of {self._file} can be meant: {some}"
            if found:
                return next(iter(found.values()))
        return f"no student of {self._file}"

    def _called(self, way: str, value: str) -> dict[str, Enrolled]:
        return self._students.get((way, _FORMS.get(way, folded)(value)), {})


def _keys(student: Student) -> Iterator[Key]:
    platform = student.platform
    for way in ("canvas", "moodle"):
        if way in platform:
            yield way, platform[way]
    told = {
        "id": student.id,
        "login": platform.get("login", ""),
        "sis": platform.get("sis", ""),
        "email": student.email,
        "mailbox": student.email.partition("@")[0],
    }
    yield from ((way, folded(value)) for way, value in told.items() if folded(value))
    yield from (("name", spelling) for spelling in spellings(student.name) if spelling)


def _may_be(who: Who, student: Student, *, by_name: bool) -> bool:
    """Tell whether nothing speaks against it: a platform knows two people of one name apart by their numbers."""
    known = student.platform
    is_another = any(known.get(platform, number) != number for platform, number in who.platform.items())
    return not is_another and (not by_name or _agree(who.name, student.name))


def _agree(told: str, enrolled: str) -> bool:
    """Tell whether two names may be one person's: in Moodle a group has a number too, which is some participant's.

    A worksheet without names goes with a download without them.
    """
    return not enrolled or sorted(letters(told)) == sorted(letters(enrolled))
