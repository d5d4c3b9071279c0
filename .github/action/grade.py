"""Grades a submission once for each seed, for the action: writes the outputs of its step, and says what it did.

Of several runs the worst counts, so that 'pass' means 'with every seed' and nobody gains by asking for more of them.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORST_FIRST = ("fail", "error", "pass")
SEED_LIMIT = 2**31
SWITCH = ("true", "false")
CHOICES = {"train": SWITCH, "summary": SWITCH, "annotations": SWITCH, "fail-on": ("fail", "error", "never")}


class Mistake(Exception):
    """The workflow asks for what can't be done; says which input, and what is expected."""


@dataclass(frozen=True, slots=True)
class Task:
    """What to grade, and how: the inputs of the action, as s5-grade takes them."""

    grader: str
    folder: str
    path: str
    options: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """The report that one seed led to, and the file that it is in."""

    seed: int
    file: Path
    report: dict[str, Any]

    @property
    def badness(self) -> tuple[int, float]:
        """Sorts the worst run first."""
        return WORST_FIRST.index(self.report["verdict"]), self.report["score"]


def task_of(environment: Mapping[str, str]) -> Task:
    """Return what the inputs of the action ask for; raise Mistake where they make no sense."""
    for name, expected in CHOICES.items():
        value = environment[f"S5_{name.upper().replace('-', '_')}"]
        # The expressions that read the switches ignore case; the script that reads fail-on does not.
        if (value.lower() if expected is SWITCH else value) not in expected:
            raise Mistake(f"{name}: expected one of {', '.join(expected)}, not {value!r}")
    workspace = environment["GITHUB_WORKSPACE"]
    folder = os.path.join(workspace, environment["S5_FOLDER"])  # noqa: PTH118 - as given
    if not os.path.isdir(folder):  # noqa: PTH112
        raise Mistake(f"working-directory: there is no folder {environment['S5_FOLDER']!r}; was anything checked out?")
    options = ["--sandbox", "strict", "--timeout", environment["S5_TIMEOUT"]]
    if environment["S5_RULES"]:
        rules = os.path.join(workspace, environment["S5_RULES"])  # noqa: PTH118
        options += ["--rules", os.path.relpath(rules, folder)]
    if environment["S5_TRAIN"].lower() == "true":
        options.append("--train")
    return Task(
        environment["S5_GRADE"], folder, environment["S5_PATH"], tuple(options), _seeds(environment["S5_SEEDS"])
    )


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list, each once."""
    words = re.split(r"[\s,]+", text.strip(" \t\r\n,"))
    if not all(re.fullmatch(r"[0-9]{1,10}", word) and int(word) < SEED_LIMIT for word in words):
        raise Mistake(f"seeds: expected numbers from 0 to {SEED_LIMIT - 1}, such as '1 2 3', not {text!r}")
    return tuple(dict.fromkeys(map(int, words)))


def graded(task: Task, seed: int, file: Path) -> Run:
    """Grade with one seed; raise Mistake where that left no report."""
    file.parent.mkdir()
    # Options come first: a file may be called like a command of s5-grade, or begin with a hyphen.
    command = [task.grader, "--format", "json", "--output", str(file), "--seed", str(seed), *task.options]
    done = subprocess.run([*command, "--", task.path], cwd=task.folder, stdin=subprocess.DEVNULL, check=False)
    if not file.exists():
        raise Mistake(f"s5-grade made no report (exit code {done.returncode}); the lines above say why")
    return Run(seed, file, json.loads(file.read_bytes()))


def table(runs: list[Run], counts: Run) -> str:
    """Return the runs as a table in Markdown; nothing where there is only one."""
    if len(runs) == 1:
        return ""
    rows = [f"| {run.seed} | {run.report['verdict']} | {_points(run)} |" for run in runs]
    head = f"Graded with {len(runs)} seeds. The worst run counts: that with seed {counts.seed}, below."
    return "\n".join([head, "", "| seed | verdict | points |", "|---|---|---|", *rows, ""])


def _points(run: Run) -> str:
    return f"{run.report['score']} of {run.report['max_score']}"


def rendered(task: Task, run: Run, form: str) -> str:
    """Return the report of a run in another form."""
    command = [task.grader, "render", str(run.file), "--format", form]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Mistake(f"this release of s5-grade does not know the form {form!r}; leave the input 'version' out")
    return done.stdout.decode()


def outputs(task: Task, runs: list[Run]) -> dict[str, str]:
    """Return the outputs of the step."""
    counts = min(runs, key=lambda run: run.badness)
    return {
        "score": str(counts.report["score"]),
        "max-score": str(counts.report["max_score"]),
        "verdict": counts.report["verdict"],
        "result": rendered(task, counts, "classroom").strip(),
        "report": str(counts.file),
        "runs": table(runs, counts),
    }


def as_file_command(values: Mapping[str, str]) -> str:
    """Return values as `GITHUB_OUTPUT` takes them; a delimiter that nobody can foresee ends each."""
    delimiter = secrets.token_hex(16)
    return "".join(f"{name}<<{delimiter}\n{value}\n{delimiter}\n" for name, value in values.items())


@contextmanager
def no_commands() -> Iterator[None]:
    """Have the runner take lines for text, whatever stands in them: a path may look like a command."""
    token = secrets.token_hex(16)
    print(f"::stop-commands::{token}", flush=True)
    try:
        yield
    finally:
        print(f"::{token}::", flush=True)


def escaped(message: str) -> str:
    """Return a message as a workflow command carries it."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def main() -> int:
    try:
        task = task_of(os.environ)
        reports = Path(tempfile.mkdtemp(prefix="s5-grade-", dir=os.environ["RUNNER_TEMP"]))
        with no_commands():
            runs = [graded(task, seed, reports / str(seed) / "report.json") for seed in task.seeds]
            values = outputs(task, runs)
    except Mistake as mistake:
        print(f"::error title=s5-grade::{escaped(str(mistake))}")
        return 2
    for run in runs:
        print(f"seed {run.seed}: {run.report['verdict']}, {_points(run)} points")
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:  # noqa: PTH123
        file.write(as_file_command(values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
