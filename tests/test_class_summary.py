"""What a class came to, in words: the summary, the difference between gradebooks, and where a run stands."""

from __future__ import annotations

import io
from datetime import datetime, timezone

import msgspec
import pytest

from grader.classroom.gradebook import comparison
from grader.classroom.run import Step
from grader.classroom.summary import difference, summary
from grader.classroom.types import (
    Alias,
    AlikeGroup,
    ClassReport,
    Grade,
    LatePolicy,
    Override,
    RuleOutcome,
    Student,
    Unmatched,
)
from grader.cli.class_progress import Pace, class_progress, counted, paced, span

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)


def grade(name: str, verdict: str, *statuses: str, final: float | None = None, headline: str = "") -> Grade:
    outcomes = tuple(
        RuleOutcome(id, status, 10.0, 10.0, f"{id} {status}")  # type: ignore[arg-type]
        for id, status in zip(("size", "drop"), statuses, strict=False)
    )
    return Grade(
        Student(name.lower(), name),
        verdict,  # type: ignore[arg-type]
        final,
        20.0,
        final=final,
        headline=headline,
        rules=outcomes,
        path=f"{name.lower()}/model.py",
    )


def class_report(
    *grades: Grade, unmatched: tuple[Unmatched, ...] = (), alike: tuple[AlikeGroup, ...] = ()
) -> ClassReport:
    return ClassReport(
        "Session 5",
        "rules.yaml",
        "ab" * 32,
        "0.1.0",
        NOW,
        "latest",
        LatePolicy(),
        20.0,
        ("size", "drop"),
        grades,
        unmatched,
        alike,
    )


def test_the_summary_tells_the_numbers_and_what_a_person_has_to_look_at() -> None:
    report = class_report(
        grade("Ada", "pass", "pass", "pass", final=20.0),
        grade("Bob", "fail", "fail", "pass", final=10.0),
        grade("Cy\x1b[31m", "error", "error", "error", headline="model.py is not Python"),
        grade("Dee", "missing"),
        grade("Eve", "error", "pass", "error", final=10.0, headline="drop could not be decided"),
        unmatched=(Unmatched("stray.py", "no student is called so"),),
        alike=(AlikeGroup("same", ("ada", "bob"), 0.0, "the same graph"),),
    )
    assert (
        summary(report)
        == """\
Session 5: 5 students, 1 passed, 1 failed, 2 could not be graded, 1 handed in nothing

  rule      passed      failed  not judged     skipped
  size           2           1           1           0
  drop           2           0           2           0

Could not be graded (2):
  Cy\\x1b[31m: model.py is not Python
  Eve: drop could not be decided

Belong to no student (1):
  stray.py: no student is called so

Alike: a hint to look, no verdict (1):
  Ada, Bob: the same graph
"""
    )


def test_long_lists_are_cut_and_long_lines_go_on_below() -> None:
    report = class_report(*(grade(f"S{number:02}", "error", headline="long " * 300) for number in range(12)))
    lines = summary(report, 60).splitlines()
    listed = lines[lines.index("Could not be graded (12):") + 1 :]
    assert [line for line in listed if not line.startswith("    ")] == [
        *(f"  S{number:02}: " + " ".join(["long"] * 10) for number in range(10)),
        "  … and 2 more",
    ]
    assert max(map(len, listed)) <= 60
    assert [line.endswith("…") for line in listed].count(True) == 10


def test_what_belongs_to_nobody_is_told_from_the_rarest_reason_on() -> None:
    strangers = tuple(Unmatched(f"{number:02}", "no student of the roster") for number in range(30))
    lost = Unmatched("ada/", "line 7 of the roster names it for ada, but it is not there")
    lines = summary(class_report(grade("Ada", "missing"), unmatched=(*strangers, lost))).splitlines()
    assert lines[2:5] == [
        "Belong to no student (31):",
        f"  ada/: {lost.reason}",
        "  00: no student of the roster",
    ]


