"""The JSON schema of a rules file, for editors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from grader.checks import Check
from grader.rules.form import CheckForm, RulesForm

_PLACE = "#/$defs/{name}"


def rules_schema(table: Iterable[Check]) -> dict[str, Any]:
    """Return the schema of a rules file that may use these checks."""
    (form,), parts = msgspec.json.schema_components([RulesForm], schema_hook=_hook, ref_template=_PLACE)
    for name in ("RulesForm", "RuleForm", "InputForm", "TorchvisionForm", "Normalise"):
        parts[name]["additionalProperties"] = False
    parts["RuleForm"]["oneOf"] = [{"required": ["checks"]}, {"required": ["any"]}]
    choices = []
    for check in sorted(table, key=lambda check: check.id):
        # Each check's options become one part by the check's id: their classes are all called the same.
        name = f"{check.id}-options"
        (_,), own = msgspec.json.schema_components([check.options], ref_template=f"#/$defs/{check.id}-{{name}}")
        options = own.pop(check.options.__name__)
        parts |= {f"{check.id}-{part}": schema for part, schema in own.items()}
        parts[name] = options
        reference = _with(check.summary, {"$ref": _PLACE.format(name=name)})
        fields = {"properties": {check.id: reference}, "required": [check.id], "additionalProperties": False}
        choices.append({"type": "object", **fields})
        if _needs_nothing(check):
            choices.append(_with(check.summary, {"const": check.id}))
        elif not options.get("required"):
            options["minProperties"] = 1  # any one of them will do
    parts["CheckForm"] = {"anyOf": choices}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rules of s5-grade",
        **form,
        "$defs": parts,
    }


def _needs_nothing(check: Check) -> bool:
    """Tell whether a check can be named alone, without options."""
    try:
        check.options()
    except (TypeError, ValueError):
        return False
    return True


def _hook(cls: type) -> dict[str, Any]:
    if cls is CheckForm:
        return {"$ref": _PLACE.format(name="CheckForm")}
    raise NotImplementedError(cls)


def _with(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, **schema}
