"""What a check's options are, in words: for its documentation page and for rules files to begin with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import msgspec.inspect as mi

from grader.checks import Check
from grader.rules.typed import describe


@dataclass(frozen=True, slots=True)
class OptionRow:
    """One option: its name, dotted where it stands inside another, what it may be, its default ('' if none)."""

    name: str
    type: str
    default: str


def option_rows(check: Check) -> tuple[OptionRow, ...]:
    """Return the options of a check, those inside others after them."""
    return tuple(_rows(mi.type_info(check.options), ""))


def _rows(struct: Any, prefix: str) -> Iterator[OptionRow]:
    for field in struct.fields:
        name = prefix + field.encode_name
        choices = field.type.types if isinstance(field.type, mi.UnionType) else (field.type,)
        inner = next((choice for choice in choices if isinstance(choice, mi.StructType)), None)
        words = " or ".join(_words(choice) for choice in choices if not isinstance(choice, mi.NoneType))
        yield OptionRow(name, words, _default(field, inner is not None))
        if inner is not None:
            yield from _rows(inner, f"{name}.")


def _words(expected: mi.Type) -> str:
    if isinstance(expected, mi.StructType):
        return "a mapping"
    if isinstance(expected, (mi.VarTupleType, mi.ListType)):
        return f"a list, each {describe(expected.item_type)}"
    return describe(expected)


def _default(field: Any, is_mapping: bool) -> str:
    """Return a default as a rules file would have it."""
    if field.required:
        return ""
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if default is None:
        return "none"
    if is_mapping:
        return "as below"
    return default if isinstance(default, str) else json.dumps(msgspec.to_builtins(default))


def documentation(check: Check) -> str:
    """Return a check's page in Markdown: its id, its own page, and its options with what they may be."""
    rows = option_rows(check)
    if not rows:
        return f"# {check.id}\n\n{check.page}\n"
    cells = [
        ("option", "may be", "default"),
        *((f"`{row.name}`", row.type, f"`{row.default}`" if _is_value(row) else row.default) for row in rows),
    ]
    return f"# {check.id}\n\n{check.page}\n\n## All options\n\n{_table(cells)}"


def _is_value(row: OptionRow) -> bool:
    return row.default not in ("", "none", "as below")


def _table(cells: list[tuple[str, str, str]]) -> str:
    """Return rows of cells as a Markdown table whose columns are aligned, the first row as its head."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines) + "\n"
