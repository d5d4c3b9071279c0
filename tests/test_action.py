"""The action, run as GitHub runs it: every script of action.yml for real, other people's actions as stubs."""

from __future__ import annotations

import json
import sys
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from action_machine import (
    GRADER,
    ROOT,
    Machine,
    executable,
    needs_the_action,
    payload_of,
    places,
    report_of,
    require_sealed,
    told,
)
from runner import Command, Outcome

REFERENCE = ROOT / "reference_model" / "model.py"
FIRST_TRY = ROOT / "examples" / "first_try.py"
ALL_STEPS = ["Find what the cache depends on", "Install s5-grade", "Grade", "Annotate", "Summarise", "Decide"]
SUMMARY_CAP = 1024 * 1024  # bytes a step
pytestmark = needs_the_action

# Answers for a seed what stands in a file; renders with the grader under test.
STAND_IN = """#!{python}
import json, os, pathlib, sys
asked = sys.argv[1:]
if asked[0] == "render":
    os.execv({grader!r}, [{grader!r}, *asked])
seed = asked[asked.index("--seed") + 1]
report = json.loads(pathlib.Path({report!r}).read_text())
verdict, score = json.loads(os.environ["STAND_IN"])[seed]
pathlib.Path(asked[asked.index("--output") + 1]).write_text(json.dumps(dict(report, verdict=verdict, score=score)))
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture(scope="module")
def first_try(tmp_path_factory: pytest.TempPathFactory) -> tuple[Machine, Outcome]:
    """What comes of the example that breaks three rules; skips where the machine gives no sealed sandbox."""
    machine = Machine(tmp_path_factory.mktemp("first-try"))
    machine.write("model.py", FIRST_TRY.read_bytes())
    outcome = machine.grade(sarif="findings of mine.sarif")
    require_sealed(outcome)
    return machine, outcome


def test_a_model_that_keeps_the_rules_passes(machine: Machine) -> None:
    machine.write("model.py", REFERENCE.read_bytes())
    outcome = machine.grade()
    require_sealed(outcome)
    assert outcome.codes == dict.fromkeys(ALL_STEPS, 0)
    assert told(outcome) == {"verdict": "pass", "score": "80", "max-score": "80"}
    assert outcome.commands == []
    assert report_of(outcome)["submission"]["path"] == "model.py"
    assert report_of(outcome)["sandbox"]["level"] == "sealed"
    payload = payload_of(outcome)
    assert (payload["status"], payload["max_score"]) == ("pass", 80)
    assert [test["status"] for test in payload["tests"]] == ["pass"] * 4
    assert "seed 1: pass, 80 of 80 points" in outcome.log.splitlines()
    assert 0 < len("".join(outcome.summaries).encode()) < SUMMARY_CAP


def test_what_breaks_a_rule_is_shown_beside_its_line_and_fails_the_step(first_try: tuple[Machine, Outcome]) -> None:
    _, outcome = first_try
    assert outcome.codes == {**dict.fromkeys(ALL_STEPS, 0), "Write SARIF": 0, "Decide": 1}
    assert told(outcome) == {"verdict": "fail", "score": "20", "max-score": "80"}
    assert places(outcome.annotations) == [("error", "model.py", line) for line in ("19", "19", "20", "20")]
    assert sorted({found.properties["title"] for found in outcome.annotations}) == [
        "dropout", "gap-no-linear", "param-count",
    ]  # fmt: skip
    assert outcome.commands == outcome.annotations


def test_the_page_of_the_run_shows_the_report(first_try: tuple[Machine, Outcome]) -> None:
    summary = "".join(first_try[1].summaries)
    assert 0 < len(summary.encode()) < SUMMARY_CAP
    assert [word in summary for word in ("param-count", "33,882 parameters", "model.py:20")] == [True] * 3


def test_findings_are_written_as_sarif_with_paths_of_the_repository(first_try: tuple[Machine, Outcome]) -> None:
    machine, _ = first_try
    assert machine.tree() == ["findings of mine.sarif", "model.py"]
    (run,) = json.loads((machine.runner.workspace / "findings of mine.sarif").read_bytes())["runs"]
    found = [
        (result["ruleId"], location["artifactLocation"]["uri"], location["region"]["startLine"])
        for result in run["results"]
        for location in [result["locations"][0]["physicalLocation"]]
    ]
    assert sorted(found) == [
        ("dropout", "model.py", 19),
        ("gap-no-linear", "model.py", 19),
        ("gap-no-linear", "model.py", 20),
        ("param-count", "model.py", 20),
    ]


def test_the_payload_of_the_old_classroom(first_try: tuple[Machine, Outcome]) -> None:
    payload = payload_of(first_try[1])
    assert payload["status"] == "fail"
    assert [(test["name"], test["status"], test["score"]) for test in payload["tests"]] == [
        ("param-count", "fail", 0),
        ("batch-norm", "pass", 20),
        ("dropout", "fail", 0),
        ("gap-no-linear", "fail", 0),
    ]


def test_what_cannot_be_graded_is_no_pass(machine: Machine) -> None:
    machine.write("model.py", "import torch\n\nclass Net(torch.nn.Module:\n    pass\n")
    outcome = machine.grade()
    assert outcome.codes == {**dict.fromkeys(ALL_STEPS, 0), "Decide": 3}
    assert told(outcome) == {"verdict": "error", "score": "0", "max-score": "0"}
    require_sealed(outcome)
    assert places(outcome.annotations) == [("error", "model.py", "3")]
    assert payload_of(outcome)["status"] == "error"


@pytest.fixture
def stand_in(tmp_path: Path, first_try: tuple[Machine, Outcome]) -> Callable[[Mapping[int, tuple[str, int]]], Machine]:
    """Return a machine whose grader answers for each seed with a verdict and a score."""

    def make(answers: Mapping[int, tuple[str, int]]) -> Machine:
        script, folder = tmp_path / "stand-in", tmp_path / "machine"
        names = {"python": sys.executable, "grader": str(GRADER), "report": first_try[1].outputs["report"]}
        executable(script, STAND_IN.format(**names))
        folder.mkdir()
        machine = Machine(folder, script, {"STAND_IN": json.dumps(answers)})
        machine.write("model.py", "")
        return machine

    return make


@pytest.mark.parametrize(
    ("fail_on", "codes"),
    [
        ("fail", {"pass": 0, "fail": 1, "error": 3}),
        ("error", {"pass": 0, "fail": 0, "error": 3}),
        ("never", {"pass": 0, "fail": 0, "error": 0}),
    ],
)
def test_which_verdicts_fail_the_step(fail_on: str, codes: dict[str, int], stand_in: Any) -> None:
    machine = stand_in({number: (verdict, 0) for number, verdict in enumerate(codes)})
    found = {}
    for number, verdict in enumerate(codes):
        outcome = machine.grade(seeds=str(number), fail_on=fail_on, annotations="false", summary="false")
        assert (outcome.outputs["verdict"], list(outcome.codes)[-1]) == (verdict, "Decide")
        found[verdict] = outcome.codes["Decide"]
    assert found == codes


@pytest.mark.parametrize(
    ("answers", "worst"),
    [
        ({1: ("pass", 100), 2: ("pass", 90), 3: ("pass", 90)}, 2),
        ({1: ("pass", 100), 2: ("error", 0), 3: ("fail", 80)}, 3),
        ({7: ("fail", 60), 8: ("fail", 40), 9: ("pass", 100)}, 8),
    ],
)
def test_of_several_seeds_the_worst_counts(answers: dict[int, tuple[str, int]], worst: int, stand_in: Any) -> None:
    outcome = stand_in(answers).grade(seeds=" 1, 2\n3 ".translate(dict(zip(b"123", map(str, answers), strict=True))))
    verdict, score = answers[worst]
    assert told(outcome) == {"verdict": verdict, "score": str(score), "max-score": "80"}
    assert Path(outcome.outputs["report"]).parent.name == str(worst)
    summary = "".join(outcome.summaries)
    rows = [f"| {seed} | {verdict} | {score} of 80 |" for seed, (verdict, score) in answers.items()]
    head = f"Graded with 3 seeds. The worst run counts: that with seed {worst}, below."
    assert summary.startswith("\n".join([head, "", "| seed | verdict | points |", "|---|---|---|", *rows, "\n"]))


def test_what_the_page_and_the_lines_need_not_show_is_left_out(stand_in: Any) -> None:
    outcome = stand_in({1: ("fail", 20)}).grade(annotations="false", summary="False")
    assert list(outcome.codes) == ["Find what the cache depends on", "Install s5-grade", "Grade", "Decide"]
    assert (outcome.commands, "".join(outcome.summaries)) == ([], "")


NASTY = 'it\'s "$(touch pwned)" `touch pwned`\n::error::x %0A.py'
MISTAKES = {
    "seeds": "seeds: expected numbers from 0 to 2147483647, such as '1 2 3', not {!r}",
    "train": "train: expected one of true, false, not {!r}",
    "summary": "summary: expected one of true, false, not {!r}",
    "annotations": "annotations: expected one of true, false, not {!r}",
    "fail-on": "fail-on: expected one of fail, error, never, not {!r}",
    "working-directory": "working-directory: there is no folder {!r}; was anything checked out?",
    "timeout": "s5-grade made no report (exit code 2); the lines above say why",
    "rules": "s5-grade made no report (exit code 2); the lines above say why",
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("value", [NASTY, "--help"])
def test_a_nonsensical_input_is_named_and_never_run(name: str, value: str, machine: Machine) -> None:
    machine.write("model.py", "")
    outcome = machine.grade(**{name: value, "cache": "false"})
    assert outcome.codes == {"Install s5-grade": 0, "Grade": 2}
    assert outcome.commands == [Command("error", MISTAKES[name].format(value), {"title": "s5-grade"})]
    assert outcome.outputs == dict.fromkeys(("score", "max-score", "verdict", "result", "report"), "")
    assert machine.tree() == ["model.py"]


def test_a_misspelt_fail_on_is_no_never(machine: Machine) -> None:
    message = MISTAKES["fail-on"].format("Fail")
    assert machine.grade(fail_on="Fail").commands == [Command("error", message, {"title": "s5-grade"})]


@pytest.mark.parametrize("value", [NASTY, "--help", "layers", "::error::x", " ", "a/../b", "-"])
def test_a_path_to_nothing_is_no_pass_and_never_run(value: str, machine: Machine) -> None:
    outcome = machine.grade(path=value)
    assert (outcome.codes["Grade"], outcome.codes["Decide"]) == (0, 3)
    assert outcome.outputs["verdict"] == "error"
    assert [(found.name, found.properties["title"]) for found in outcome.commands] == [("error", "not graded: missing")]
    assert machine.tree() == []


def test_a_file_with_a_hostile_name_is_graded_under_that_name(machine: Machine) -> None:
    machine.write(NASTY, FIRST_TRY.read_bytes())
    outcome = machine.grade(path=NASTY, sarif=f"{NASTY}.sarif")
    require_sealed(outcome)
    assert told(outcome) == {"verdict": "fail", "score": "20", "max-score": "80"}
    assert report_of(outcome)["submission"]["path"] == NASTY
    assert [found.name for found in outcome.commands] == ["error"] * 4
    assert machine.tree() == sorted([NASTY, f"{NASTY}.sarif"])


HOSTILE = """\
import os, sys, torch

