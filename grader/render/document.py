"""The report as JSON, the form for programs; its schema is published."""

from __future__ import annotations

from typing import Any

import msgspec

from grader.render import Options
from grader.render.escape import inert_json
from grader.report import Report


def render(report: Report, options: Options) -> str:
    """Return the report as indented JSON; characters that do not print are escaped."""
    text = msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
    return inert_json(text) + "\n"


def schema() -> dict[str, Any]:
    """Return the JSON schema of a report."""
    found = msgspec.json.schema(Report)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Report of s5-grade", **found}
