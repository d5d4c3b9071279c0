"""From the attempts of a student, and what came of each, to the one that counts and its grade."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from grader.classroom.gradebook.forms import AttemptForm, Outcome
from grader.classroom.gradebook.late import is_late, late_seconds, penalty, rounded
from grader.classroom.types import Grade, LatePolicy, Override, Student

MISSING = "nothing was handed in"
WAITING = "not graded yet"
PASSED = "passed"


@dataclass(frozen=True, slots=True)
class Tried:
    """One attempt with what came of it: `outcome` is None where that is not known yet, `key` is then '' or awaited.

    `earlier` marks an outcome from before a run that was to make another, and has not, or not yet.
    """

    number: int
    form: AttemptForm
    key: str = ""
    sha256: str = ""
    outcome: Outcome | None = None
    seconds: float = 0.0
    earlier: bool = False


def grade_of(
    student: Student,
    tries: Sequence[Tried],
    attempt: Literal["latest", "best"],
    policy: LatePolicy,
    override: Override | None,
    *,
    train: bool = False,
) -> Grade:
    """Return the row of a student whose attempts stand in the order of their numbers.

    `train` says whether models are trained, so that a result without that is not the last.
    """
    if not tries:
        grade = Grade(student, "missing", headline=MISSING)
    else:
        grades = [_grade(student, tried, policy, train) for tried in tries]
        grade = msgspec.structs.replace(_COUNTING[attempt](grades), attempts=len(tries))
    if override is None or override.points is None:
        return grade
    return msgspec.structs.replace(grade, override=override, final=override.points)


def _latest(grades: Sequence[Grade]) -> Grade:
    return grades[-1]


def _best(grades: Sequence[Grade]) -> Grade:
    """Return the highest, the earliest of equals; one that has no score is below all, one not graded yet is none."""
    graded = [grade for grade in grades if grade.verdict != "waiting"]
    return max(graded, key=lambda grade: -math.inf if grade.final is None else grade.final, default=grades[-1])


_COUNTING = {"latest": _latest, "best": _best}


def _grade(student: Student, tried: Tried, policy: LatePolicy, train: bool) -> Grade:
    """Return what an attempt would come to if it were the one that counts."""
    form = tried.form
    late = late_seconds(student.due, form.submitted)
    grade = Grade(
        student,
        "waiting",
        late_seconds=late,
        late=is_late(student.due, form.submitted, form.late),
        headline=WAITING,
        attempt=tried.number,
        path=form.path,
        submitted=form.submitted,
        time_source=form.time_source,
        key=tried.key,
        sha256=tried.sha256,
    )
    outcome = tried.outcome
    if outcome is None:
        return grade
    grade = msgspec.structs.replace(
        grade,
        verdict=outcome.verdict,
        headline=headline(outcome),
        rules=outcome.rules,
        parameters=None if outcome.model is None else outcome.model.parameters,
        accuracy=None if outcome.training is None else outcome.training.accuracy,
        seconds=tried.seconds,
        error="" if outcome.error is None else outcome.error.code,
        earlier=tried.earlier,
        untrained=train and any(rule.status == "skipped" for rule in outcome.rules),
    )
    if outcome.error is not None:
        return grade  # no rule was judged: that is no score, and not 0 points either
    cost = penalty(outcome.score, late, policy)
    return msgspec.structs.replace(
        grade,
        score=outcome.score,
        max_score=outcome.max_score,
        penalty=cost,
        final=rounded(outcome.score - cost),
    )


def headline(outcome: Outcome) -> str:
    """Return in one line what came of a submission: the obstacle, or the rules that failed or are undecided."""
    return " ".join("; ".join(_telling(outcome)).split())


def _telling(outcome: Outcome) -> Iterator[str]:
    if outcome.error is not None:
        yield outcome.error.message
        return
    if outcome.verdict == "pass":
        yield PASSED
    # An undecided rule beside a failed one decides nothing.
    telling = "error" if outcome.verdict == "error" else "fail"
    yield from (rule.message for rule in outcome.rules if rule.status == telling)
