"""Two readings of a gradebook: whose grade changed, which way, and every reason that is known."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from grader.classroom.gradebook import Change, Comparison, Reason, compare, comparison
from grader.classroom.gradebook.reasons import UNKNOWN
from grader.classroom.types import ClassReport, Grade, LatePolicy, Override, RuleOutcome, Student
from grader.finding import Status

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
ANNA = Student("anna", "Anna Berg", due=NOW)


def outcome(id: str, status: Status = "pass", message: str = "", most: float = 20) -> RuleOutcome:
    return RuleOutcome(id, status, most if status == "pass" else 0, most, message or f"{id} is {status}")


def grade(verdict: Any = "pass", final: float | None = 40, student: Student = ANNA, **fields: Any) -> Grade:
    given = {
        "score": final,
        "attempt": 1,
        "key": "key",
        "sha256": "sha",
        "rules": (outcome("size"), outcome("drop")),
        **fields,
    }
    return Grade(student, verdict, final=final, **given)


FAILED = grade("fail", 20, rules=(outcome("size", "fail", "27,242 parameters"), outcome("drop")))
MISSING = Grade(ANNA, "missing", headline="nothing was handed in")
WAITING = Grade(ANNA, "waiting", attempt=1, key="key", sha256="sha")
UNGRADED = Grade(ANNA, "error", attempt=1, key="key", sha256="sha", headline="forward raised", rules=FAILED.rules)
GIVEN = Override(30.0, "was ill", "EL", NOW)


def of(*grades: Grade, **fields: Any) -> ClassReport:
    given: dict[str, Any] = {
        "title": "Session 5",
        "rules_file": "rules.yaml",
        "rules_sha256": "ab",
        "version": "0.1.0",
        "made": NOW,
        "attempt": "latest",
        "late": LatePolicy(),
        "max_score": 40,
        "rules": ("size", "drop"),
        **fields,
    }
    return ClassReport(grades=grades, **given)


def with_(grade: Grade, **fields: Any) -> Grade:
    return msgspec.structs.replace(grade, **fields)


def only(old: ClassReport, new: ClassReport) -> Change:
    (change,) = compare(old, new)
    return change


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (FAILED, grade(), "better"),
        (grade(), FAILED, "worse"),
        (grade("fail", 20), grade("pass", 20), "better"),
        (grade("pass", 40), grade("pass", 36), "worse"),
        (MISSING, grade("fail", 0), "better"),
        (UNGRADED, grade("fail", 0), "better"),
        (MISSING, UNGRADED, "better"),
        (MISSING, with_(MISSING, final=12, override=GIVEN), "better"),
        (grade("pass", 80, max_score=80), grade("fail", 90, max_score=120), "worse"),
        (grade("pass", 80, max_score=80), grade("pass", 120, max_score=120), "other"),
        (WAITING, grade(), "other"),
        (grade(), WAITING, "other"),
        (grade("error", 20), grade("error", 20), None),
        (grade(), grade(attempt=2, key="new", sha256="new"), None),
    ],
)
def test_a_change_of_the_verdict_or_the_final_score_is_better_or_worse(
    before: Grade, after: Grade, kind: str | None
) -> None:
    found = compare(of(before), of(after))
    assert [(one.kind, one.student, one.before, one.after) for one in found] == (
        [] if kind is None else [(kind, ANNA, before, after)]
    )
    assert all(one.reasons for one in found)


def test_who_came_and_who_went_are_told_and_all_are_counted() -> None:
    ids = ("a", "b", "c", "d", "e", "f")
    a, b, c, d, e, f = (Student(id) for id in ids)
    old = of(grade(student=a), grade("fail", 20, b), grade(student=c), grade(student=d), grade("fail", 1, e))
    new = of(grade(student=f), grade(student=b), grade("fail", 20, c), grade(student=a), Grade(e, "waiting"))
    found = comparison(old, new)
    assert [(change.student.id, change.kind) for change in found.changes] == [
        ("f", "came"),
        ("b", "better"),
        ("c", "worse"),
        ("e", "other"),
        ("d", "went"),
    ]
    assert found == Comparison(compare(old, new), changed=3, unchanged=1, better=1, worse=1, came=1, went=1)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


REASONS = {
    "another rule outcome": (
        of(FAILED),
        of(grade(rules=(outcome("size", message="8,932 parameters"), outcome("drop")))),
        [("rule", "size passes now (8,932 parameters), it failed before (27,242 parameters)")],
    ),
    "another submission": (
        of(FAILED),
        of(grade(attempt=2, sha256="other", key="other")),
        [
            ("attempt", "attempt 2 counts, it was attempt 1"),
            ("submission", "the submitted file is another one"),
            ("rule", "size passes now (size is pass), it failed before (27,242 parameters)"),
        ],
    ),
    "a rule that only speaks up when it is broken": (
        of(grade()),
        of(grade("fail", 40, rules=(outcome("size"), outcome("drop"), outcome("output", "fail", "not (N, 10)", 0)))),
        [("rule", "output fails now (not (N, 10))")],
    ),
    "and has nothing to say any more": (
        of(grade("fail", 40, rules=(outcome("size"), outcome("drop"), outcome("output", "fail", "not (N, 10)", 0)))),
        of(grade()),
        [("rule", "output is not told of any more, it failed before (not (N, 10))")],
    ),
    "other rules": (
        of(grade()),
        of(
            grade("fail", 15, rules=(outcome("size", most=15), outcome("gap", "fail"))),
            rules_sha256="cd",
            rules=("size", "gap"),
        ),
        [
            ("rules", "the rule gap is new"),
            ("rules", "the rule drop is gone"),
            ("rules", "the rule size gives 15 points, it gave 20"),
        ],
    ),
    "the same rules with other limits": (
        of(grade()),
        of(FAILED, rules_sha256="cd"),
        [
            ("rule", "size fails now (27,242 parameters), it passed before (size is pass)"),
            ("rules", "the rules have other checks, options or input"),
        ],
    ),
    "another version": (
        of(UNGRADED),
        of(grade(key="new"), version="0.2.0"),
        [
            ("grading", "it could not be graded before: forward raised"),
            ("version", "graded by s5-grade 0.2.0, it was 0.1.0"),
        ],
    ),
    "another version that had no part in it": (of(grade()), of(FAILED, version="0.2.0"), None),
    "no longer gradable": (of(grade()), of(UNGRADED), [("grading", "it cannot be graded: forward raised")]),
    "graded since": (of(WAITING), of(grade()), [("grading", "it has been graded since")]),
    "waiting again": (of(grade()), of(WAITING), [("grading", "it has not been graded again yet")]),
    "handed in": (of(MISSING), of(grade()), [("submission", "handed in since")]),
    "taken away": (of(grade()), of(MISSING), [("submission", "nothing is handed in any more")]),
    "lateness": (
        of(grade()),
        of(
            grade(final=36, score=40, penalty=4, student=with_(ANNA, due=NOW - timedelta(days=1))),
            late=LatePolicy(10),
        ),
        [
            ("late", "being late costs 4 points, it cost 0"),
            ("late", "the late policy is another one"),
            ("late", "it is due at another time"),
        ],
    ),
    "the best attempt in place of the latest": (
        of(with_(FAILED, attempt=2)),
        of(grade(), attempt="best"),
        [
            ("attempt", "attempt 1 counts, it was attempt 2"),
            ("attempt", "the best attempt counts, it was the latest one"),
            ("rule", "size passes now (size is pass), it failed before (27,242 parameters)"),
        ],
    ),
    "an override": (
        of(grade()),
        of(with_(grade(), final=30, override=GIVEN)),
        [("override", "EL gave 30 points: was ill")],
    ),
    "an override that was taken back": (
        of(with_(grade(), final=30, override=GIVEN)),
        of(grade()),
        [("override", "the override of 30 points was taken back")],
    ),
    "nothing that is known": (of(grade()), of(grade(final=38, score=38)), [("unknown", UNKNOWN)]),
}


@pytest.mark.parametrize("name", REASONS)
def test_every_reason_is_told_in_words(name: str) -> None:
    old, new, expected = REASONS[name]
    if expected is None:
        assert "version" not in {reason.cause for reason in only(old, new).reasons}
    else:
        assert only(old, new).reasons == tuple(Reason(*words) for words in expected)
