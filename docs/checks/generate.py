"""Write the pages of all checks beside this script, and their index: python docs/checks/generate.py."""

from __future__ import annotations

from pathlib import Path

from grader.checks import checks
from grader.rules.reference import documentation

FOLDER = Path(__file__).parent
INDEX = """\
# The checks

A rule of a rules file names one check or more; `s5-grade explain CHECK` shows these pages. A check is about what a
model computes, not about names: only what the prediction depends on counts. Each page is the docstring of the check's
module, and its examples are its tests.

| check | passes when |
|---|---|
"""


def pages() -> dict[str, str]:
    """Return every page by the name of its file."""
    found = {f"{check.id}.md": documentation(check) for check in checks().values()}
    rows = (f"| [{check.id}]({check.id}.md) | {check.summary} |\n" for check in checks().values())
    return {"README.md": INDEX + "".join(sorted(rows)), **found}


def main() -> None:
    for path in FOLDER.glob("*.md"):
        path.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
