"""Runs the steps of an action, or of a job, as GitHub's runner does: scripts for real, other people's actions as stubs.

What is emulated: expressions, the environment and the files that steps write to, bash as the runner starts it, commands
in its output, `if`, and what a failed step means for those after it. A step that asks for more is refused.
Sources: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands, and the runner's own
ActionCommand.cs for what it takes for a command.
"""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from expressions import condition, insert

KNOWN = {"name", "id", "if", "uses", "with", "run", "shell", "env", "working-directory"}
FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
BASH = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]
COMMAND = re.compile(r"\s*::(?P<name>[^\s:]+)(?: (?P<properties>[^:]*(?::(?!:)[^:]*)*))?::(?P<message>.*)", re.S)
UNESCAPED = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

Stub = Callable[[Mapping[str, str], "Runner"], Mapping[str, str]]


@dataclass(frozen=True)
class Command:
    """What a line of a step's output asked the runner for."""

    name: str
    message: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What came of an action or a job: its outputs, the exit code of each step that ran a script, by name."""

    outputs: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    log: str = ""
    failed: bool = False

    @property
    def annotations(self) -> list[Command]:
        return [command for command in self.commands if command.name in ("error", "warning", "notice")]


class Runner:
    """A machine with a workspace; `stubs` stand in for other people's actions, by their name without the commit."""

    def __init__(self, folder: Path, stubs: Mapping[str, Stub], variables: Mapping[str, str] | None = None) -> None:
        self.workspace = folder / "work space"
        self.temporary = folder / "temp"
        self.stubs = stubs
        for path in (self.workspace, self.temporary, folder / "home"):
            path.mkdir()
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_TEMP": str(self.temporary),
            **(variables or {}),
        }
        self.contexts: dict[str, Any] = {
            "runner": {"os": "Linux", "arch": "X64", "temp": str(self.temporary)},
            "github": {"workspace": str(self.workspace)},
            "job": {},
        }

    def action(self, folder: Path, inputs: Mapping[str, str]) -> Outcome:
        """Run the composite action in a folder."""
        action = yaml.safe_load((folder / "action.yml").read_text("utf-8"))
        unknown = inputs.keys() - action["inputs"].keys()
        assert not unknown, f"the action has no inputs {unknown}"
        given = {name: inputs.get(name, declared.get("default", "")) for name, declared in action["inputs"].items()}
        outcome = Outcome()
        contexts = self.run_steps(
            action["runs"]["steps"], outcome, {"inputs": given}, {"GITHUB_ACTION_PATH": str(folder)}
        )
        outcome.outputs = {name: insert(output["value"], contexts) for name, output in action["outputs"].items()}
        return outcome

    def job(self, workflow: Path, name: str, inputs: Mapping[str, Any]) -> Outcome:
        """Run one job of a reusable workflow."""
        document = yaml.safe_load(workflow.read_text("utf-8"))
        declared = document[True]["workflow_call"]["inputs"]  # YAML 1.1 reads `on` as a truth value
        given = {key: inputs.get(key, value.get("default", "")) for key, value in declared.items()}
        outcome = Outcome()
        contexts = self.run_steps(document["jobs"][name]["steps"], outcome, {"inputs": given}, {})
        outputs = document["jobs"][name].get("outputs", {})
        outcome.outputs = {key: insert(value, contexts) for key, value in outputs.items()}
        return outcome

    def run_steps(
        self, steps: list[dict[str, Any]], outcome: Outcome, own: Mapping[str, Any], variables: Mapping[str, str]
    ) -> dict[str, Any]:
        """Run steps in order, add to the outcome, and return the contexts as they are at the end."""
        results: dict[str, Any] = {}
        contexts = {**self.contexts, **own, "steps": results}
        status = {
            "success": lambda: not outcome.failed,
            "failure": lambda: outcome.failed,
            "always": lambda: True,
            "cancelled": lambda: False,
        }
        for step in steps:
            assert step.keys() <= KNOWN, f"not emulated: {step.keys() - KNOWN}"
            if not condition(str(step.get("if", "success()")), contexts, status):
                continue
            outputs = self._use(step, outcome, contexts) if "uses" in step else {}
            if "run" in step:
                outputs = self._script(step, outcome, contexts, variables)
            if "id" in step:
                results[step["id"]] = {"outputs": outputs}
        return contexts

    def _use(self, step: dict[str, Any], outcome: Outcome, contexts: Mapping[str, Any]) -> Mapping[str, str]:
        """Run an action: one of the workspace for real, any other as its stub."""
        given = {key: insert(str(value), contexts) for key, value in _plain(step.get("with", {})).items()}
        name = step["uses"].partition("@")[0]
        if not name.startswith("./"):
            return self.stubs[name](given, self)
        inner = self.action(self.workspace / name, given)
        outcome.codes |= inner.codes
        outcome.commands += inner.commands
        outcome.summaries += inner.summaries
        outcome.log += inner.log
        outcome.failed |= inner.failed
        return inner.outputs

    def _script(
        self, step: dict[str, Any], outcome: Outcome, contexts: Mapping[str, Any], variables: Mapping[str, str]
    ) -> dict[str, str]:
        """Run a script with bash, carry out what it wrote and printed, and return its outputs."""
        assert step["shell"] == "bash"
        place = self.temporary / "_runner" / uuid.uuid4().hex
        place.mkdir(parents=True)
        files = {name: place / name for name in FILES}
        for file in files.values():
            file.touch()
        script = place / "script.sh"
        script.write_text(insert(step["run"], contexts), "utf-8")
        own = {key: insert(str(value), contexts) for key, value in step.get("env", {}).items()}
        folder = self.workspace / insert(step.get("working-directory", "."), contexts)
        done = subprocess.run(
            [*BASH, str(script)],
            cwd=folder,
            env={**self.variables, **variables, **own, **{name: str(file) for name, file in files.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = done.stdout.decode("utf-8", "replace")
        outcome.log += text
        outcome.commands += commands(text)
        outcome.codes[step["name"]] = done.returncode
        outcome.failed |= done.returncode != 0
        outcome.summaries.append(files["GITHUB_STEP_SUMMARY"].read_text("utf-8"))
        self.variables |= pairs(files["GITHUB_ENV"].read_text("utf-8"))
        added = files["GITHUB_PATH"].read_text("utf-8").split()
        self.variables["PATH"] = os.pathsep.join([*reversed(added), self.variables["PATH"]])
        return pairs(files["GITHUB_OUTPUT"].read_text("utf-8"))


def _plain(given: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()}


def commands(text: str) -> list[Command]:
    """Return the commands in a step's output; between stop-commands and its token there are none."""
    found: list[Command] = []
    token = None
    for line in re.split(r"\r\n|\r|\n", text):
        if token is not None:
            token = None if line.strip() == f"::{token}::" else token
            continue
        command = _command(line)
        if command is not None and command.name == "stop-commands":
            token = command.message
        elif command is not None:
            found.append(command)
    return found


def _command(line: str) -> Command | None:
    """Return the command in a line, if it is one, in the form of today or that of the runner's ancestors."""
    if "##[" in line:
        return Command("legacy", line)
    found = COMMAND.fullmatch(line)
    if found is None:
        return None
    words = [word.partition("=") for word in (found["properties"] or "").split(",")]
    properties = {key.strip(): _unescaped(value) for key, _, value in words if value}
    return Command(found["name"], _unescaped(found["message"]), properties)


def _unescaped(text: str) -> str:
    return re.sub("|".join(UNESCAPED), lambda found: UNESCAPED[found[0]], text)


def pairs(text: str) -> dict[str, str]:
    """Return the values in a file that a step wrote: NAME=VALUE, or NAME<<DELIMITER with lines up to the delimiter."""
    found = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        heredoc, arrow, delimiter = line.partition("<<")
        if arrow and (not equals or len(heredoc) < len(name)):
            body = []
            for inner in lines:
                if inner == delimiter:
                    break
                body.append(inner)
            else:
                raise ValueError(f"no line {delimiter!r} after {line!r}")
            found[heredoc] = "\n".join(body)
        elif equals:
            found[name] = value
        else:
            raise ValueError(f"neither NAME=VALUE nor NAME<<DELIMITER: {line!r}")
    return found