def test_names_with_a_comma_are_told_apart() -> None:
    pair = [
        msgspec.structs.replace(grade(name, "missing"), student=Student(name[0], name)) for name in ("A, B", "C, D")
    ]
    report = class_report(*pair, alike=(AlikeGroup("same", ("A", "C"), 0.0, "the same graph"),))
    assert summary(report).splitlines()[-1] == "  A, B; C, D: the same graph"


def test_people_of_one_name_are_told_apart_by_their_ids() -> None:
    namesakes = [
        msgspec.structs.replace(grade("Ann", "error", headline="empty"), student=Student(id, name))
        for id, name in (("7", "Ann"), ("8", "Ann"), ("9", ""), ("bo", "Bo"))
    ]
    lines = summary(class_report(*namesakes)).splitlines()
    assert lines[-4:] == ["  Ann (7): empty", "  Ann (8): empty", "  9: empty", "  Bo: empty"]


def test_an_empty_class_is_told_as_such() -> None:
    assert summary(class_report()) == "Session 5: 0 students\n"


def test_the_difference_tells_whose_grade_changed_and_why() -> None:
    old = class_report(
        grade("Ada", "fail", "fail", "pass", final=10.0), grade("Bob", "pass", "pass", "pass", final=20.0)
    )
    new = class_report(
        grade("Ada", "pass", "pass", "pass", final=20.0), grade("Bob", "pass", "pass", "pass", final=20.0)
    )
    assert (
        difference(comparison(old, new))
        == """\
1 of 2 students have another grade: 1 better, 0 worse; 0 came, 0 went

better: Ada, failed with 10 of 20 points → passed with 20 of 20 points
  size passes now (size pass), it failed before (size fail)
"""
    )


def step(done: int, known: int = 0, total: int = 100) -> Step:
    return Step("static", total, done, known, {"pass": done - 1, "error": 1})


def test_points_that_are_of_no_rules_are_told_alone() -> None:
    missing = grade("Ada", "missing", headline="nothing was handed in")
    given = msgspec.structs.replace(missing, max_score=None, final=12.0)
    found = comparison(class_report(missing), class_report(given))
    assert difference(found).splitlines()[2] == (
        "better: Ada, handed in nothing with no points → handed in nothing with 12 points"
    )


def test_the_pace_counts_what_is_graded_and_not_what_is_known() -> None:
    times = iter((0.0, 0.0, 5.0))
    pace = Pace(lambda: next(times))
    pace.take(step(40, 40))
    pace.take(step(60, 50))
    assert (pace.rate, pace.left) == (2.0, 20.0)
    assert paced(step(60, 50), pace) == "2.0 a second, 20 s left"
    assert counted(step(60, 50)) == "59 passed, 0 failed, 1 not gradable, 50 known already"


def test_times_are_told_as_people_do() -> None:
    assert [span(seconds) for seconds in (4.4, 99, 100, 5_940, 12_000)] == [
        "4 s",
        "99 s",
        "2 min",
        "99 min",
        "3 h 20 min",
    ]


def test_a_log_has_a_line_at_the_end_of_a_phase() -> None:
    log = io.StringIO()
    with class_progress(log, colour=False) as on_step:
        on_step(step(50))
        on_step(step(100, 100))
    assert log.getvalue() == "grading: 100 of 100, 99 passed, 0 failed, 1 not gradable, 100 known already\n"


