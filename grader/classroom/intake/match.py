"""Whose a submission is: the student, or the group, of a roster whom its name can mean, if that is one only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from grader.classroom.intake.finds import Key, Who, folded, letters, spellings
from grader.classroom.intake.roster import Enrolled
from grader.classroom.types import Student

_FORMS: dict[str, Callable[[str], str]] = {"canvas": str, "moodle": str, "name": letters}  # others are folded
SHOWN = 3


# How a name means a student, in words.
BY = {
    "canvas": "their number in Canvas",
    "moodle": "their number in Moodle",
    "id": "their id",
    "login": "their login",
    "sis": "their SIS id",
    "email": "their address",
    "mailbox": "their address",
    "name": "the letters of their name",
    "group": "the letters of their group's name",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a submission is: a student's, or, where `student` is None, a `group`'s; `by` says how that was told."""

    student: Enrolled | None
    group: str
    by: str

    @property
    def shown(self) -> str:
        return self.student.student.id if self.student is not None else f"the group {self.group}"


class Index:
    """The students of a roster by all that names can tell of them, and the groups by their names.

    `named` are the students whose submissions names can tell of; those of the others are told by paths.
    """

    def __init__(self, enrolled: Sequence[Enrolled], named: Sequence[Enrolled], file: str) -> None:
        self._file = file
        self._students: dict[Key, dict[str, Enrolled]] = defaultdict(dict)
        self._groups: dict[str, dict[str, list[Student]]] = defaultdict(dict)
        for one in named:
            for key in set(_keys(one.student)):
                self._students[key][one.student.id] = one
        for one in enrolled:
            called = letters(one.student.group)
            if called:
                self._groups[called].setdefault(one.student.group, []).append(one.student)

    def owner(self, who: Who) -> Owner | str:
        """Return whose a submission is, or why that cannot be told: where two can be meant, it is neither's."""
        found = self._meant(who)
        groups = self._called_so(who)
        if not groups or (isinstance(found, str) and found != self._nobody):
            return found
        if isinstance(found, Owner) and set(groups) == {found.group}:
            return found
        meant = [*([found.shown] if isinstance(found, Owner) else []), *(f"the group {group}" for group in groups)]
        if len(meant) > 1:
            return f"more than one of {self._file} can be meant: {', '.join(meant[:SHOWN])}"
        ((group, members),) = groups.items()
        if not _may_hand_in(who, members):
            return f"called as the group {group} of {self._file}, but by the number it is of somebody else"
        return Owner(None, group, BY["group"])

    def find(self, who: Who) -> Enrolled | str:
        """Return the student who is meant, or why that cannot be told."""
        found = self._meant(who)
        return found if isinstance(found, str) else found.student or self._nobody

    def _called_so(self, who: Who) -> dict[str, list[Student]]:
        """Return the groups that a name can mean, with their members."""
        called = {letters(who.name or who.id), *(letters(value) for way, value in who.keys if way == "login")}
        return {group: members for name in called for group, members in self._groups.get(name, {}).items()}

    @property
    def _nobody(self) -> str:
        return f"no student of {self._file}"

    def _meant(self, who: Who) -> Owner | str:
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
                id, one = next(iter(found.items()))
                return Owner(one, one.student.group, BY[way if id in self._called(way, value) else "name"])
        return self._nobody

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


def _may_hand_in(who: Who, members: Sequence[Student]) -> bool:
    """Tell whether the number in a group's file may be a member's; Moodle's is the group's own, so nobody's here."""
    number = who.platform.get("canvas", "")
    known = [member.platform.get("canvas", "") for member in members]
    return not number or number in known or "" in known


def _agree(told: str, enrolled: str) -> bool:
    """Tell whether two names may be one person's: in Moodle a group has a number too, which is some participant's.

    A worksheet without names goes with a download without them.
    """
    return not enrolled or sorted(letters(told)) == sorted(letters(enrolled))
