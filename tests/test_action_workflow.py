"""The workflow that a student's repository calls: its job, run as GitHub runs it, with stubs for checkouts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from action_machine import ROOT, Machine, needs_the_action
from runner import Command, Runner

STARTER = ROOT / "examples" / "assignment" / "model.py"
pytestmark = needs_the_action


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


RULES = "extends: default\nrules:\n  - id: one\n    points: 5\n    checks: [batch-norm]\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Repositories:
    """Stubs for a job: checks out a student's files, the rules of a course, and this source tree."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = {"": files, "course/rules": {"week 5/rules.yaml": RULES.encode()}}
        self.asked: list[Mapping[str, str]] = []
        self.kept: list[Mapping[str, str]] = []

    def checkout(self, given: Mapping[str, str], runner: Runner) -> Mapping[str, str]:
        self.asked.append(given)
        folder = runner.workspace / given["path"]
        if given.get("repository") == "course/s5-grade":
            folder.symlink_to(ROOT)
            return {}
        for name, content in self.files[given.get("repository", "")].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return {}

    def keep(self, given: Mapping[str, str], runner: Runner) -> Mapping[str, str]:
        assert Path(given["path"]).is_file()
        self.kept.append(given)
        return {}

    def install(self, machine: Machine) -> None:
        machine.runner.stubs = {
            **machine.runner.stubs,
            "actions/checkout": self.checkout,
            "actions/upload-artifact": self.keep,
        }
        machine.runner.contexts["job"] = {"workflow_repository": "course/s5-grade", "workflow_sha": COMMIT}


WORKFLOW = ROOT / ".github" / "workflows" / "grade.yml"


def test_a_repository_is_graded_by_rules_that_lie_beside_it(machine: Machine) -> None:
    repositories = Repositories({"model.py": STARTER.read_bytes(), "rules/week 5/rules.yaml": b"rules: []\n"})
    repositories.install(machine)
    asked = {"rules-repository": "course/rules", "rules-ref": COMMIT, "rules-path": "week 5/rules.yaml"}
    outcome = machine.runner.job(WORKFLOW, "grade", {**asked, "code-scanning": True})
    report = json.loads(Path(repositories.kept[0]["path"]).read_bytes())
    if report["error"] is not None and report["error"]["code"] == "sandbox":
        pytest.skip(f"this machine gives no sealed sandbox: {report['error']['why']}")
    assert [(given["path"], given.get("repository"), given.get("ref")) for given in repositories.asked] == [
        ("submission", None, None),
        ("rules", "course/rules", COMMIT),
        ("s5-grade", "course/s5-grade", COMMIT),
    ]
    assert {given["persist-credentials"] for given in repositories.asked} == {"false"}
    assert "one" in [rule["id"] for rule in report["rules"]]
    assert (report["submission"]["path"], report["rules_file"]) == ("model.py", "../rules/week 5/rules.yaml")
    assert outcome.outputs == {"verdict": "fail", "score": "20", "max-score": str(report["max_score"])}
    assert {found.properties["file"] for found in outcome.annotations} == {"model.py"}  # as the repository knows it
    assert [given["name"] for given in repositories.kept] == ["s5-grade", "s5-grade-sarif"]
    assert machine.cached == []


@pytest.mark.parametrize("ref", ["", "main", "v1", COMMIT[:7], COMMIT.upper(), f"{COMMIT}\n::error::x"])
def test_rules_that_could_change_are_refused(ref: str, machine: Machine) -> None:
    outcome = machine.runner.job(WORKFLOW, "grade", {"rules-repository": "course/rules", "rules-ref": ref})
    assert outcome.codes == {"Refuse rules that could change": 2}
    message = "rules-ref: expected a commit in all its 40 digits, as a branch or tag can move"
    assert outcome.commands == [Command("error", message, {"title": "s5-grade"})]


def test_the_example_calls_the_workflow_with_inputs_that_it_has(machine: Machine, tmp_path: Path) -> None:
    example = STARTER.parent
    assert sorted(path.relative_to(example).as_posix() for path in example.rglob("*") if path.is_file()) == [
        ".github/workflows/grade.yml", "README.md", "model.py",
    ]  # fmt: skip
    copy = shutil.copytree(example, tmp_path / "copy")
    files = {path.relative_to(copy).as_posix(): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    repositories = Repositories(files)
    repositories.install(machine)
    outcome = machine.runner.job(WORKFLOW, "grade", {"path": "model.py", "train": False})
    assert outcome.failed
    assert outcome.outputs in (
        {"verdict": "fail", "score": "20", "max-score": "80"},
        {"verdict": "error", "score": "0", "max-score": "0"},  # where the machine gives no sealed sandbox
    )
