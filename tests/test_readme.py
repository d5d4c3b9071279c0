"""What the README and the tutorial show is what the program prints."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
OUTPUTS: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "outputs.py"))


@pytest.mark.parametrize("path", OUTPUTS["PAGES"], ids=lambda path: path.name)
def test_output_is_real(path: Path) -> None:
    text = path.read_text("utf-8")
    assert OUTPUTS["fresh"](text) == text


def test_what_is_run_again() -> None:
    """A comment that is not recognised would leave its block unchecked."""
    found = {
        path.name: [block[:2] for block in OUTPUTS["BLOCK"].findall(path.read_text("utf-8"))]
        for path in OUTPUTS["PAGES"]
    }
    assert found == {
        "README.md": [
            ("output of", "s5-grade examples/first_try.py"),
            ("output of", "s5-grade layers reference_model/model.py"),
        ],
        "tutorial.md": [
            ("file", "model.py"),
            ("output of", "s5-grade model.py"),
            *[("edit", "model.py")] * 3,
            ("output of", "s5-grade model.py"),
            *[("edit", "model.py")] * 2,
            ("output of", "s5-grade model.py --format concise"),
        ],
    }


def test_an_edit_is_of_lines_that_stand_there_once() -> None:
    edited = OUTPUTS["edited"]
    assert edited("a\nb\nc\n", " a\n-b\n+d\n+e\n") == "a\nd\ne\nc\n"
    for text in ("a\n", "b\nb\n"):
        with pytest.raises(ValueError, match=r"these lines stand \d times in the text:\nb\n"):
            edited(text, "-b\n+c\n")


def test_readme_names_every_option() -> None:
    done = subprocess.run([sys.executable, "-m", "grader.cli", "--help"], capture_output=True, text=True, check=True)
    options = set(re.findall(r"^\s+(--[a-z-]+)", done.stdout, re.MULTILINE)) - {"--help", "--version"}
    named = set(re.findall(r"`(--[a-z-]+)", (ROOT / "README.md").read_text("utf-8")))
    assert options - named == set()
