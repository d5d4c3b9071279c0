"""What changed between two reports."""

from __future__ import annotations

from typing import Any

import pytest
from samples import graded, result, rule, rules, submission
from two_rules import report, ungraded

from grader.finding import Finding
from grader.render import Options
from grader.render.changes import Change, changes, render
from grader.report import UNUSED, Report, graded_report


def said(text: str, check: str = "dropout", level: Any = "error") -> Finding:
    return Finding(check, level, text)


CHANGES: list[tuple[str, Report, Report, list[str]]] = [
    ("nothing", report(), report(), []),
    ("fixed", report(drop="fail"), report(), ["better fixed: drop", "better score 20 → 40"]),
    ("broken", report(), report(size="fail"), ["worse new: size", "worse score 40 → 20"]),
    (
        "smaller",
        report(size="fail", count=33_882),
        report(),
        ["better fixed: size", "other parameters 33,882 → 8,932 (−24,950)", "better score 20 → 40"],
    ),
    ("larger", report(), report(count=9_000), ["other parameters 8,932 → 9,000 (+68)"]),
    (
        "undecided",
        report(),
        report(drop="error"),
        ["worse undecided: drop", "worse score 40 → 20"],
    ),
    ("decided", report(drop="error"), report(), ["better passed: drop", "better score 20 → 40"]),
    ("another class", report(), report(name="Other"), ["other class Net → Other"]),
    ("no longer graded", report(), ungraded(), ["worse new: syntax: not Python"]),
    ("still not graded", ungraded(), ungraded(), []),
    ("another obstacle", ungraded(), ungraded("import", "no torchvision"), ["worse new: import: no torchvision"]),
    (
        "one of two findings went, one has another number",
        report("pass", "fail", said("p=0 drops nothing"), said("thrown away in line 3")),
        report("pass", "fail", said("thrown away in line 14")),
        ["better fixed: drop: p=0 drops nothing"],
    ),
    (
        "a warning came",
        report(),
        report("pass", "pass", said("still on in eval mode", level="warning")),
        ["worse new: drop: still on in eval mode"],
    ),
    (
        "twice what was there once",
        report("pass", "fail", said("p=0")),
        report("pass", "fail", said("p=0"), said("p=0")),
        ["worse new: drop: p=0"],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_changes(before: Report, after: Report, expected: list[str]) -> None:
    assert [f"{change.kind} {change.text}" for change in changes(before, after)] == expected


def test_after_an_error_the_last_graded_report_counts() -> None:
    found = changes(ungraded(), report(), graded=report(drop="fail"))
    assert [change.text for change in found] == ["fixed: syntax", "fixed: drop", "score 20 → 40"]
    assert [change.text for change in changes(ungraded(), report())] == ["fixed: syntax"]


def test_rules_that_came_and_went() -> None:
    one = rules(rule("drop", "dropout"))
    before = graded_report(one, submission(), graded(result("dropout")), UNUSED, trained=False)
    other = rules(rule("small", "parameters"))
    after = graded_report(other, submission(), graded(result("parameters", "fail")), UNUSED, trained=False)
    assert [change.text for change in changes(before, after)] == ["new: small", "gone: drop", "score 20 → 0"]


def test_a_measure_of_another_check() -> None:
    deep = rules(rule("deep", "depth"))

    def measured(number: float) -> Report:
        return graded_report(deep, submission(), graded(result("depth", measured=number)), UNUSED, trained=False)

    assert [change.text for change in changes(measured(1_500), measured(2.5))] == ["deep 1,500 → 2.5"]


def test_hostile_text_is_inert() -> None:
    hostile = "\x1b[2J\u202eevil\n::error::" + "x" * 300
    after = report("pass", "fail", said(hostile), name=hostile)
    before = report(drop="fail")
    found = [*changes(before, after), *changes(report(), ungraded("syntax", hostile))]
    assert len(found) == 3
    assert all(change.text.isprintable() for change in found)
    assert found[0].text.startswith("new: drop: \\x1b[2J\\u202eevil\\x0a::error::xxx")
    assert len(found[0].text) < 140


def test_changes_as_text() -> None:
    found = (Change("better", "fixed: drop"), Change("worse", "new: " + "word " * 8))
    assert render(found, Options(width=30)) == (
        "since the last save:\n  fixed: drop\n  new: word word word word\n    word word word word\n"
    )
    assert render((), Options()) == "since the last save: no change in the report\n"
    assert "\x1b[32mfixed: drop" in render(found, Options(colour=True)).replace("  \x1b", "\x1b").replace("m  f", "mf")
