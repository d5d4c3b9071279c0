"""The pytest plugin: what a run of pytest collects, runs and says where there is a submission to grade."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import played
import pytest
from samples import LINEAR, SOURCE, result, rules

from grader.checks import checks
from grader.finding import CheckResult, Span
from grader.grade import Grading, grade
from grader.pytest_plugin import collection, gradings, targets
from grader.render import Options, render
from grader.render.terminal import render_rule
from grader.report import Obstacle, error_report
from grader.sandbox import SandboxError
from grader.settings import Settings

# A run within this process forgets the modules that it imports.
LOADED = (checks(), collection)
ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "pytest.md"
RULES = """\
rules:
  - {id: dense, points: 2, checks: [linear]}
  - {id: drop, points: 1, checks: [dropout]}
  - {id: norm, level: warning, checks: [batch-norm]}
  - {id: accuracy, points: 3, checks: [accuracy]}
"""
SYNTAX = Obstacle("syntax", "model.py:3 is not Python", fix="Repair it.", span=Span("model.py", 3))
# The plugin of hypothesis would import all of it in each run.
PLAIN = ("-p", "no:hypothesispytest")
COURSE = ("--s5-rules", "course.yaml")

Run = Callable[..., pytest.RunResult]


@pytest.fixture
def here(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and a course's rules."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # the inner run is none of the outer one's
    pytester.path.joinpath("model.py").write_bytes(SOURCE)
    pytester.path.joinpath("course.yaml").write_text(RULES)
    answer()
    return pytester.path


@pytest.fixture
def run(here: Path, pytester: pytest.Pytester) -> Run:
    """Run pytest in this process with a grader that is played."""
    return lambda *arguments: pytester.runpytest_inprocess(*PLAIN, *COURSE, *arguments, plugins=[played])


def answer(*results: CheckResult, obstacle: Obstacle | None = None) -> None:
    answers = played.Answers({found.check: found for found in results}, obstacle)
    played.ANSWERS.write_bytes(msgspec.json.encode(answers))


def calls() -> list[str]:
    """Return what the grader was asked for."""
    return [line for line in played.CALLS.read_text().splitlines() if line != "closed"] if played.CALLS.exists() else []


def between(done: pytest.RunResult, first: str, last: str) -> list[str]:
    """Return the lines of an output between two that are ruled with = or _."""
    heads = [line.strip("=_ ") for line in done.outlines]
    return done.outlines[heads.index(first) + 1 : heads.index(last)]


def ids(done: pytest.RunResult) -> list[str]:
    return [line for line in done.outlines if "::" in line]


ALL = [
    "model.py::s5::dense",
    "model.py::s5::drop",
    "model.py::s5::norm",
    "model.py::s5::accuracy",
    "model.py::s5::output",
]


def test_each_rule_is_a_test_in_the_order_of_the_rules(run: Run) -> None:
    assert ids(run("--s5", "model.py", "--collect-only", "-q")) == ALL
    assert calls() == []


def test_a_course_that_checks_the_output_itself_has_no_further_test_of_it(run: Run, here: Path) -> None:
    here.joinpath("course.yaml").write_text("rules: [{id: shape, checks: [output]}]")
    assert ids(run("--s5", "model.py", "--co", "-q")) == ["model.py::s5::shape"]


OUTCOMES: list[tuple[CheckResult, dict[str, int], str]] = [
    (result("linear"), {"passed": 4}, ""),
    (result("linear", "fail", "too dense"), {"passed": 3, "failed": 1}, "FAILED model.py::s5::dense - too dense"),
    (
        result("linear", "error", "not judged"),
        {"passed": 3, "failed": 1},
        "UNDECIDED model.py::s5::dense - not judged",
    ),
    (result("batch-norm", "fail", "no norm"), {"passed": 3, "xfailed": 1}, "XFAIL model.py::s5::norm - no norm"),
    (
        result("batch-norm", "error", "not judged"),
        {"passed": 3, "xfailed": 1},
        "XFAIL model.py::s5::norm - undecided: not judged",
    ),
    (
        result("output", "fail", "9 numbers an image"),
        {"passed": 3, "failed": 1},
        "FAILED model.py::s5::output - 9 numbers an image",
    ),
]


@pytest.mark.parametrize(("found", "outcomes", "line"), OUTCOMES)
def test_outcomes(run: Run, found: CheckResult, outcomes: dict[str, int], line: str) -> None:
    answer(found)
    done = run("--s5", "model.py", "-ra")
    done.assert_outcomes(skipped=1, **outcomes)
    assert done.ret == (1 if "failed" in outcomes else 0)
    assert "pytest_plugin" not in done.stdout.str()  # as a traceback would name it
    told = between(done, "short test summary info", done.outlines[-1].strip("= "))
    assert [line.replace(" - reason: ", " - ") for line in told] == [
        "SKIPPED [1] course.yaml:5: not trained (add --s5-train)",
        *([line] if line else []),
    ]


def test_a_rule_that_is_undecided_says_so(run: Run) -> None:
    answer(result("linear", "error", "not judged: the model is random"))
    done = run("--s5", "model.py", "-v")
    assert "model.py::s5::dense UNDECIDED                                            [ 20%]" in done.outlines
    assert between(done, "s5::dense", "s5-grade: model.py") == ["undecided[dense]: not judged: the model is random"]


def test_a_warning_decides_where_expected_failures_do(run: Run) -> None:
    answer(result("batch-norm", "fail", "no norm"))
    done = run("--s5", "model.py", "--runxfail")
    done.assert_outcomes(passed=3, failed=1, skipped=1)


def test_a_failure_shows_the_diagnostic_and_no_traceback(run: Run) -> None:
    answer(played.FAILED)
    done = run("--s5", "model.py")
    assert (
        between(done, "s5::dense", "s5-grade: model.py")
        == """\
