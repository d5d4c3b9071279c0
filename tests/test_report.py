"""What a report makes of the checks' results: outcomes, verdict, points, places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from samples import LINEAR, SANDBOX, SOURCE, graded, result, rule, rules, submission, training

from grader.finding import Finding, Span
from grader.manifest import Submission
from grader.protocol import CheckRequest, Frame, Refusal
from grader.report import (
    UNUSED,
    ErrorReport,
    FindingReport,
    Obstacle,
    Place,
    Related,
    Report,
    RuleReport,
    SubmissionReport,
    TraceFrame,
    asked,
    error_report,
    graded_report,
)
from grader.report.build import LIST_CAP, TEXT_CAP
from grader.report.sources import Sources

STATUSES: tuple[Any, ...] = ("pass", "fail", "error", "skipped")
LINE = "        return self.fc(x.flatten(1))"


def rows(*results: Any, of: Any, **options: Any) -> Report:
    return graded_report(rules(*of), submission(), graded(*results, **options), UNUSED, trained=True)


def test_a_whole_rule() -> None:
    results = (result("global-average-pool"), result("linear", "fail", LINEAR.message, LINEAR))
    report = rows(*results, of=[rule("gap-no-linear", "global-average-pool", "linear", line=18)])
    place = Place("model.py", 10, 16, 10, 37, source=(LINE,))
    assert report.rules == (
        RuleReport(
            id="gap-no-linear",
            check="linear",
            checks=("global-average-pool", "linear"),
            needs="all",
            status="fail",
            level="error",
            message=LINEAR.message,
            findings=(FindingReport("linear", "error", LINEAR.message, LINEAR.label, LINEAR.why, LINEAR.fix, place),),
            points=0,
            max_points=20,
            span=place,
            why=LINEAR.why,
            fix=LINEAR.fix,
            set="rules.yaml:18",
        ),
    )
    assert (report.verdict, report.score, report.max_score) == ("fail", 0, 20)


def test_what_is_said_of_submission_and_model() -> None:
    report = graded_report(
        rules(rule("dropout", "dropout")),
        submission(folder="hw"),
        graded(result("dropout"), stand_ins=("cv2",), notes=("a note",)),
        SANDBOX,
        trained=False,
    )
    digest = submission().sha256
    assert report.submission == SubmissionReport("hw/model.py", "hw", "model.py", "Net", digest, ("cv2",))
    assert report.model is not None
    assert (report.model.class_name, report.model.parameters, report.model.layers) == ("Net", 8932, ())
    assert (report.schema, report.title, report.rules_file) == (1, "Session 5", "rules.yaml")
    assert (report.error, report.training, report.notes) == (None, None, ("a note",))
    assert report.sandbox == SANDBOX
    document = msgspec.to_builtins(report)
    assert (document["model"]["class"], document["submission"]["class"]) == ("Net", "Net")


# Where all must hold the worst outcome counts, where any is enough the best; the order is fail, error, skipped, pass.
ALL = {
    ("pass", "pass"): "pass",
    ("pass", "skipped"): "skipped",
    ("pass", "error"): "error",
    ("pass", "fail"): "fail",
    ("skipped", "error"): "error",
    ("skipped", "fail"): "fail",
    ("error", "fail"): "fail",
}
ANY = {
    ("pass", "skipped"): "pass",
    ("pass", "error"): "pass",
    ("pass", "fail"): "pass",
    ("skipped", "error"): "error",
    ("skipped", "fail"): "skipped",
    ("error", "fail"): "error",
    ("fail", "fail"): "fail",
}


@pytest.mark.parametrize(("needs", "table"), [("all", ALL), ("any", ANY)])
def test_the_outcome_of_a_rule(needs: str, table: dict[tuple[Any, Any], str]) -> None:
    found = {}
    for pair in table:
        for one, two in (pair, pair[::-1]):
            report = rows(
                result("dropout", one), result("linear", two), of=[rule("a", "dropout", "linear", needs=needs)]
            )
            found[one, two] = report.rules[0].status
    assert found == {**table, **{pair[::-1]: outcome for pair, outcome in table.items()}}


# level of the rule, outcome of the rule → verdict, score, max_score; beside it stands a rule that passes.
VERDICTS: dict[tuple[Any, Any], tuple[str, float, float]] = {
    ("error", "pass"): ("pass", 30, 30),
    ("error", "fail"): ("fail", 10, 30),
    ("error", "error"): ("error", 10, 30),
    ("error", "skipped"): ("pass", 10, 10),
    ("warning", "fail"): ("pass", 10, 30),
    ("warning", "error"): ("pass", 10, 30),
    ("note", "fail"): ("pass", 10, 30),
}


def test_verdict_and_points() -> None:
    found = {}
    for level, status in VERDICTS:
        of = [rule("a", "dropout", level=level), rule("b", "linear", points=10)]
        report = rows(result("dropout", status), result("linear"), of=of)
        found[level, status] = (report.verdict, report.score, report.max_score)
    assert found == VERDICTS


def test_a_fail_outweighs_what_could_not_be_found_out() -> None:
    report = rows(result("dropout", "fail"), result("linear", "error"), of=[rule("a", "dropout"), rule("b", "linear")])
    assert (report.verdict, report.score, report.max_score) == ("fail", 0, 40)


def test_warnings_alone_are_a_pass() -> None:
    warning = Finding("dropout", "warning", "dropout still acts")
    report = rows(result("dropout", "pass", "1 dropout", warning), of=[rule("a", "dropout")])
    assert (report.verdict, report.score, report.rules[0].status) == ("pass", 20, "pass")
    assert report.rules[0].findings == (FindingReport("dropout", "warning", "dropout still acts"),)


def test_findings_are_no_graver_than_their_rule() -> None:
    levels: dict[Any, list[str]] = {}
    for level in ("error", "warning", "note"):
        findings = [Finding("linear", inner, inner) for inner in ("error", "warning", "note")]  # type: ignore[arg-type]
        report = rows(result("linear", "fail", "", *findings), of=[rule("a", "linear", level=level)])  # type: ignore[arg-type]
        levels[level] = [finding.level for finding in report.rules[0].findings]
    assert levels == {
        "error": ["error", "warning", "note"],
        "warning": ["warning", "warning", "note"],
        "note": ["note", "note", "note"],
    }


def test_place_and_advice_are_those_of_the_gravest_finding() -> None:
    note = Finding("linear", "note", "a note", "why not", "fix not", Span("model.py", 7))
    row = rows(result("linear", "fail", "", note, LINEAR), of=[rule("a", "linear")]).rules[0]
    assert (row.why, row.fix, row.span and row.span.line) == (LINEAR.why, LINEAR.fix, 10)


def test_one_of_several_is_enough() -> None:
    either = [rule("either", "global-average-pool", "linear", needs="any")]
    failing = result("global-average-pool", "fail", "no pooling", Finding("global-average-pool", "error", "no pooling"))
    row = rows(failing, result("linear", "pass", "a linear layer"), of=either).rules[0]
    assert (row.status, row.check, row.message, row.findings, row.points) == (
        "pass",
        "linear",
        "a linear layer",
        (),
        20,
    )
    row = rows(failing, result("linear", "fail", LINEAR.message, LINEAR), of=either).rules[0]
    assert (row.status, [finding.message for finding in row.findings]) == ("fail", ["no pooling", LINEAR.message])


def test_messages_and_numbers_of_several_checks() -> None:
    both = [rule("a", "parameters", "dropout")]
    counted = result("parameters", "pass", "9 parameters", measured=9, limit=10)
    row = rows(counted, result("dropout", "pass", "1 dropout"), of=both).rules[0]
    assert (row.message, row.measured, row.limit) == ("9 parameters; 1 dropout", 9, 10)
    row = rows(counted, result("dropout", "fail", "no dropout"), of=both).rules[0]
    assert (row.check, row.message, row.measured, row.limit) == ("dropout", "no dropout", 9, 10)


def test_what_is_asked_for() -> None:
    course = rules(rule("a", "dropout", "accuracy"), rule("b", "linear"))
    assert asked(course, False) == tuple(map(CheckRequest, ("dropout", "linear", "output")))
    assert asked(course, True) == tuple(map(CheckRequest, ("dropout", "accuracy", "linear", "output")))
    assert asked(rules(rule("a", "output")), False) == (CheckRequest("output"),)


def test_results_of_other_checks_are_refused() -> None:
    with pytest.raises(ValueError, match="the results are not those of the checks that were asked for"):
        rows(result("linear"), of=[rule("a", "dropout")])


def test_without_training_accuracy_is_skipped() -> None:
    course = rules(rule("a", "accuracy"), rule("b", "linear"))
    report = graded_report(course, submission(), graded(result("linear")), UNUSED, trained=False)
    assert [(row.id, row.status, row.message) for row in report.rules] == [
        ("a", "skipped", "not trained (add --train)"),
        ("b", "pass", "linear is pass"),
    ]
    assert (report.verdict, report.score, report.max_score) == ("pass", 20, 20)


@pytest.mark.parametrize("said", ["pass", "fail", "skipped"])
def test_an_accuracy_left_open_is_never_failed(said: Any) -> None:
    left = training("open", reason="the budget of 5 s ended")
    report = rows(result("accuracy", said), of=[rule("a", "accuracy")], training=left)
    row = report.rules[0]
    assert (row.status, row.message, row.findings) == ("error", "could not be confirmed: the budget of 5 s ended", ())
    assert (report.verdict, report.score, report.max_score, report.training) == ("error", 0, 20, left)


def test_the_accuracy_check_may_say_itself_why_it_is_open() -> None:
    report = rows(result("accuracy", "error", "own words"), of=[rule("a", "accuracy")], training=training("open"))
    assert report.rules[0].message == "own words"


def test_training_without_an_accuracy_rule_is_noted() -> None:
    report = rows(result("linear"), of=[rule("a", "linear")])
    assert report.notes == ("nothing to train for: rules.yaml has no accuracy rule",)


def test_output_is_shown_when_it_has_something_to_say() -> None:
    course = rules(rule("a", "linear"))
    warning = Finding("output", "warning", "log_softmax has no dim")
    found = {}
    for status, findings in (("pass", ()), ("pass", (warning,)), ("fail", ()), ("error", ())):
        results = (result("linear"), result("output", status, "", *findings))  # type: ignore[arg-type]
        answer = msgspec.structs.replace(graded(), results=results)
        report = graded_report(course, submission(), answer, UNUSED, trained=False)
        found[status, len(findings)] = (
            [row.id for row in report.rules],
            report.verdict,
            report.score,
            report.max_score,
        )
    assert found == {
        ("pass", 0): (["a"], "pass", 20, 20),
        ("pass", 1): (["a", "output"], "pass", 20, 20),
        ("fail", 0): (["a", "output"], "fail", 20, 20),
        ("error", 0): (["a", "output"], "error", 20, 20),
    }


def place(span: Span, source: bytes = SOURCE, file: str = "model.py") -> Place | None:
    return Sources({file: source}).place(span)


def test_places() -> None:
    assert place(Span("model.py", 10, 16, 10, 37)) == Place("model.py", 10, 16, 10, 37, source=(LINE,))
    assert place(Span("model.py", 1)) == Place("model.py", 1, source=("import torch.nn as nn",))
    assert place(Span("model.py", 9, 5, 10, 37)) == Place(
        "model.py", 9, 5, 10, 37, source=("    def forward(self, x):", LINE)
    )


def test_places_that_lead_nowhere() -> None:
    assert place(Span("other.py", 1)) is None
    assert place(Span("model.py", 0)) is None
    assert place(Span("model.py", -3, 1, 2, 3)) is None
    assert place(Span("model.py", 999, 4, 999, 5)) == Place("model.py", 999, 4)
    assert place(Span("model.py", 10, -7, -1, -1)) == Place("model.py", 10, source=(LINE,))


def test_sources_are_bounded() -> None:
    long = place(Span("model.py", 1, 1, 20, 1), b"x\n" * 30)
    assert long is not None
    assert (long.source, long.end_line) == (("x",) * 8, 20)
    wide = place(Span("model.py", 1, 1, 1, 5), b"x" * 1001)
    assert wide is not None
    assert wide.source == ()


def test_places_in_a_notebook() -> None:
    cell = '{"cell_type": "code", "source": ["a = 1\\n", "b = 2"]}'
    book = f'{{"cells": [{cell}, {cell}], "nbformat": 4}}'.encode()
    found = [place(Span("n.ipynb", line), book, "n.ipynb") for line in range(1, 7)]
    assert [(at.cell, at.cell_line, at.source) for at in found if at] == [
        (None, None, ("# Code cell 1",)),
        (1, 1, ("a = 1",)),
        (1, 2, ("b = 2",)),
        (None, None, ("# Code cell 2",)),
        (2, 1, ("a = 1",)),
        (2, 2, ("b = 2",)),
    ]


def test_a_file_that_is_no_text_has_no_source() -> None:
    assert place(Span("model.py", 1, 1, 1, 2), b"\xff\xfe\x00") == Place("model.py", 1, 1, 1, 2, source=("",))


def test_related_places_that_lead_nowhere_are_left_out() -> None:
    finding = replace(LINEAR, related=((Span("model.py", 7), "made here"), (Span("away.py", 7), "not here")))
    report = rows(result("linear", "fail", "", finding), of=[rule("a", "linear")])
    source = "        self.fc = nn.Linear(784, 10)"
    assert report.rules[0].findings[0].related == (Related(Place("model.py", 7, source=(source,)), "made here"),)


def test_an_ungraded_submission() -> None:
    refusal = Refusal(
        "ambiguous",
        "2 models in model.py",
        why="why",
        fix="fix",
        span=Span("model.py", 4),
        candidates=("Net", "Other"),
        option="--class",
        frames=(Frame(Span("model.py", 7), "__init__"), Frame(Span("gone.py", 1), "f")),
        error="ValueError: x",
        stand_ins=("cv2",),
    )
    course = rules(rule("a", "dropout"), rule("b", "linear", "accuracy"))
    report = error_report(course, submission(), Obstacle.of(refusal), SANDBOX)
    seven = Place("model.py", 7, source=("        self.fc = nn.Linear(784, 10)",))
    assert report.error == ErrorReport(
        "ambiguous",
        "2 models in model.py",
        "why",
        "fix",
        "ValueError: x",
        Place("model.py", 4, source=("class Net(nn.Module):",)),
        (TraceFrame(seven, "__init__"),),
        ("Net", "Other"),
        "--class",
    )
    assert [(row.id, row.check, row.status, row.message, row.points, row.max_points) for row in report.rules] == [
        ("a", "dropout", "error", "not graded", 0, 20),
        ("b", "linear", "error", "not graded", 0, 20),
    ]
    assert (report.verdict, report.score, report.max_score, report.model) == ("error", 0, 0, None)
    assert report.submission == SubmissionReport("model.py", "", "model.py", "", submission().sha256, ("cv2",))


def test_an_error_points_at_the_innermost_frame() -> None:
    frames = (Frame(Span("model.py", 9), "<module>"), Frame(Span("model.py", 7), "__init__"))
    report = error_report(rules(), submission(), Obstacle("load", "x", frames=frames))
    assert report.error is not None and report.error.span is not None
    assert report.error.span.line == 7


def test_a_submission_that_could_not_be_read() -> None:
    report = error_report(rules(), "gone.py", Obstacle("missing", "there is no file 'gone.py'"))
    assert report.submission == SubmissionReport("gone.py")


def test_what_a_stranger_says_is_bounded() -> None:
    much = "x" * (TEXT_CAP + 1)
    many = tuple(map(str, range(LIST_CAP + 1)))
    frames = tuple(Frame(Span("model.py", 1), much) for _ in range(LIST_CAP + 1))
    obstacle = Obstacle("load", much, much, much, much, None, frames, many, stand_ins=many)
    report = error_report(rules(), submission(), obstacle)
    error = report.error
    assert error is not None
    cut = "x" * (TEXT_CAP - 1) + "…"
    assert [error.message, error.why, error.fix, error.error, error.frames[0].function] == [cut] * 5
    assert [len(error.frames), len(error.candidates), len(report.submission.stand_ins)] == [LIST_CAP] * 3


def test_a_report_survives_its_json() -> None:
    course = rules(rule("a", "linear"), rule("b", "accuracy"))
    results = (result("linear", "fail", "", LINEAR), result("accuracy", measured=99.21, limit=99.0))
    report = graded_report(course, submission(), graded(*results, training=training()), SANDBOX, trained=True)
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert isinstance(submission(), Submission)
