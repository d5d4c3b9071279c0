"""The forms of a report: pure functions from a Report to text, one module each, imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # the command line reads the table below, and starts without what a report needs
    from grader.report import Report

# The forms that people ask for by name, and their modules: a new form is a module and a row.
FORMATS = {
    "terminal": "terminal",
    "text": "terminal",
    "concise": "concise",
    "json": "document",
    "html": "html",
    "markdown": "markdown",
    "sarif": "sarif",
    "junit": "junit",
    "github": "github",
    "gradescope": "gradescope",
    "prairielearn": "prairielearn",
    "classroom50": "classroom50",
    "classroom": "classroom",
}
OTHERS = {"layers": "layers"}  # forms that have a command of their own


@dataclass(frozen=True, slots=True)
class Options:
    """What a form may depend on beside the report: the width in columns, and whether colours may be used.

    `stamp` is what is known of the submission but not of its model, such as whose it is; see `classroom50.py`.
    """

    width: int = 100
    colour: bool = False
    stamp: Mapping[str, str] = field(default_factory=dict)


def render(report: Report, form: str, options: Options) -> str:
    """Return a report in one of the forms, ending in a line break unless it is empty."""
    module = importlib.import_module(f"{__name__}.{FORMATS.get(form) or OTHERS[form]}")
    return cast(str, module.render(report, options))
