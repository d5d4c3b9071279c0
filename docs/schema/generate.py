"""Write the JSON schemas of reports and of rules files beside this script: python docs/schema/generate.py."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

from grader.checks import checks
from grader.render import document
from grader.rules.schema import rules_schema


def schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by the name of its file."""
    found = {"report.schema.json": document.schema(), "rules.schema.json": rules_schema(checks().values())}
    return {name: cleaned(schema) for name, schema in found.items()}


def cleaned(part: Any) -> Any:
    """Return a schema whose descriptions lack the indentation that docstrings keep before Python 3.13."""
    if isinstance(part, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else cleaned(value)
            for key, value in part.items()
        }
    return [cleaned(item) for item in part] if isinstance(part, (list, tuple)) else part


def main() -> None:
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        Path(__file__).with_name(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
