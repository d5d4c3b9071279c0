"""The forms of a report: pure functions from a Report to text, one module each, imported when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import cast

from grader.report import Report

FORMATS = {"terminal": "terminal", "text": "terminal", "concise": "concise", "json": "document", "layers": "layers"}


@dataclass(frozen=True, slots=True)
class Options:
    """What a form may depend on beside the report: the width in columns, and whether colours may be used."""

    width: int = 100
    colour: bool = False


def render(report: Report, form: str, options: Options) -> str:
    """Return a report in one of `FORMATS`, ending in a line break unless it is empty."""
    module = importlib.import_module(f"{__name__}.{FORMATS[form]}")
    return cast(str, module.render(report, options))
