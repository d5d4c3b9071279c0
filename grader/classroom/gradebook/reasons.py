"""Why a grade is no longer what it was, in words: each function here looks for one sort of reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from grader.classroom.types import ClassReport, Grade, RuleOutcome
from grader.finding import Status

Cause = Literal["submission", "attempt", "grading", "rule", "rules", "version", "late", "override", "unknown"]

_NOW: dict[Status, str] = {
    "pass": "passes now",
    "fail": "fails now",
    "error": "is undecided now",
    "skipped": "is skipped now",
}
_BEFORE: dict[Status, str] = {
    "pass": "it passed before",
    "fail": "it failed before",
    "error": "it was undecided before",
    "skipped": "it was skipped before",
}
UNKNOWN = "nothing that the gradebook tells: a file beside the model's, a setting, or chance in training"


class Reason(msgspec.Struct, frozen=True):
    """One thing that may have changed a grade; `text` holds messages and names as they are, so it is to be escaped."""

    cause: Cause
    text: str


def reasons(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> tuple[Reason, ...]:
    """Return all that is known to differ and to have a part in the grade, never nothing."""
    found = tuple(reason for look in _LOOKS for reason in look(old, new, before, after))
    return found or (Reason("unknown", UNKNOWN),)


def _submission(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if before.student.group != after.student.group:
        yield Reason("submission", f"handed in {_with(after)}, it was {_with(before)}")
    if before.verdict == "missing" or after.verdict == "missing":
        if before.verdict != after.verdict:
            words = "handed in since" if before.verdict == "missing" else "nothing is handed in any more"
            yield Reason("submission", words)
        return
    if before.attempt != after.attempt:
        yield Reason("attempt", f"attempt {after.attempt} counts, it was attempt {before.attempt}")
    if before.sha256 != after.sha256 and before.sha256 and after.sha256:
        yield Reason("submission", "the submitted file is another one")


def _with(grade: Grade) -> str:
    return f"with the group {grade.student.group}" if grade.student.group else "alone"


def _counting(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if old.attempt != new.attempt and before.attempt != after.attempt:
        yield Reason("attempt", f"the {new.attempt} attempt counts, it was the {old.attempt} one")


def _grading(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if before.verdict == after.verdict:
        return
    if "waiting" in (before.verdict, after.verdict):
        words = "it has been graded since" if before.verdict == "waiting" else "it has not been graded again yet"
        yield Reason("grading", words)
    if _is_ungraded(before):
        yield Reason("grading", f"it could not be graded before: {before.headline}")
    if _is_ungraded(after):
        yield Reason("grading", f"it cannot be graded: {after.headline}")


def _outcomes(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    """Yield the rules whose outcome changed; those that one rules file lacks are told by `_rules`."""
    if not (_is_judged(before) and _is_judged(after)):
        return
    was, now = _by_id(before), _by_id(after)
    for id in dict.fromkeys([*was, *now]):
        one, other = was.get(id), now.get(id)
        told_elsewhere = (id in old.rules) != (id in new.rules)
        if not told_elsewhere and (one and one.status) != (other and other.status):
            yield Reason("rule", f"{id} {_became(one, other)}")


def _became(before: RuleOutcome | None, after: RuleOutcome | None) -> str:
    """Return what became of a rule; one that no rules file names is there only where it has something to say."""
    now = "is not told of any more" if after is None else f"{_NOW[after.status]} ({after.message})"
    return now if before is None else f"{now}, {_BEFORE[before.status]} ({before.message})"


def _rules(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if old.rules_sha256 == new.rules_sha256:
        return
    was, now = _by_id(before), _by_id(after)
    found = [f"the rule {id} is new" for id in new.rules if id not in old.rules]
    found += [f"the rule {id} is gone" for id in old.rules if id not in new.rules]
    found += [
        f"the rule {id} gives {now[id].max_points:g} points, it gave {was[id].max_points:g}"
        for id in was
        if id in now and was[id].max_points != now[id].max_points
    ]
    for words in found or ["the rules have other checks, options or input"]:
        yield Reason("rules", words)


def _version(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if old.version != new.version and before.key != after.key:
        yield Reason("version", f"graded by s5-grade {new.version}, it was {old.version}")


def _late(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if before.penalty == after.penalty:
        return
    yield Reason("late", f"being late costs {after.penalty:g} points, it cost {before.penalty:g}")
    if old.late != new.late:
        yield Reason("late", "the late policy is another one")
    if before.student.due != after.student.due:
        yield Reason("late", "it is due at another time")


def _override(old: ClassReport, new: ClassReport, before: Grade, after: Grade) -> Iterator[Reason]:
    if before.override == after.override:
        return
    if after.override is not None:
        given = after.override
        yield Reason("override", f"{given.author or 'somebody'} gave {given.points:g} points: {given.reason}")
    elif before.override is not None:
        yield Reason("override", f"the override of {before.override.points:g} points was taken back")


_LOOKS = (_override, _submission, _counting, _grading, _outcomes, _rules, _version, _late)


def _is_ungraded(grade: Grade) -> bool:
    return grade.verdict == "error" and grade.score is None


def _is_judged(grade: Grade) -> bool:
    return grade.score is not None


def _by_id(grade: Grade) -> dict[str, RuleOutcome]:
    return {rule.id: rule for rule in grade.rules}
