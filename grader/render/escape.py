"""Text of a submission made harmless for its reader: what cannot be seen is spelled out, what commands is broken."""

from __future__ import annotations

import json
import re
from typing import Any

from rich.cells import cell_len

TAB = 4  # columns

# What GitHub's runner takes for a command in whatever a step prints: `::` first in a line, `##[` anywhere
# (actions/runner, src/Runner.Common/ActionCommand.cs).
_COMMAND = re.compile(r"^(\s*)(?=::)", re.MULTILINE)
OLD_COMMAND = "##["


def visible(text: str) -> str:
    """Return text with every character that does not print (control codes, bidirectional marks, NBSP) as an escape."""
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def expanded(line: str) -> list[str]:
    """Return what is shown for each code point of a source line; a tab reaches to the next multiple of four columns."""
    found = []
    column = 0
    for character in line:
        shown = " " * (TAB - column % TAB) if character == "\t" else _visible(character)
        column += cell_len(shown)
        found.append(shown)
    return found


def uncommanded(text: str) -> str:
    """Return lines of text of which none is a workflow command where a step prints them: `\\::error`, `#\\#[error]`."""
    return _COMMAND.sub(r"\1\\", text).replace(OLD_COMMAND, "#\\#[")


def shortened(text: str, length: int) -> str:
    """Return text of at most `length` code points, with an ellipsis where it was cut."""
    return text if len(text) <= length else text[: length - 1] + "…"


def json_text(value: Any, indent: int | None = 2) -> str:
    """Return plain data as JSON that is inert where it is printed."""
    return inert_json(json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False))


def inert_json(text: str) -> str:
    """Return JSON with what it may hold as it is, but a terminal or a workflow's log would act on, as escapes."""
    return "\n".join(map(_json_line, text.split("\n"))).replace(OLD_COMMAND, "##\\u005b")


def _json_line(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)