error[dense]: a linear layer makes the prediction
  --> model.py:10:16
   |
10 |         return self.fc(x.flatten(1))
   |                ^^^^^^^^^^^^^^^^^^^^^ 784 × 10 weights applied here
   |
  why: flattening 16×7×7 keeps every position, so the classifier learns
       positions, not features
  fix: nn.Conv2d(16, 10, 1), then nn.AdaptiveAvgPool2d(1): 170 parameters
       instead of 7,850
  set: course.yaml:2
""".split("\n")
    )
    assert done.errlines == []


def test_the_end_shows_verdict_points_and_what_passing_rules_warn_of(run: Run) -> None:
    answer(played.FAILED, result("dropout", "pass", "1 dropout", replace(LINEAR, check="dropout", level="warning")))
    done = run("--s5", "model.py", "--tb=no")
    shown = between(done, "s5-grade: model.py", "short test summary info")
    assert [line for line in shown if line.startswith(("Checked", "error", "warning", "ok", "skipped", "1"))] == [
        "Checked model.py (class Net) against course.yaml",
        "warning[drop]: a linear layer makes the prediction",
        "10 |         return self.fc(x.flatten(1))",
        "error[dense]: a linear layer makes the prediction",
        "ok[drop]: 1 dropout",
        "ok[norm]: batch-norm is pass",
        "skipped[accuracy]: not trained (add --s5-train)",
        "1 failed, 2 passed, 1 skipped. 1 of 3 points.",
    ]
    brief = run("--s5", "model.py", "--tb=no", "-q")
    assert between(brief, "s5-grade: model.py", "short test summary info") == [
        "1 failed, 2 passed, 1 skipped. 1 of 3 points."
    ]


def test_warnings_of_passing_rules_stay_warnings_where_pytest_makes_errors_of_its_own(run: Run) -> None:
    answer(result("dropout", "pass", "1 dropout", replace(LINEAR, check="dropout", level="warning")))
    done = run("--s5", "model.py", "-W", "error")
    done.assert_outcomes(passed=4, skipped=1)


def test_without_a_submission_nothing_is_said(run: Run, here: Path) -> None:
    here.joinpath("test_own.py").write_text("def test_own(): pass")
    done = run()
    done.assert_outcomes(passed=1)
    assert "s5-grade: " not in done.stdout.str()
    assert calls() == []


def test_what_cannot_be_graded_is_told_once_in_full(run: Run) -> None:
    answer(obstacle=SYNTAX)
    done = run("--s5", "model.py")
    done.assert_outcomes(errors=5)
    told = between(done, "ERROR at setup of s5::dense", "ERROR at setup of s5::drop")
    assert told[0] == "error[syntax]: model.py:3 is not Python"
    assert [line for line in done.outlines if line == "  fix: Repair it."] == ["  fix: Repair it."]
    assert between(done, "ERROR at setup of s5::norm", "ERROR at setup of s5::accuracy") == [
        "not graded: model.py:3 is not Python",
        "See model.py::s5::dense.",
    ]
    assert between(done, "s5-grade: model.py", "short test summary info") == ["model.py was not graded."]


def test_the_first_test_that_runs_tells_why(run: Run) -> None:
    answer(obstacle=SYNTAX)
    done = run("--s5", "model.py", "-k", "norm or drop")
    assert "error[syntax]: model.py:3 is not Python" in between(
        done, "ERROR at setup of s5::drop", "ERROR at setup of s5::norm"
    )


def test_advice_names_the_options_of_the_plugin(run: Run) -> None:
    answer(
        obstacle=Obstacle(
            "ambiguous", "2 models", fix="Or allow more with --timeout.", candidates=("Net",), option="--class"
        )
    )
    told = between(run("--s5", "model.py"), "ERROR at setup of s5::dense", "ERROR at setup of s5::drop")[:3]
    assert told == ["error[ambiguous]: 2 models", "  fix: Or allow more with --s5-timeout.", "  try: --s5-class Net"]


def test_what_a_submission_says_cannot_steer_the_terminal(run: Run) -> None:
    answer(result("linear", "fail", "red \x1b[31m", replace(LINEAR, message="red \x1b[31m")))
    done = run("--s5", "model.py", "--junitxml", "out.xml")
    assert "\x1b" not in done.stdout.str()
    assert "FAILED model.py::s5::dense - red \\x1b[31m" in done.outlines
    ElementTree.parse("out.xml")


FAULTS = [
    (("--s5", "none.py"), ["--s5: there is no file 'none.py'"]),
    (("--s5", "model.py", "--s5-rules", "none.yaml"), ["none.yaml: there is no such file"]),
    (
        ("--s5", "model.py", "--s5-rules", "wrong.yaml"),
        [
            "wrong.yaml:1:8: rules: expected a list, got 'none'",
            "wrong.yaml:2:1: unknown key 'more' in a rules file: known: title, extends, without, input, rules",
        ],
    ),
    (("--s5", "model.py", "--s5-seed", "x"), ["--s5-seed: got 'x', expected a whole number from 0 to 2147483647"]),
    (("--s5", "model.py", "--s5-timeout", "0"), ["--s5-timeout: got '0', expected seconds above 0"]),
    (("--s5", "model.py", "--s5-device", "tpu"), ["--s5-device: got 'tpu', expected cpu or cuda"]),
    (("--s5", "model.py", "--s5-sandbox", "on"), ["--s5-sandbox: got 'on', expected auto, strict or off"]),
    (("--s5", "model.py", "--s5-arg", "x"), ["--s5-arg: 'x' is not KEY=VALUE, such as classes=10"]),
    (("--s5", "model.py", "-o", "s5_train=maybe"), ["s5_train: got 'maybe', expected true or false"]),
    (("-o", "s5_path=none.py"), ["s5_path: there is no file 'none.py'"]),
    (("--s5", "model.py", "--s5-file", "a.py"), ["--s5: model.py is a file: --s5-file a.py needs a folder"]),
]


@pytest.mark.parametrize(("arguments", "problems"), FAULTS)
def test_faults_of_the_call(run: Run, here: Path, arguments: tuple[str, ...], problems: list[str]) -> None:
    here.joinpath("wrong.yaml").write_text("rules: none\nmore: 1")
    done = run(*arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert [line.removeprefix("ERROR: ") for line in done.errlines if line] == problems
    assert done.outlines == []


SELECTED = [
    (("-k", "dense"), ["dense"]),
    (("-k", "model.py and not output"), ["dense", "drop", "norm", "accuracy"]),
    (("-m", "s5", "-k", "dense or drop"), ["dense", "drop"]),
    (("-m", "not s5"), []),
    (("--deselect", "model.py::s5::dense"), ["drop", "norm", "accuracy", "output"]),
    (("model.py::s5::dense",), ["dense"]),
    (("model.py::s5",), ["dense", "drop", "norm", "accuracy", "output"]),
    (("model.py",), ["dense", "drop", "norm", "accuracy", "output"]),
    (("--rootdir", "..", "-k", "norm"), ["norm"]),
]


@pytest.mark.parametrize(("arguments", "selected"), SELECTED)
def test_selection(run: Run, arguments: tuple[str, ...], selected: list[str]) -> None:
    done = run("--s5", "model.py", "--co", "-q", *arguments)
    assert [line.rsplit("::")[-1] for line in ids(done)] == selected


def test_the_last_failed_alone_run_again(run: Run) -> None:
    answer(played.FAILED, result("output", "fail", "9 numbers an image"))
    run("--s5", "model.py").assert_outcomes(passed=2, skipped=1, failed=2)
    run("--s5", "model.py", "--lf").assert_outcomes(failed=2, deselected=3)
    run("--s5", "model.py", "-x", "-k", "dense or drop").assert_outcomes(failed=1, deselected=3)


def test_submissions_join_the_other_tests(run: Run, here: Path) -> None:
    here.joinpath("tests").mkdir()
    here.joinpath("tests", "test_own.py").write_text("def test_own(): pass")
    here.joinpath("pytest.ini").write_text("[pytest]\ntestpaths = tests")
    own = "tests/test_own.py::test_own"
    assert ids(run("--s5", "model.py", "--co", "-q")) == [own, *ALL]
    assert ids(run("--s5", "model.py", "--co", "-q", "tests")) == [own, *ALL]
    assert ids(run("--s5", "model.py", "--s5", "model.py", "--co", "-q", own)) == [own, *ALL]


NOT_IMPORTED = [
    ("-o", "python_files=*.py"),
    ("--doctest-modules",),
    ("--doctest-modules", "model.py"),
    ("model.py",),
    (".", "-o", "python_files=*.py"),
]


@pytest.mark.parametrize("arguments", NOT_IMPORTED)
def test_a_submission_is_never_imported(run: Run, here: Path, arguments: tuple[str, ...]) -> None:
    here.joinpath("model.py").write_text('"""\n>>> 1 / 0\n"""\nraise SystemExit("imported")')
    run("--s5", "model.py", *arguments).assert_outcomes(passed=4, skipped=1)


def test_tests_in_the_folder_of_a_submission_are_not_looked_for(run: Run, here: Path) -> None:
    folder = here / "handed_in"
    folder.mkdir()
    for name in ("model.py", "conftest.py", "test_own.py", "__init__.py"):
        folder.joinpath(name).write_text('raise SystemExit("imported")')
    assert ids(run("--s5=handed_in", "--co", "-q")) == [line.replace("model.py", "handed_in") for line in ALL]


def test_a_submission_does_not_configure_pytest(run: Run, here: Path) -> None:
    folder = here / "handed_in"
    folder.mkdir()
    folder.joinpath("model.py").write_bytes(SOURCE)
    folder.joinpath("pytest.ini").write_text("[pytest]\ns5_seed = 3")
    done = run("--s5", "handed_in/model.py")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    assert done.errlines[0] == (
        f"ERROR: pytest took its configuration from {folder / 'pytest.ini'}, where a submission lies: "
        "write --s5=PATH, with the equals sign"
    )
    run("--s5=handed_in/model.py").assert_outcomes(passed=4, skipped=1)
    assert calls() == ["handed_in/model.py course.yaml {}"]
    run("--s5", "handed_in/model.py", "-c", "handed_in/pytest.ini").assert_outcomes(passed=4, skipped=1)
    assert calls()[1:] == ['handed_in/model.py course.yaml {"seed":3}']


def test_a_submission_may_lie_outside_the_root(run: Run, here: Path) -> None:
    here.joinpath("root").mkdir()
    done = run("--s5", "model.py", "--rootdir", "root", "--co", "-q", "-k", "dense")
    assert ids(done) == ["../model.py::s5::dense"]


def test_options_reach_the_grader(run: Run, here: Path) -> None:
    here.joinpath("model.ipynb").write_bytes(SOURCE)
    line = (
        "--s5 model.py --s5 model.ipynb --s5-class Net --s5-arg a=1 --s5-arg b=x=y --s5-train --s5-seed 7 "
        "--s5-budget 60 --s5-device cuda --s5-threads 3 --s5-timeout 5"
    )
    run(*line.split())
    settings = (
        '{"class_name":"Net","arguments":{"a":"1","b":"x=y"},"train":true,"seed":7,"budget":60.0,"device":"cuda",'
        '"threads":3,"timeout":5.0}'
    )
    assert calls() == [f"model.py course.yaml {settings}", f"model.ipynb course.yaml {settings}"]


def test_the_configuration_names_what_the_command_line_does_not(
    run: Run, here: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.joinpath("other.py").write_bytes(SOURCE)
    here.joinpath("pytest.ini").write_text(
        "[pytest]\ns5_path =\n  model.py\n  other.py\ns5_rules = course.yaml\ns5_train = true\ns5_arg =\n  a=1\n  b=2"
    )
    here.joinpath("below").mkdir()
    here.joinpath("below", "played.json").write_bytes(played.ANSWERS.read_bytes())
    monkeypatch.chdir("below")
    done = pytester.runpytest_inprocess(*PLAIN, plugins=[played])
    done.assert_outcomes(passed=10)
    settings = '{"arguments":{"a":"1","b":"2"},"train":true}'
    assert calls() == [f"../model.py ../course.yaml {settings}", f"../other.py ../course.yaml {settings}"]
    done = pytester.runpytest_inprocess(
        *PLAIN, "--s5", "../other.py", "--s5-no-train", "--s5-arg", "c=3", "--s5-rules", "gap-or-fc", plugins=[played]
    )
    assert calls()[2:] == ['../other.py rules/gap-or-fc.yaml {"arguments":{"c":"3"}}']


@pytest.mark.parametrize(
    ("arguments", "ci", "level"),
    [((), "", "auto"), ((), "true", "strict"), ((), "false", "auto"), (("--s5-sandbox", "off"), "true", "off")],
)
def test_where_nobody_looks_the_sandbox_must_be_sealed(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], ci: str, level: str
) -> None:
    monkeypatch.setenv("CI", ci)
    assert targets.sandbox_of(pytester.parseconfig(*arguments)) == level


def test_junit_carries_points_and_places(run: Run) -> None:
    answer(played.FAILED)
    run("--s5", "model.py", "--junitxml", "out.xml", "--color=yes")
    suite = ElementTree.parse("out.xml").getroot()[0]
    assert [(found.get("name"), found.get("value")) for found in suite.findall("properties/property")] == [
        ("s5[model.py].verdict", "fail"),
        ("s5[model.py].score", "1"),
        ("s5[model.py].max_score", "3"),
        ("s5[model.py].rules_sha256", "abc"),
    ]
    cases = {
        case.get("name"): {found.get("name"): found.get("value") for found in case.findall("properties/property")}
        for case in suite.findall("testcase")
    }
    level = {"level": "error"}
    assert cases == {
        "dense": {
            **level,
            "check": "linear",
            "status": "fail",
            "points": "0",
            "max_points": "2",
            "measured": "7840",
            "limit": "0",
            "file": "model.py",
            "line": "10",
        },
        "drop": {**level, "check": "dropout", "status": "pass", "points": "1", "max_points": "1"},
        "norm": {"check": "batch-norm", "status": "pass", "level": "warning", "points": "0", "max_points": "0"},
        "accuracy": {**level, "check": "accuracy", "status": "skipped", "points": "0", "max_points": "3"},
        "output": {},
    }
    (failure,) = suite.iter("failure")
    assert failure.get("message") == LINEAR.message
    assert (failure.text or "").startswith("error[dense]: a linear layer makes the prediction\n  --> model.py:10:16\n")


@pytest.mark.parametrize("dist", ["load", "loadfile"])
def test_workers_grade_once_among_them(here: Path, pytester: pytest.Pytester, dist: str) -> None:
    answer(played.FAILED)
    distributed = ("-n", "2", "--dist", dist, "-v", "--color=yes", "--junitxml", "out.xml")
    done = pytester.runpytest_subprocess(*PLAIN, "-p", "played", *COURSE, "--s5", "model.py", *distributed)
    done.assert_outcomes(passed=3, skipped=1, failed=1)
    assert calls() == ["model.py course.yaml {}"]
    text = done.stdout.str()
    assert "\x1b[1;31merror[dense]\x1b[0m\x1b[1m: a linear layer makes the prediction\x1b[0m" in text
    assert "1 failed, 2 passed, 1 skipped. 1 of 3 points." in text
    suite = ElementTree.parse("out.xml").getroot()[0]
    assert len(suite.findall("properties/property")) == 4
    assert sorted(f"{case.get('classname')}.{case.get('name')}" for case in suite.iter("testcase")) == [
        "model.s5.accuracy",
        "model.s5.dense",
        "model.s5.drop",
        "model.s5.norm",
        "model.s5.output",
    ]


def test_workers_of_the_same_kind_run_everything_on_one_grading(here: Path, pytester: pytest.Pytester) -> None:
    arguments = ("--dist", "each", "--tx", "2*popen", "--s5", "model.py")
    done = pytester.runpytest_subprocess(*PLAIN, "-p", "played", *COURSE, *arguments)
    done.assert_outcomes(passed=8, skipped=2)
    assert calls() == ["model.py course.yaml {}"]


def test_it_runs_where_there_is_no_xdist(run: Run) -> None:
    run("-p", "no:xdist", "--s5", "model.py").assert_outcomes(passed=4, skipped=1)


def test_what_was_shared_is_removed_and_the_template_closed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run("--s5", "model.py")
    assert list(tmp_path.iterdir()) == []
    assert played.CALLS.read_text() == "model.py course.yaml {}\nclosed\n"


def test_who_comes_second_waits_for_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graded: list[str] = []

    def examine(template: Any, path: str, course: Any, settings: Settings) -> Grading:
        graded.append(path)
        time.sleep(0.2)
        return Grading(error_report(course, path, SYNTAX))

    monkeypatch.setattr(gradings, "Template", played.Template)
    monkeypatch.setattr(gradings, "examine_in", examine)
    target = targets.Target("model.py", tmp_path / "model.py", rules(), Settings(), "auto")
    found: list[Any] = []

    def worker() -> None:
        found.append(gradings.Gradings(tmp_path / "shared", tmp_path).report(target).submission.path)

    workers = [threading.Thread(target=worker) for _ in range(2)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    assert (graded, found) == (["model.py"], ["model.py", "model.py"])


OWN = """\
import pytest

