"""Golden files: what each form makes of each hand-made report. `python tests/golden.py` writes them anew."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from reports import REPORTS

from grader.render import Options, render

FOLDER = Path(__file__).parent / "golden"
STAMP = {
    "classroom": "cs-principles",
    "assignment": "session-5",
    "assignment_type": "individual",
    "owner": "alice",
    "submission": "submit/2026-06-01T14-32-05Z-a1b2c3d",
    "commit": "https://example.org/commit/a1b2c3d",
    "release": "https://example.org/release/a1b2c3d",
    "review": "https://example.org/compare/a1b2c3d",
    "datetime": "2026-06-01T14:32:01Z",
}


def _without_pages(text: str) -> str:
    """Leave out the texts of rules: they are the checks' pages, which have tests of their own."""
    log = json.loads(text)
    for rule in log["runs"][0]["tool"]["driver"]["rules"]:
        for key in ("shortDescription", "fullDescription", "help"):
            rule[key] = sorted(rule[key])
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _decoded(text: str) -> str:
    return json.dumps(json.loads(base64.b64decode(text)), indent=2, ensure_ascii=False) + "\n"


def _itself(text: str) -> str:
    return text


# Each form, how its golden files end, and what of its text they hold.
FORMS: dict[str, tuple[str, Callable[[str], str]]] = {
    "markdown": ("md", _itself),
    "sarif": ("sarif", _without_pages),
    "junit": ("xml", _itself),
    "github": ("txt", _itself),
    "gradescope": ("json", _itself),
    "prairielearn": ("json", _itself),
    "classroom50": ("json", _itself),
    "classroom": ("json", _decoded),
}


def path_of(form: str, name: str) -> Path:
    return FOLDER / form / f"{name}.{FORMS[form][0]}"


def text_of(form: str, name: str) -> str:
    return FORMS[form][1](render(REPORTS[name], form, Options(stamp=STAMP)))


def main() -> None:
    for form in FORMS:
        for name in REPORTS:
            path = path_of(form, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(form, name), encoding="utf-8")


if __name__ == "__main__":
    main()
