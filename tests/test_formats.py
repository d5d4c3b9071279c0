"""The forms that other programs read: golden files, the others' schemas, and what each form owes its reader."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import junitparser
import msgspec
import pytest
import xmlschema
from golden import FORMS, STAMP, path_of, text_of
from markdown_it import MarkdownIt
from reports import COURSE, FAILED, PASSED, REPORTS, failing, graded_as, passing, ungraded
from samples import SOURCE, graded, result, rule, rules, submission

from grader.cli import output
from grader.finding import Finding, Span
from grader.protocol import Layer
from grader.render import Options, classroom50, mermaid, render
from grader.report import UNUSED, Edit, Place, Report, graded_report

SCHEMAS = Path(__file__).parent / "schemas"
JUNIT = xmlschema.XMLSchema(str(SCHEMAS / "junit.xsd"))
every_report = pytest.mark.parametrize("report", REPORTS.values(), ids=REPORTS)


def shown(report: Report, form: str, **options: Any) -> str:
    return render(report, form, Options(**options))


def data(report: Report, form: str, **options: Any) -> Any:
    return json.loads(shown(report, form, **options))


def validate(value: Any, schema: str) -> None:
    text = json.loads((SCHEMAS / schema).read_text(encoding="utf-8"))
    jsonschema.validators.validator_for(text)(text).validate(value)


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_a_report_is_as_its_golden_file_has_it(form: str, name: str) -> None:
    assert text_of(form, name) == path_of(form, name).read_text(encoding="utf-8")  # written by tests/golden.py


def finding_at(span: Span | None, check: str = "linear", **changes: Any) -> Finding:
    return Finding(check, "error", "found", "why", "fix", span, **changes)


def with_findings(*findings: Finding, source: bytes = SOURCE, **where: Any) -> Report:
    course = rules(rule("no-linear", "linear"))
    answer = graded(result("linear", "fail", "found", *findings))
    return graded_report(course, submission(source, **where), answer, UNUSED, trained=False)


def replaced(report: Report, **changes: Any) -> Report:
    return msgspec.structs.replace(report, **changes)


# SARIF


def run_of(report: Report) -> dict[str, Any]:
    log = data(report, "sarif")
    validate(log, "sarif-2.1.0-rtm.5.json")
    return log["runs"][0]


def fingerprints(report: Report) -> list[str]:
    return [found["partialFingerprints"]["primaryLocationLineHash"] for found in run_of(report)["results"]]


@every_report
def test_sarif_is_valid_and_says_nothing_with_empty_words(report: Report) -> None:
    run = run_of(report)

    def strings(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for inner in value.values() for text in strings(inner)]
        if isinstance(value, list):
            return [text for inner in value for text in strings(inner)]
        return [value] if isinstance(value, str) else []

    assert "" not in strings(run)
    ids = [one["id"] for one in run["tool"]["driver"]["rules"]]
    assert [ids[found["ruleIndex"]] for found in run["results"]] == [found["ruleId"] for found in run["results"]]


def test_sarif_of_a_passing_report_has_no_results() -> None:
    assert run_of(passing())["results"] == []


def test_sarif_names_each_rule_with_the_pages_of_its_checks() -> None:
    first = run_of(failing())["tool"]["driver"]["rules"][0]
    assert first["shortDescription"]["text"] == (
        "Everything the prediction depends on passes through the mean over the whole map."
        " No learned matrix weights the input position by position."
    )
    assert [line for line in first["help"]["markdown"].split("\n") if line.startswith("# ")] == [
        "# global-average-pool",
        "# linear",
    ]


def test_sarif_of_a_report_of_another_version_names_checks_that_this_one_lacks() -> None:
    report = failing()
    (first, *rest) = report.rules
    old = replaced(report, rules=(msgspec.structs.replace(first, checks=("gone",)), *rest))
    assert run_of(old)["tool"]["driver"]["rules"][0]["shortDescription"]["text"] == "The check gone."


def test_sarif_fingerprints_follow_the_line_not_its_number() -> None:
    source = b"a = 1\nb = f( a )\nc = 3\nb = f(a)\n"
    before = with_findings(finding_at(Span("model.py", 2)), finding_at(Span("model.py", 4)), source=source)
    moved = with_findings(
        finding_at(Span("model.py", 4)),
        finding_at(Span("model.py", 7)),
        source=b"# new\n\n" + source[:19] + b"\n" + source[19:],
    )
    assert fingerprints(moved) == fingerprints(before)
    assert [mark.rpartition(":")[2] for mark in fingerprints(before)] == ["1", "2"]  # the same words twice
    other = with_findings(finding_at(Span("model.py", 1)), source=source)
    assert fingerprints(other) != fingerprints(before)[:1]


def test_sarif_counts_columns_in_code_points() -> None:
    source = "x = '😀é'; y = bad()\n".encode()
    column = source.decode().index("bad") + 1
    report = with_findings(finding_at(Span("model.py", 1, column, 1, column + 5)), source=source)
    run = run_of(report)
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert source.decode()[region["startColumn"] - 1 : region["endColumn"] - 1] == "bad()"


@pytest.mark.parametrize(
    ("folder", "entry", "uri"),
    [
        ("", "model.py", "model.py"),
        ("hw 1/ü", "a:b#.py", "hw%201/%C3%BC/a%3Ab%23.py"),
        ("/home/me", "model.py", "file:///home/me/model.py"),
    ],
)
def test_sarif_paths_are_uris(folder: str, entry: str, uri: str) -> None:
    report = with_findings(finding_at(Span(entry, 1, 1, 1, 2)), folder=folder, entry=entry)
    artifact = run_of(report)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == ({"uri": uri} if ":///" in uri else {"uri": uri, "uriBaseId": "%SRCROOT%"})


NOTEBOOK = json.dumps(
    {
        "cells": [{"cell_type": "code", "metadata": {}, "source": ["a = 1\n", "b = bad(a)"]} for _ in range(2)],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
).encode()


def in_notebook() -> Report:
    span = Span("nb.ipynb", 6, 5, 6, 11)
    return with_findings(finding_at(span, edits=((span, "good"),)), source=NOTEBOOK, entry="nb.ipynb")


def test_places_in_a_notebook_are_told_in_words() -> None:
    place = in_notebook().rules[0].findings[0].span
    assert place is not None and (place.cell, place.cell_line) == (2, 2)
    (found,) = run_of(in_notebook())["results"]
    assert found["message"]["text"].endswith("nb.ipynb:cell 2:2:5")
    assert found["locations"][0]["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 1}
    assert found["locations"][0]["logicalLocations"] == [{"name": "cell 2", "kind": "cell"}]
    assert "fixes" not in found  # they would change other lines
    assert shown(in_notebook(), "github") == (
        "::error file=nb.ipynb,title=no-linear::nb.ipynb:cell 2:2:5%0Afound%0Awhy%0Afix\n"
    )


def test_sarif_fixes_change_the_source_as_the_edits_say() -> None:
    (fix,) = run_of(failing())["results"][1]["fixes"]
    lines = SOURCE.decode().split("\n")
    for change in fix["artifactChanges"]:
        for edit in change["replacements"]:
            region = edit["deletedRegion"]
            line = lines[region["startLine"] - 1]
            assert region["endLine"] == region["startLine"]
            lines[region["startLine"] - 1] = (
                line[: region["startColumn"] - 1] + edit["insertedContent"]["text"] + line[region["endColumn"] - 1 :]
            )
    assert lines[6] == "        self.fc = nn.Conv2d(16, 10, 1)"


def test_sarif_of_an_insertion_deletes_nothing() -> None:
    report = failing()
    (first, *rest) = report.rules
    (finding,) = first.findings
    edit = Edit(Place("model.py", 7, 9, 7, 9, source=("        self.fc",)), "new")
    changed = msgspec.structs.replace(finding, edits=(edit,))
    report = replaced(report, rules=(msgspec.structs.replace(first, findings=(changed,)), *rest))
    (replacement,) = run_of(report)["results"][1]["fixes"][0]["artifactChanges"][0]["replacements"]
    assert replacement["deletedRegion"] == {"startLine": 7, "startColumn": 9, "endLine": 7, "endColumn": 9}


def test_sarif_tells_of_undecided_rules_beside_the_results() -> None:
    run = run_of(REPORTS["undecided"])
    notes = run["invocations"][0]["toolExecutionNotifications"]
    assert [(note["associatedRule"]["id"], note["level"]) for note in notes] == [("param-count", "warning")]
    assert [found["ruleId"] for found in run["results"]] == ["dropout"]


def test_sarif_of_an_ungraded_submission_is_one_result() -> None:
    run = run_of(ungraded())
    assert [(found["ruleId"], found["level"]) for found in run["results"]] == [("forward", "error")]
    assert run["invocations"][0]["executionSuccessful"]
    error = ungraded().error
    assert error is not None
    fault = msgspec.structs.replace(error, code="internal")
    assert not run_of(replaced(ungraded(), error=fault))["invocations"][0]["executionSuccessful"]


# JUnit


def test_the_schema_accepts_what_pytest_writes(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.fixture\ndef broken(): raise ValueError(']]>')\n"
        "def test_pass(record_xml_attribute): print('x')\ndef test_fail(): assert 0\n"
        "def test_error(broken): pass\ndef test_skip(): pytest.skip('no')\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", "--junitxml", "out.xml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 1
    JUNIT.validate(str(tmp_path / "out.xml"))


COUNTS = {  # errors, failures, skipped
    "passing": (0, 0, 1),
    "failing": (0, 1, 1),
    "undecided": (1, 0, 1),
    "trained": (0, 0, 0),
    "averaged": (1, 0, 0),
    "ungraded": (4, 0, 0),
}


@pytest.mark.parametrize("name", REPORTS)
def test_junit_is_valid_and_counts_its_cases(name: str, tmp_path: Path) -> None:
    report = REPORTS[name]
    path = tmp_path / "out.xml"
    path.write_text(shown(report, "junit"), encoding="utf-8")
    JUNIT.validate(str(path))
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    assert [case.name for case in suite] == [one.id for one in report.rules]
    assert (suite.errors, suite.failures, suite.skipped) == COUNTS[name]
    outcomes = [type(outcome).__name__.lower() for case in suite for outcome in case.result]
    assert (outcomes.count("error"), outcomes.count("failure"), outcomes.count("skipped")) == COUNTS[name]


def test_junit_shows_warnings_of_cases_that_pass() -> None:
    root = ElementTree.fromstring(shown(REPORTS["undecided"], "junit"))
    text = root.findtext(".//testcase[@name='dropout']/system-out")
    assert text is not None and text.startswith("warning[dropout]: no dropout")


# Markdown


@every_report
def test_markdown_ends_all_that_it_begins(report: Report) -> None:
    text = shown(report, "markdown")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    assert text.count("<details>") == text.count("</details>")
    fences = [token for token in tokens if token.type == "fence"]
    assert all(token.markup not in token.content for token in fences)
    assert {token.info for token in fences} <= {"text", "diff", "mermaid"}


def test_markdown_shows_the_edits_of_a_fix() -> None:
    assert (
        "```diff\n-        self.fc = nn.Linear(784, 10)\n+        self.fc = nn.Conv2d(16, 10, 1)\n```"
        "\n\nAfter that the model has 8,246 parameters." in shown(failing(), "markdown")
    )


def huge(findings: int = 20) -> Report:
    """Return a report whose every text is as long as a report allows, of characters that grow when escaped."""
    text = "$" * 2000
    place = Place("model.py", 1, 1, 1, 2, source=("$" * 1000,) * 8)
    report = failing()
    assert report.model is not None
    (first, *rest) = report.rules
    finding = msgspec.structs.replace(first.findings[0], message=text, why=text, fix=text, span=place, label=text)
    first = msgspec.structs.replace(first, message=text, findings=(finding,) * findings)
    layers = tuple(Layer(text, "torch.relu", "activation", (1,), 0, 0, None, (row - 1,)) for row in range(3000))
    return replaced(
        report,
        rules=(first, *rest),
        notes=(text,) * 20,
        model=msgspec.structs.replace(report.model, layers=layers),
    )


def test_markdown_fits_into_a_summary() -> None:
    text = shown(huge(), "markdown")
    assert 500_000 < len(text.encode()) <= 1024 * 1024
    left = [line for line in text.split("\n") if "left out" in line]
    assert left[-1].endswith("The report as JSON has them.") and left[-1].split()[0].isdigit()
    assert text.count("<details>") == text.count("</details>")


def chain(*names: str, kind: str = "conv") -> list[Layer]:
    return [Layer(name, "torch.conv2d", kind, (8, 7, 7), 64, 1, None, (row - 1,)) for row, name in enumerate(names)]


def test_a_flowchart_draws_what_repeats_once_and_branches_as_they_are() -> None:
    assert "2 × conv2d conv2 to conv3" in mermaid.flowchart(REPORTS["failing"].model.layers)  # type: ignore[union-attr]
    assert [line for line in text_of("markdown", "failing").split("\n") if "-->" in line and " n" in line[:5]] == [
        "  n0 --> n1",
        "  n0 --> n2",
        "  n1 --> n2",
        "  n2 --> n3",
        "  n3 --> y",
    ]


def test_a_flowchart_of_a_long_model_leaves_out_its_middle() -> None:
    layers = [msgspec.structs.replace(layer, parameters=row) for row, layer in enumerate(chain(*map(str, range(500))))]
    lines = mermaid.flowchart(layers).split("\n")
    assert len(lines) < 130
    assert '  more["445 more"]' in lines and "  n39 --> more" in lines and "  more --> n40" in lines


def test_there_is_no_flowchart_where_a_report_does_not_know_the_inputs() -> None:
    assert mermaid.flowchart([Layer("a", "torch.relu", "activation", (1,), 0, 0)]) == ""


# Gradescope


@every_report
def test_gradescope_accepts_the_results(report: Report) -> None:
    found = data(report, "gradescope")
    validate(found, "gradescope.schema.json")
    scores = [test["score"] for test in found["tests"] if "score" in test]
    assert sum(scores) == found["score"] == report.score
    assert all(test["score"] <= test["max_score"] for test in found["tests"] if "score" in test)


def test_gradescope_gives_an_ungraded_submission_no_points_and_says_why() -> None:
    found = data(ungraded(), "gradescope")
    assert (found["score"], found["output"].split("\n")[0]) == (0, "error[forward]: forward raised RuntimeError")
    assert [(test["name"], test["status"]) for test in found["tests"]] == [
        (f"{one.id} (not graded)", "failed") for one in COURSE.rules
    ]


def test_gradescope_outputs_are_cut_at_whole_lines() -> None:
    found = data(huge(), "gradescope")
    validate(found, "gradescope.schema.json")
    assert "more lines" in found["tests"][0]["output"].split("\n")[-1]


# PrairieLearn


@every_report
def test_prairielearn_accepts_the_results(report: Report) -> None:
    validate(data(report, "prairielearn"), "prairielearn.schema.json")


def test_prairielearn_counts_the_points_of_rules_that_were_not_skipped() -> None:
    found = data(REPORTS["undecided"], "prairielearn")
    assert found["score"] == pytest.approx(20 / 50)
    assert [(test["points"], test["max_points"]) for test in found["tests"]] == [(20, 20), (0, 20), (0, 10), (0, 0)]


def test_prairielearn_charges_no_attempt_for_an_ungraded_submission() -> None:
    found = data(ungraded(), "prairielearn")
    assert (found["gradable"], set(found)) == (False, {"gradable", "format_errors"})


@pytest.mark.parametrize(("results", "score"), [(PASSED, 1.0), (FAILED, 0.0)])
def test_prairielearn_takes_the_verdict_where_rules_give_no_points(results: Any, score: float) -> None:
    course = rules(*(rule(one.id, *(use.check for use in one.checks), points=0) for one in COURSE.rules))
    found = data(graded_as(*results, course=course), "prairielearn")
    validate(found, "prairielearn.schema.json")
    assert found["score"] == score and not any("points" in test for test in found["tests"])


def test_prairielearn_results_are_smaller_than_a_megabyte() -> None:
    report = huge(2)
    report = replaced(report, rules=report.rules[:1] * 60)
    assert len(shown(report, "prairielearn").encode()) < 1_000_000


# Classroom 50 and GitHub Classroom


@every_report
def test_classroom50_accepts_the_result(report: Report) -> None:
    found = data(report, "classroom50", stamp=STAMP)
    validate(found, "classroom50-result.schema.json")
    assert {key: found[key] for key in STAMP} == STAMP
    assert found["score"] == sum(test["score"] for test in found["tests"])
    assert found["max-score"] == sum(test["max-score"] for test in found["tests"])


def test_classroom50_names_what_the_environment_lacks() -> None:
    found = data(failing(), "classroom50", stamp=classroom50.stamp({"CLASSROOM": "a"}, "2026-06-01T14:32:01Z"))
    validate(found, "classroom50-result.schema.json")
    assert (found["classroom"], found["owner"], found["datetime"]) == ("a", "OWNER is not set", "2026-06-01T14:32:01Z")


def test_classroom50_is_stamped_from_the_environment() -> None:
    environment = {
        "CLASSROOM": "cs", "ASSIGNMENT": "s5", "ASSIGNMENT_TYPE": "group", "USERNAME": "bob", "OWNER": "alice",
        "SUBMISSION_TAG": "submit/1", "COMMIT_URL": "c", "RELEASE_URL": "r", "REVIEW_URL": "",
    }  # fmt: skip
    assert classroom50.stamp(environment, "now") == {
        "datetime": "now", "classroom": "cs", "assignment": "s5", "assignment_type": "group", "owner": "alice",
        "submission": "submit/1", "commit": "c", "release": "r", "review": "c",
    }  # fmt: skip


def test_the_command_line_stamps_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLASSROOM", "cs")
    output.deliver(failing(), "classroom50", str(tmp_path / "result.json"))
    found = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    validate(found, "classroom50-result.schema.json")
    assert found["classroom"] == "cs" and found["datetime"] > "2026"


def test_classroom50_scales_points_that_are_no_whole_numbers() -> None:
    course = rules(rule("a", "linear", points=0.29), rule("b", "dropout", points=2))
    report = graded_report(
        course, submission(), graded(result("linear"), result("dropout", "fail")), UNUSED, trained=False
    )
    found = data(report, "classroom50")
    validate(found, "classroom50-result.schema.json")
    assert (found["score"], found["max-score"]) == (29, 229)


def payload(report: Report) -> Any:
    return json.loads(base64.b64decode(shown(report, "classroom"), validate=False))


@every_report
def test_classroom_payload_has_tests_and_points(report: Report) -> None:
    found = payload(report)
    assert found["status"] == report.verdict
    told = [one for one in report.rules if one.status != "skipped"]
    assert [(test["name"], test["status"], test["score"]) for test in found["tests"]] == [
        (one.id, one.status, one.points) for one in told
    ]
    assert found["max_score"] == sum(one.max_points for one in told)


def test_classroom_payload_fits_into_a_step_output() -> None:
    assert len(shown(huge(), "classroom")) < 1_000_000


# Annotations


def test_annotations_beyond_those_that_github_shows_are_counted() -> None:
    many = with_findings(*(finding_at(Span("model.py", line % 10 + 1, 1, line % 10 + 1, 2)) for line in range(13)))
    lines = shown(many, "github").splitlines()
    assert len(lines) == 11
    assert lines[-1] == "::notice title=s5-grade::3 more errors: the report has them all"


def test_annotations_of_several_lines_have_no_columns() -> None:
    report = with_findings(finding_at(Span("model.py", 9, 5, 10, 37)))
    assert shown(report, "github").startswith("::error file=model.py,line=9,endLine=10,title=no-linear::")


def test_there_are_no_annotations_where_there_is_nothing_to_say() -> None:
    assert shown(replaced(passing(), sandbox=UNUSED), "github") == ""
