"""What each student holds: their own submissions, or those of the group that they hand in with."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from grader.classroom.intake.attempts import in_order
from grader.classroom.intake.finds import Find, letters
from grader.classroom.intake.problems import IntakeError
from grader.classroom.intake.roster import TEAM, Claim, Enrolled, Roster
from grader.classroom.types import Alias, Student

CALLED = "they are called the same"
ALONE = "the letters of their names are the same; without a roster, each is a student of their own"


@dataclass(frozen=True, slots=True)
class Credit:
    """A submission and whose it was found to be: `students` by the names or the rows that say so, none for a group's.

    `by` says how a name told that, '' where a row's path did, whose `claim` it is.
    """

    find: Find
    claim: Claim | None = None
    by: str = ""
    students: frozenset[str] = frozenset()


@dataclass(slots=True)
class Held:
    """The students of a class and what was found of each; `left` is what belongs to nobody, each with the reason."""

    students: dict[str, Student] = field(default_factory=dict)
    left: list[tuple[str, str]] = field(default_factory=list)
    _claims: dict[str, Claim] = field(default_factory=dict)
    _credits: dict[str, dict[str, Credit]] = field(default_factory=lambda: defaultdict(dict))
    _members: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, enrolled: Iterable[Enrolled]) -> Held:
        """Return what students of a roster hold before anything is found."""
        held = cls()
        for one in enrolled:
            held.students[one.student.id] = one.student
            held._claims.update((one.student.id, claim) for claim in one.claims if not claim.path)
            if one.student.group:
                held._members[one.student.group].append(one.student.id)
        return held

    @property
    def is_empty(self) -> bool:
        return not any(self._credits.values())

    def add(self, id: str, find: Find, claim: Claim | None = None, by: str = CALLED) -> None:
        """Credit a submission to a student, and with them to their group."""
        student = self.students.get(id) or Student(id, find.who.name)
        number = {} if student.group else find.who.platform  # a group's is another member's, or its own
        self.students[id] = msgspec.structs.replace(student, platform={**number, **student.platform})
        self._add(_holder(student), Credit(find, claim, "" if claim else by, frozenset([id])))

    def add_shared(self, group: str, find: Find, by: str) -> None:
        """Credit a submission to a group."""
        self._add(_holder(Student("", group=group)), Credit(find, None, by))

    def _add(self, holder: str, credit: Credit) -> None:
        own = self._credits[holder]
        known = own.get(credit.find.path)
        own[credit.find.path] = credit if known is None else _merged(known, credit)

    def attempts(self, id: str) -> list[Find]:
        """Return the submissions that a student has, in order."""
        credits = self._credits.get(_holder(self.students[id]), {}).values()
        return in_order(((credit.find, credit.claim) for credit in credits), self._claim(id))

    def _claim(self, id: str) -> Claim | None:
        """Return what the student's row says of the latest submission, or else what that of one of their group does."""
        own = self._claims.get(id)
        if own is not None and own.submitted is not None:
            return own
        mates = self._members.get(self.students[id].group, ())
        told = (claim for mate in mates if (claim := self._claims.get(mate)) and claim.submitted)
        return next(told, own)

    def refuse_unsure(self, roster: Roster) -> None:
        """Raise IntakeError where it is not sure that students of one group hand in together, as each does alone."""
        apart = {group: credits for group in self._members if (credits := self._own(group))}
        if roster.group_column in ("", TEAM) or not apart:
            return
        group, credits = next(iter(apart.items()))
        some = " and ".join(f"{credit.find.path} of {', '.join(sorted(credit.students))}" for credit in credits[:2])
        raise IntakeError(
            f"{roster.file}: students of one {roster.group_column} hand in together, but in {len(apart):,} of"
            f" {len(self._members):,} more than one has handed in, such as {some} in {group!r}. Call the column"
            f" {TEAM!r} if the last of these is to count for all of them, and 'section' if each is graded alone."
        )

    def _own(self, group: str) -> list[Credit]:
        """Return the submissions of a group's members where they are of different ones, else nothing."""
        found = self._credits.get(_holder(Student("", group=group)), {}).values()
        credited = [credit for credit in found if credit.students]
        shared = frozenset.intersection(*(credit.students for credit in credited)) if credited else frozenset()
        return [] if shared or not credited else credited

    def aliases(self) -> Iterator[Alias]:
        """Yield the submissions under several names that were taken for one student's, or may be."""
        for holder, credits in self._credits.items():
            named = [credit for credit in credits.values() if credit.by]
            if named and len({_place(credit.find) for credit in credits.values()}) > 1:
                students = self._holding(holder)
                paths = tuple(find.path for find in self.attempts(students[0]))
                why = " and ".join(dict.fromkeys(credit.by for credit in named))
                yield Alias(students, paths, why if why == CALLED else f"by {why}", joined=True)

    def namesakes(self) -> Iterator[Alias]:
        """Yield students of their own, as nobody says otherwise, whose names differ in their spelling alone."""
        alike: dict[str, list[str]] = defaultdict(list)
        for id, student in self.students.items():
            if not student.platform:  # numbers tell people of one name apart
                alike[_spelled(student.name or id)].append(id)
        for ids in alike.values():
            if len(ids) > 1:
                paths = tuple(find.path for id in ids for find in self.attempts(id))
                yield Alias(tuple(ids), paths, ALONE, joined=False)

    def _holding(self, holder: str) -> tuple[str, ...]:
        return tuple(id for id, student in self.students.items() if _holder(student) == holder)


def _holder(student: Student) -> str:
    return f"group {student.group}" if student.group else f"student {student.id}"


def _merged(known: Credit, other: Credit) -> Credit:
    """Return what two rows, or a row and a name, say of one submission: the time of the first that knows one."""
    claim = other.claim if known.claim is None or known.claim.submitted is None else known.claim
    return Credit(known.find, claim or known.claim, known.by and other.by, known.students | other.students)


def _place(find: Find) -> object:
    """Return what all submissions under one name have in common: a platform's number, or the folder of the attempts."""
    return tuple(find.who.platform.items()) or (find.path.rpartition("/")[0] if find.order else find.path)


def _spelled(name: str) -> str:
    """Return the letters of a name, its words in the order of the alphabet."""
    return "".join(sorted(map(letters, re.split(r"[\W_]+", name)))) or name
