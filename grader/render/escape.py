"""Text of a submission made harmless for a terminal: what cannot be seen is spelled out."""

from __future__ import annotations

from rich.cells import cell_len

TAB = 4  # columns


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
