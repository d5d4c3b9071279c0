"""A machine for the tests of the action: the emulated runner with files, an environment, and no network."""

from __future__ import annotations

import base64
import json
import shlex
import stat
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from runner import Command, Outcome, Runner

ROOT = Path(__file__).resolve().parents[1]
GRADER = Path(sysconfig.get_path("scripts")) / "s5-grade"

needs_the_action = [
    pytest.mark.skipif(not (ROOT / "action.yml").exists(), reason="needs the source tree"),
    pytest.mark.skipif(not GRADER.exists(), reason="s5-grade is not installed in this environment"),
    pytest.mark.skipif(sys.platform != "linux", reason="the action runs on Linux"),
]

# Makes what the action takes for its environment: the grader, and an interpreter whose pip notes what it is asked for.
PYTHON = """#!/bin/bash
set -euo pipefail
[ "$1 $2 $3" = "-I -m venv" ]
mkdir -p "$4/bin"
ln -sf {grader} "$4/bin/s5-grade"
ln -sf {inner} "$4/bin/python"
"""
INNER = """#!/bin/bash
if [ "$3" = pip ]; then printf '%s\\n' "$PWD" "${{@:4}}" > {asked}; else exec {python} "$@"; fi
"""


class Machine:
    """A runner with files in its workspace, and what the stubs of it were asked for."""

    def __init__(self, folder: Path, grader: Path = GRADER, variables: Mapping[str, str] | None = None) -> None:
        self.asked = folder / "asked of pip"
        self.cached: list[Mapping[str, str]] = []
        self.python = folder / "python"
        inner = folder / "inner python"
        paths = {"grader": grader, "inner": inner, "asked": self.asked, "python": sys.executable}
        quoted = {name: shlex.quote(str(path)) for name, path in paths.items()}
        executable(self.python, PYTHON.format(**quoted))
        executable(inner, INNER.format(**quoted))
        stubs = {"actions/setup-python": self._setup_python, "actions/cache": self._cache}
        one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self.runner = Runner(folder, stubs, {**one_thread, **(variables or {})})

    def _setup_python(self, given: Mapping[str, str], runner: Runner) -> Mapping[str, str]:
        assert given == {"python-version": "3.11", "update-environment": "false"}
        return {"python-path": str(self.python)}

    def _cache(self, given: Mapping[str, str], runner: Runner) -> Mapping[str, str]:
        self.cached.append(given)
        return {}

    def write(self, name: str, content: bytes | str) -> None:
        path = self.runner.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def grade(self, **inputs: str) -> Outcome:
        return self.runner.action(ROOT, {name.replace("_", "-"): value for name, value in inputs.items()})

    def tree(self) -> list[str]:
        """Return the files of the workspace."""
        found = (path for path in self.runner.workspace.rglob("*") if not path.is_dir())
        return sorted(path.relative_to(self.runner.workspace).as_posix() for path in found)


def executable(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def require_sealed(outcome: Outcome) -> None:
    error = report_of(outcome)["error"]
    if error is not None and error["code"] == "sandbox":
        pytest.skip(f"this machine gives no sealed sandbox: {error['why']}")


def report_of(outcome: Outcome) -> dict[str, Any]:
    loaded = json.loads(Path(outcome.outputs["report"]).read_bytes())
    assert isinstance(loaded, dict)
    return loaded


def payload_of(outcome: Outcome) -> dict[str, Any]:
    loaded = json.loads(base64.b64decode(outcome.outputs["result"], validate=True))
    assert isinstance(loaded, dict)
    return loaded


def places(annotations: list[Command]) -> list[tuple[str, str, str]]:
    return [(found.name, found.properties["file"], found.properties.get("line", "")) for found in annotations]


def told(outcome: Outcome) -> dict[str, str]:
    return {name: outcome.outputs[name] for name in ("verdict", "score", "max-score")}