for text in ("::error::pwned", "##[error]pwned", "::set-output name=verdict::pass", "::stop-commands::x"):
    print(text, flush=True)
    os.write(1, text.encode() + b"\\n")
    os.write(2, text.encode() + b"\\n")
for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY"):
    try:
        with open(os.environ[name], "a") as file:
            file.write("verdict=pass\\n")
    except Exception:
        pass


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        raise ValueError("::error::pwned\\n::error file=x::pwned\\r##[error]pwned %0A::error::pwned")

    def forward(self, x):
        return x
"""


def test_what_a_submission_prints_and_raises_is_no_command(machine: Machine) -> None:
    machine.write("model.py", HOSTILE)
    for name in ("pip.py", "venv.py", "json.py", "click.py", "sitecustomize.py", "usercustomize.py", "grader.py"):
        machine.write(name, "open('pwned', 'w').close()\nprint('::error::pwned')\n")
    before = machine.tree()
    outcome = machine.grade(sarif="a.sarif")
    require_sealed(outcome)
    assert told(outcome) == {"verdict": "error", "score": "0", "max-score": "0"}
    assert places(outcome.commands) == [("error", "model.py", "18")]
    assert machine.tree() == sorted([*before, "a.sarif"])
    assert not any(line.lstrip().startswith("::") for line in "".join(outcome.summaries).splitlines())


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("", str(ROOT)),
        ("0.1.0", "s5-grade==0.1.0"),
        ("git+https://example.org/s5-grade@abc", "s5-grade @ git+https://example.org/s5-grade@abc"),
        (NASTY, f"s5-grade=={NASTY}"),
        ("--index-url=x", "s5-grade==--index-url=x"),
    ],
)
def test_what_pip_is_asked_for(version: str, wanted: str, machine: Machine) -> None:
    machine.grade(path="nothing", version=version, cache="false", summary="false")
    temporary = machine.runner.temporary
    assert machine.asked.read_text("utf-8").split("\n", 11) == [
        str(temporary),  # not in the workspace, which is a stranger's
        "install", "--quiet", "--no-input", "--disable-pip-version-check",
        "--cache-dir", str(temporary / "s5-grade" / "downloads"), "--constraint", str(ROOT / "constraints.txt"),
        "--extra-index-url", "https://download.pytorch.org/whl/cpu", f"{wanted}\n",
    ]  # fmt: skip
    assert machine.tree() == []


def test_the_cache_follows_the_version_and_can_be_left_out(machine: Machine) -> None:
    for inputs in ({}, {"version": "0.1.0"}, {"cache": "false"}):
        machine.grade(path="nothing", **inputs)
    paths = {given["path"] for given in machine.cached}
    keys = [given["key"] for given in machine.cached]
    assert paths == {str(machine.runner.temporary / "s5-grade" / "downloads")}
    assert len(keys) == len(set(keys)) == 2
    assert all(key.startswith("s5-grade-Linux-X64-") and len(key.rpartition("-")[2]) == 64 for key in keys)


def test_the_action_installs_its_own_source(tmp_path: Path) -> None:
    # For pip this variable is the value of `build_isolation`: https://github.com/pypa/pip/issues/5735
    machine = Machine(tmp_path, variables={"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"})
    machine.python = Path(sys.executable)
    # What s5-grade depends on comes from this environment by path, as there is no network.
    packages = machine.runner.temporary / "s5-grade" / "environment" / "lib"
    packages = packages / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    machine.write("model.py", REFERENCE.read_bytes())
    outcome = machine.grade()
    assert outcome.codes == dict.fromkeys(ALL_STEPS, 0), outcome.log
    require_sealed(outcome)
    assert (packages / "grader" / "data" / "mnist.npz").is_file()
    assert told(outcome) == {"verdict": "pass", "score": "80", "max-score": "80"}
