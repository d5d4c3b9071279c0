"""Two readings of a gradebook, or of two of them: whose grade changed, from what to what, and why."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from grader.classroom.gradebook.reasons import Reason, reasons
from grader.classroom.types import ClassReport, Grade, Student

Kind = Literal["better", "worse", "other", "came", "went"]

DIGITS = 9  # of a share: what lies beyond is the noise of binary fractions

# What decides between two grades of as many points. A grade that is still to come is neither better nor worse.
_RANKS = {"missing": 0, "error": 1, "fail": 2, "pass": 3}


class Change(msgspec.Struct, frozen=True):
    """A student whose grade is no longer what it was: the verdict, or the final score.

    `before` is None for one who `came` to the class, `after` for one who `went`. `kind` compares the shares of all
    points, as other rules may give more of them, and then the verdicts; it is 'other' where a grade is still to come.
    """

    student: Student
    kind: Kind
    before: Grade | None
    after: Grade | None
    reasons: tuple[Reason, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """All changes, in the order of the newer gradebook, then those who went; and how many students they are.

    `changed` and `unchanged` count the students in both gradebooks; `better` and `worse` are among the changed.
    """

    changes: tuple[Change, ...]
    changed: int
    unchanged: int
    better: int
    worse: int
    came: int
    went: int


def compare(old: ClassReport, new: ClassReport) -> tuple[Change, ...]:
    """Return whose grade changed, and why."""
    before = {grade.student.id: grade for grade in old.grades}
    after = {grade.student.id: grade for grade in new.grades}
    found = [_change(old, new, before.get(id), after.get(id)) for id in dict.fromkeys([*after, *before])]
    return tuple(change for change in found if change is not None)


def comparison(old: ClassReport, new: ClassReport) -> Comparison:
    """Return whose grade changed, and the numbers."""
    changes = compare(old, new)
    kinds = Counter(change.kind for change in changes)
    changed = kinds["better"] + kinds["worse"] + kinds["other"]
    return Comparison(
        changes,
        changed=changed,
        unchanged=len(new.grades) - kinds["came"] - changed,
        better=kinds["better"],
        worse=kinds["worse"],
        came=kinds["came"],
        went=kinds["went"],
    )


def _change(old: ClassReport, new: ClassReport, before: Grade | None, after: Grade | None) -> Change | None:
    if after is None:
        return None if before is None else Change(before.student, "went", before, None)
    if before is None:
        return Change(after.student, "came", None, after)
    if (before.verdict, before.final) == (after.verdict, after.final):
        return None
    return Change(after.student, _kind(old, new, before, after), before, after, reasons(old, new, before, after))


def _kind(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Kind:
    if "waiting" in (before.verdict, after.verdict):
        return "other"
    was, now = _standing(old, before), _standing(new, after)
    return "better" if now > was else "worse" if now < was else "other"


def _standing(report: ClassReport, grade: Grade) -> tuple[float, int]:
    whole = grade.max_score or report.max_score or 1.0  # without a report there is only what the class can get
    return round((grade.final or 0.0) / whole, DIGITS), _RANKS[grade.verdict]