@pytest.mark.parametrize(("columns", "bar"), [("40", False), ("80", False), ("120", True)])
def test_a_terminal_of_any_width_shows_how_many_are_done(
    columns: str, bar: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with class_progress(terminal, colour=False) as on_step:
        on_step(step(50))
    shown = terminal.getvalue()
    assert (" 50/100 " in shown, "━" in shown) == (True, bar)


def test_who_loses_points_by_the_time_of_a_file_is_told() -> None:
    at = datetime(2026, 4, 30, 12, 5, tzinfo=timezone.utc)
    rows = [
        msgspec.structs.replace(grade(name, "pass", final=18.0), penalty=2.0, submitted=at, time_source=source)
        for name, source in (("Ada", "file"), ("Bob", "roster"), ("Cy", "archive"), ("Dee", "platform"))
    ]
    unlate = msgspec.structs.replace(rows[0], penalty=0.0)
    assert summary(class_report(*rows, unlate)).split("\n", 2)[2] == (
        "Lost points by the time of a file, which copying may change (2):\n"
        "  Ada: 2 points, 2026-04-30 12:05\n"
        "  Cy: 2 points, 2026-04-30 12:05\n"
    )


def test_lateness_that_costs_nothing_is_told_where_it_was_to_cost_something() -> None:
    told = msgspec.structs.replace(grade("Ada", "pass", final=20.0), attempt=1, late=True)
    report = msgspec.structs.replace(class_report(told, grade("Bob", "missing")), late=LatePolicy(10))
    lines = summary(report).split("\n", 2)[2]
    assert lines == (
        "Late by the platform's word, which costs nothing (1):\n"
        "  Ada\n\n"
        "Being late costs nobody anything: of no submission is it known both when it was due and when it was\n"
        "handed in. The columns 'due' and 'submitted' of a roster say so.\n"
    )
    due = msgspec.structs.replace(told.student, due=NOW)
    known = msgspec.structs.replace(told, student=due, submitted=NOW, late=False)
    assert summary(msgspec.structs.replace(report, grades=(known,))).count("\n") == 1
    assert summary(msgspec.structs.replace(report, late=LatePolicy())).count("\n") == 1


def test_overrides_are_told_with_what_the_rules_gave() -> None:
    given = Override(95.5, "oral exam\x1b", "G. Hopper", NOW)
    rows = [
        msgspec.structs.replace(one, override=given, final=95.5)
        for one in (grade("Ada", "fail", final=60.0), grade("Bob", "missing"))
    ]
    assert summary(class_report(*rows)).splitlines()[2:] == [
        "Have points that a person gave (2):",
        "  Ada: 95.5, by the rules 60 (G. Hopper, 2026-05-01: oral exam\\x1b)",
        "  Bob: 95.5, by the rules none (G. Hopper, 2026-05-01: oral exam\\x1b)",
    ]


def test_overrides_of_nobody_are_told() -> None:
    text = summary(class_report(grade("Ada", "missing")), strays=("bob\x1b", "cy"))
    assert text.endswith("Have an override, but are not in the class (2):\n  bob\\x1b\n  cy\n")


def test_what_was_joined_and_what_stands_from_before_is_told() -> None:
    ann, bo, cy = (grade(name, "pass", "pass", "pass", final=20.0) for name in ("Ann", "Bo", "Cy"))
    pair = [
        msgspec.structs.replace(one, student=msgspec.structs.replace(one.student, group="Pair 1"), path="pair/m.py")
        for one in (ann, bo)
    ]
    report = msgspec.structs.replace(
        class_report(
            *pair,
            msgspec.structs.replace(cy, earlier=True, untrained=True),
            alike=(AlikeGroup("same", ("ann", "cy"), 0, "x"),),
        ),
        aliases=(
            Alias(("ann", "bo"), ("pair", "bo"), "by their id", joined=True),
            Alias(("cy", "dee"), ("Cy", "c_y\x1b"), "the letters are the same", joined=False),
        ),
        starter="starter.py does not define a model",
    )
    assert (
        summary(report).partition("\n\n")[2].partition("\n\n")[2]
        == """\
Have a result from before: they were to be graded again, and were not yet (1):
  Cy

Have points without training, which is to come, or was kept from ending (1):
  Cy

Lie under several names, taken for attempts of one (1):
  Ann, Bo: pair, bo; by their id

Are called nearly the same, and graded apart (1):
  Cy, dee: Cy, c_y\\x1b; the letters are the same

Alike: a hint to look, no verdict (1):
  Ann, Bo, Cy: x

The starting code was compared by its text alone, as it could not be graded: starter.py does not
define a model
"""
    )
