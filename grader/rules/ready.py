"""The rules files that come with the package, by name: `default`, and those of the folder `rules`."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from grader.rules.typed import suggestion

DEFAULT = "default"
SUFFIXES = (".yaml", ".yml")

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def _home() -> Path:
    """Return the folder of the ready rules: installed, they lie beside the package's data, else at the tree's root."""
    data = _PACKAGE / "data"
    return data if (data / "rules.yaml").is_file() else _PACKAGE.parent


@cache
def ready_files() -> dict[str, str]:
    """Return the names of all ready rules, `default` first, with their files as messages name them."""
    further = sorted((_home() / "rules").glob("*.yaml"))
    return {DEFAULT: "rules.yaml", **{path.stem: f"rules/{path.name}" for path in further}}


def ready_path(name: str) -> Path:
    """Return the file of ready rules by their name. Raises KeyError for a name that none have."""
    return _home() / ready_files()[name]


def could_be_ready(name: str) -> bool:
    """Tell whether a word may be meant as a name of ready rules, and not as a path."""
    return "/" not in name and os.sep not in name and not name.endswith(SUFFIXES)


def no_such_file(name: str) -> str:
    """Return what to say of a file that is not there: a name may be a slip of one of ours."""
    return f"there is no such file, and {no_such_rules(name)}" if could_be_ready(name) else "there is no such file"


def no_such_rules(name: str) -> str:
    """Return what to say of a name that no ready rules have."""
    return f"no ready rules of that name: {suggestion(name, ready_files())}"
