"""Run the commands whose output the README and the tutorial show, and write that output anew: python docs/outputs.py

In these files, a comment before a fenced block says what the block is:

    <!-- output of `s5-grade examples/first_try.py` -->   what the command prints, at the root of the repository
    <!-- file model.py -->                                a file: from here on commands run beside it
    <!-- edit model.py -->                                lines that go (-), come (+) and stay ( )

A block without such a comment, as one whose command takes minutes, is left as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")
BLOCK = re.compile(r"^<!-- (output of|file|edit) `?([^`\n]+?)`? -->\n\n```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SANDBOX = re.compile(r"^sandbox: .*\n(  (why|fix): .*\n( {7}.*\n)*)*", re.MULTILINE)  # what can be had here


def fresh(page: str) -> str:
    """Return the text of a page with the outputs that its commands have now."""
    with tempfile.TemporaryDirectory() as folder:
        where = [ROOT]

        def renewed(block: re.Match[str]) -> str:
            kind, name, language, old = block.groups()
            new = old
            if kind == "output of":
                new = output(name, where[0], old)
            else:
                where[0] = Path(folder)
                target = Path(folder) / name
                target.write_text(old if kind == "file" else edited(target.read_text("utf-8"), old), "utf-8")
            return block[0].replace(f"```{language}\n{old}```", f"```{language}\n{new}```")

        return BLOCK.sub(renewed, page)


def output(command: str, folder: Path, old: str) -> str:
    """Return what a command prints, with what the old output says of the sandbox."""
    program, *arguments = command.split()
    if program != "s5-grade":
        raise ValueError(f"{command}: only s5-grade is run")
    done = subprocess.run(
        [sys.executable, "-m", "grader.cli", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.stderr:
        raise ValueError(f"{command}: {done.stderr}")
    said = SANDBOX.search(old)
    return SANDBOX.sub(lambda lines: said[0] if said else lines[0], done.stdout)


def edited(text: str, change: str) -> str:
    """Return a text with a change made: each run of `-` and ` ` lines must stand in it once."""
    lines = change.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in "- ")
    new = "".join(line[1:] for line in lines if line[0] in "+ ")
    if text.count(old) != 1:
        raise ValueError(f"these lines stand {text.count(old)} times in the text:\n{old}")
    return text.replace(old, new)


def main() -> None:
    for path in PAGES:
        path.write_text(fresh(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
