"""The report as JSON, the form for programs; its schema is published."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from grader.render import Options
from grader.report import Report


def render(report: Report, options: Options) -> str:
    """Return the report as indented JSON; characters that do not print are escaped."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    return "\n".join(map(_printable, text.split("\n"))) + "\n"


def _printable(line: str) -> str:
    """Return a line of JSON with what JSON may hold as it is, but a terminal would act on, as escapes."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def schema() -> dict[str, Any]:
    """Return the JSON schema of a report."""
    found = msgspec.json.schema(Report)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Report of s5-grade", **found}
