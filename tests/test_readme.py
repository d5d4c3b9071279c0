"""What the README shows is what the program prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHOWN = re.compile(r"<!-- output of `(.*?)` -->\n\n```\n(.*?)```\n", re.DOTALL)


def shown() -> list[tuple[str, str]]:
    return SHOWN.findall((ROOT / "README.md").read_text("utf-8"))


@pytest.mark.parametrize(("command", "output"), shown(), ids=[command for command, _ in shown()])
def test_output_is_real(command: str, output: str) -> None:
    program, *arguments = command.split()
    assert program == "s5-grade"
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (without_sandbox(done.stdout), done.stderr) == (without_sandbox(output), "")


def without_sandbox(text: str) -> str:
    """What the sandbox could be made of is a matter of the machine."""
    return re.sub(r"^sandbox: .*\n(  (why|fix): .*\n( {7}.*\n)*)*", "sandbox\n", text, flags=re.MULTILINE)


def test_readme_shows_a_failing_model_and_the_layer_table() -> None:
    assert [command for command, _ in shown()] == [
        "s5-grade examples/first_try.py",
        "s5-grade layers reference_model/model.py",
    ]


def test_readme_names_every_option() -> None:
    done = subprocess.run([sys.executable, "-m", "grader.cli", "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"^\s+(--[a-z-]+)", done.stdout, re.MULTILINE)) - {"--help", "--version"}
    named = set(re.findall(r"`(--[a-z-]+)", (ROOT / "README.md").read_text("utf-8")))
    assert options - named == set()