def test_points(s5_report):
    assert s5_report.score == 3

def test_graph(s5_graph):
    assert s5_graph.name == "Net"
"""


def test_a_course_writes_tests_of_its_own(run: Run, here: Path) -> None:
    here.joinpath("test_own.py").write_text(OWN)
    done = run("--strict-markers", "--s5", "model.py", "-v")
    done.assert_outcomes(passed=6, skipped=1)
    assert ids(done)[:2] == [
        "test_own.py::test_points PASSED                                          [ 14%]",
        "test_own.py::test_graph PASSED                                           [ 28%]",
    ]
    assert calls() == ["model.py course.yaml {}", 'model.py course.yaml {"export":true}']


def test_tests_run_for_each_submission(run: Run, here: Path) -> None:
    here.joinpath("test_own.py").write_text(OWN)
    here.joinpath("other.py").write_bytes(SOURCE)
    assert ids(run("--s5", "model.py", "--s5", "other.py", "--co", "-q", "-m", "not s5")) == [
        "test_own.py::test_points[model.py]",
        "test_own.py::test_graph[model.py]",
        "test_own.py::test_points[other.py]",
        "test_own.py::test_graph[other.py]",
    ]


MARKED = """\
import pytest

pytestmark = pytest.mark.s5("model.py", seed=2)

