"""The action and the workflows as files: valid, pinned, with few rights, and no way from an input into a script."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
ACTION = ROOT / "action.yml"
PAGE = ROOT / "docs" / "github.md"
EXAMPLE = ROOT / "examples" / "assignment"
WORKFLOWS = sorted(
    [*(ROOT / ".github" / "workflows").glob("*.yml"), *(EXAMPLE / ".github" / "workflows").glob("*.yml")]
)
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")

pytestmark = pytest.mark.skipif(not ACTION.exists(), reason="needs the source tree")


def tool(name: str) -> str:
    """Return the path of a linter; skip where it is not installed."""
    found = which(name, path=sysconfig.get_path("scripts")) or which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; it is one of the dev extras")
    return found


def document(file: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(file.read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def steps(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps of a workflow's jobs, or of an action; a job that calls a workflow counts as one."""
    whole = document(file)
    jobs = whole["jobs"].values() if "jobs" in whole else [whole["runs"]]
    for job in jobs:
        yield from job.get("steps", [job])


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("actionlint", ["-no-color", *map(str, WORKFLOWS)]),
        ("check-jsonschema", ["--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]),
        ("check-jsonschema", ["--builtin-schema", "vendor.github-actions", str(ACTION)]),
        ("zizmor", ["--offline", "--no-progress", "--color=never", "--quiet", str(ACTION), *map(str, WORKFLOWS)]),
    ],
    ids=["actionlint", "schema of workflows", "schema of the action", "zizmor"],
)
def test_linters_find_nothing(name: str, arguments: list[str]) -> None:
    done = subprocess.run([tool(name), *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_stands_in_a_script() -> None:
    inserted = [
        (name_of(file), found)
        for file in [ACTION, *WORKFLOWS]
        for step in steps(file)
        for found in re.findall(r"\$\{\{.*?\}\}", str(step.get("run", "")), re.S)
    ]
    # The matrix of the workflow that tests s5-grade itself stands in that very file.
    own = [(".github/workflows/ci.yml", f"${{{{ matrix.{name} }}}}") for name in ("torch", "python")]
    assert [found for found in inserted if found not in own] == []


def test_scripts_stop_at_their_first_failure() -> None:
    scripts = [step for file in (ACTION, ROOT / ".github/workflows/grade.yml") for step in steps(file) if "run" in step]
    assert scripts
    assert [(step["shell"], step["run"].split("\n")[0]) for step in scripts] == [
        ("bash", "set -euo pipefail") for _ in scripts
    ]


def test_scripts_in_files_parse() -> None:
    folder = ROOT / ".github" / "action"
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == ["grade.py", "install.sh"]
    subprocess.run(["bash", "-n", str(folder / "install.sh")], check=True)
    subprocess.run(
        [sys.executable, "-I", "-c", f"compile(open({str(folder / 'grade.py')!r}).read(), '', 'exec')"], check=True
    )


def test_other_peoples_actions_are_pinned_to_a_commit_with_its_version() -> None:
    loose = []
    for file in [ACTION, *WORKFLOWS]:
        for uses, comment in re.findall(r"^\s*(?:- )?uses: (\S+)[ ]*(.*)$", file.read_text("utf-8"), re.M):
            own = uses.startswith(("./", "OWNER/s5-grade/"))
            version = own or re.fullmatch(r"# v\d+\.\d+\.\d+", comment)
            if not (uses.startswith("./") or PINNED.fullmatch(uses)) or not version:
                loose.append((name_of(file), uses, comment))
    assert loose == []


def test_a_commit_goes_by_one_version_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for file in [ACTION, *WORKFLOWS, PAGE]:
        for name, pin in re.findall(r"uses: ((?:actions|github)/[\w/-]+)@(.*)$", file.read_text("utf-8"), re.M):
            pins.setdefault(name, set()).add(pin)
    assert {name: len(found) for name, found in pins.items()} == dict.fromkeys(pins, 1)


def test_workflows_have_no_rights_but_to_read_and_none_runs_with_those_of_the_target() -> None:
    granted = {}
    for file in WORKFLOWS:
        whole = document(file)
        triggers = whole[True]  # YAML 1.1 reads `on` as a truth value
        assert "pull_request_target" not in triggers and "workflow_run" not in triggers
        granted[name_of(file)] = (
            whole.get("permissions"),
            {name: job["permissions"] for name, job in whole["jobs"].items() if "permissions" in job},
        )
    read = {"contents": "read"}
    assert granted == {
        ".github/workflows/ci.yml": (read, {}),
        ".github/workflows/grade.yml": (None, {"grade": read}),  # `report` has what its caller grants
        "examples/assignment/.github/workflows/grade.yml": (read, {}),
    }


def test_no_checkout_leaves_the_token_behind_and_no_secret_is_named() -> None:
    for file in [ACTION, *WORKFLOWS]:
        assert "secrets." not in file.read_text("utf-8")
        for step in steps(file):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False, name_of(file)


@pytest.mark.parametrize(("heading", "file", "key"), [("Inputs", ACTION, "inputs"), ("Outputs", ACTION, "outputs")])
def test_the_page_lists_what_the_action_takes_and_gives(heading: str, file: Path, key: str) -> None:
    section = PAGE.read_text("utf-8").split(f"\n### {heading}\n")[1].split("\n#")[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in re.findall(r"^\| `.*\|$", section, re.M)]
    declared = document(file)[key]
    expected = [
        [
            f"`{name}`",
            *([f"`{entry['default']}`" if entry["default"] else ""] if key == "inputs" else []),
            entry["description"],
        ]
        for name, entry in declared.items()
    ]
    assert rows == expected


def test_inputs_of_the_called_workflow_reach_the_action() -> None:
    whole = document(ROOT / ".github" / "workflows" / "grade.yml")
    inputs = document(ACTION)["inputs"]
    (step,) = [step for step in whole["jobs"]["grade"]["steps"] if step.get("uses") == "./s5-grade"]
    assert step["with"].keys() <= inputs.keys()
    called = whole[True]["workflow_call"]["inputs"]
    given = {name: f"${{{{ inputs.{name} }}}}" for name in called.keys() & inputs.keys()}
    assert given.items() <= step["with"].items()
    assert called.keys() - inputs.keys() == {
        "rules-repository", "rules-ref", "rules-path", "code-scanning", "artifact",
    }  # fmt: skip