@pytest.mark.s5("other.py", rules="other.yaml", train=True, arguments={"a": "1"})
@pytest.mark.s5(path="model.py")
def test_two(s5_report):
    assert s5_report.verdict == "pass"

@pytest.fixture(scope="module")
def points(s5_report):
    return s5_report.max_score

def test_module(points):
    assert points == 3
"""


def test_marks_choose_submission_rules_and_settings(run: Run, here: Path) -> None:
    here.joinpath("test_own.py").write_text(MARKED)
    here.joinpath("other.py").write_bytes(SOURCE)
    here.joinpath("other.yaml").write_text("rules: [{id: a, checks: [linear]}]")
    done = run("--strict-markers", "-v")
    assert [line.split()[0] for line in ids(done)] == [
        "test_own.py::test_two[model.py]",
        "test_own.py::test_module[model.py]",
        "test_own.py::test_two[other.py]",
    ]
    done.assert_outcomes(passed=3)
    assert calls() == [
        "model.py course.yaml {}",
        'model.py course.yaml {"seed":2}',
        'other.py other.yaml {"arguments":{"a":"1"},"train":true}',
    ]
    assert "s5-grade: " not in done.stdout.str()


MARK_FAULTS = [
    ("", "no submission to grade: give --s5 PATH, set s5_path in pytest's configuration, or mark the test with s5"),
    (
        "train=True",
        "no submission to grade: give --s5 PATH, set s5_path in pytest's configuration, or mark the test with s5",
    ),
    ("'none.py'", "the mark s5('none.py'): there is no file 'none.py'"),
    ("'model.py', rules='none.yaml'", "none.yaml: there is no such file"),
    ("'model.py', seed='x'", "the mark s5, seed: got 'x', expected a whole number from 0 to 2147483647"),
    ("'model.py', 'other.py'", "the mark s5 takes one path, got 'model.py', 'other.py'"),
    (
        "'model.py', epochs=3",
        (
            "the mark s5 has no 'epochs'; it takes path, rules, file, class_name, arguments, train, seed, budget, "
            "device, threads, timeout"
        ),
    ),
]


@pytest.mark.parametrize(("arguments", "problem"), MARK_FAULTS)
def test_faults_of_a_mark(run: Run, here: Path, arguments: str, problem: str) -> None:
    mark = f"@pytest.mark.s5({arguments})\n" if arguments else ""
    here.joinpath("test_own.py").write_text(f"import pytest\n{mark}def test_own(s5_report): pass")
    done = run()
    done.assert_outcomes(errors=1)
    start = next(number for number, line in enumerate(done.outlines) if "ERROR at setup" in line)
    assert done.outlines[start + 1] == problem


def test_a_test_of_the_graph_says_why_there_is_none(run: Run, here: Path) -> None:
    here.joinpath("test_own.py").write_text("def test_own(s5_graph): pass")
    answer(obstacle=SYNTAX)
    done = run("--s5", "model.py", "-m", "not s5")
    done.assert_outcomes(errors=1, deselected=5)
    assert "error[syntax]: model.py:3 is not Python" in done.outlines


def test_names_are_those_of_the_call_wherever_a_test_has_gone(run: Run, here: Path) -> None:
    here.joinpath("elsewhere").mkdir()
    here.joinpath("elsewhere", "played.json").write_bytes(played.ANSWERS.read_bytes())
    here.joinpath("test_own.py").write_text(
        "import os\ndef test_own(request):\n    os.chdir('elsewhere')\n    request.getfixturevalue('s5_report')"
    )
    run("--s5", "model.py").assert_outcomes(passed=5, skipped=1)
    assert calls() == ["model.py course.yaml {}"]


SPY = """\
import os, sys
def pytest_sessionfinish():
    with open(os.environ.get("PYTEST_XDIST_WORKER", "main") + ".modules", "w") as file:
        file.write("\\n".join(sys.modules))
"""


def test_it_costs_nothing_where_it_is_not_asked_for(here: Path, pytester: pytest.Pytester) -> None:
    here.joinpath("conftest.py").write_text(SPY)
    here.joinpath("test_own.py").write_text("def test_own(): pass")
    pytester.runpytest_subprocess(*PLAIN).assert_outcomes(passed=1)
    loaded = here.joinpath("main.modules").read_text().split()
    assert [name for name in loaded if name.startswith("grader")] == ["grader", "grader.pytest_plugin"]


def test_the_plugin_itself_needs_nothing_but_pytest(pytester: pytest.Pytester) -> None:
    text = "import sys, pytest; before = {*sys.modules}; import grader.pytest_plugin; print(*({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    others = {name for name in done.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert others == {"grader", "grader.pytest_plugin"}


def test_real_models_are_graded_as_on_the_command_line(
    here: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    here.joinpath("conftest.py").write_text(SPY)
    here.joinpath("first_try.py").write_bytes((ROOT / "examples" / "first_try.py").read_bytes())
    here.joinpath("second.py").write_bytes((ROOT / "reference_model" / "model.py").read_bytes())
    own, _ = re.findall("```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    here.joinpath("test_own.py").write_text(own)
    done = pytester.runpytest_subprocess(*PLAIN, "--s5", "first_try.py", "--s5", "second.py", "-n", "2", "-v")
    done.assert_outcomes(passed=11, failed=3, skipped=2)
    told = [line for line in done.outlines if not line.startswith(("[gw", "sandbox: "))]
    report = grade("first_try.py")
    on_terminal = render(report, "text", Options(100))
    broken = [rule for rule in report.rules if rule.status == "fail"]
    assert [rule.id for rule in broken] == ["param-count", "dropout", "gap-no-linear"]
    for rule in broken:
        page = render_rule(report, rule, Options(100))
        assert page in "\n".join(told)
        assert {*page.splitlines()} <= {*on_terminal.splitlines()}
    (shown,) = re.findall("<!-- output of pytest -->\n\n```\n(.*?)\n```\n", DOCS.read_text("utf-8"), re.DOTALL)
    for part in shown.split("\n…\n"):
        assert part in "\n".join(told)
    assert told.count("3 failed, 1 passed, 1 skipped. 20 of 80 points.") == 1
    assert told.count("4 passed, 1 skipped. 80 of 80 points.") == 1
    for worker in ("gw0", "gw1"):
        assert "torch" not in here.joinpath(f"{worker}.modules").read_text().split()


def test_where_no_process_can_be_started_each_test_says_so(
    here: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Any) -> None:
        raise SandboxError("submissions cannot be confined here")

    monkeypatch.setattr("grader.sandbox.Template.start", refuse)
    done = pytester.runpytest_inprocess(*PLAIN, "--s5", "model.py", "-k", "dropout")
    done.assert_outcomes(errors=1, deselected=5)
    start = next(number for number, line in enumerate(done.outlines) if "ERROR at setup" in line)
    assert done.outlines[start + 1] == "s5-grade: submissions cannot be confined here"


def test_the_documentation_names_every_option(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_inprocess(*PLAIN, "--help")
    options = set(re.findall(r"--s5[a-z-]*", done.stdout.str()))
    keys = set(re.findall(r"^  (s5_[a-z]+)", done.stdout.str(), re.MULTILINE))
    named = set(re.findall(r"`(--s5[a-z-]*|s5_[a-z]+)", DOCS.read_text("utf-8")))
    assert named - {"s5_report", "s5_graph"} == options | keys
