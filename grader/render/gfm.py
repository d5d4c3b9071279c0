"""GitHub's Markdown: text of a submission as text, never as markup.

Source: the GitHub Flavored Markdown Spec (backslash escapes 2.4, tables 4.10, extended autolinks 6.9).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from grader.render.escape import shortened, uncommanded, visible

CELL_CAP = 300  # code points of a table's cell

_MARKUP = re.compile(r"([\\`*_\[\]<>#|~&])")
_BACKTICKS = re.compile(r"`+")
# What GitHub makes of text after the Markdown, which no backslash stops: links, mentions, formulas.
_LATER = (
    (re.compile(r":(?=//)"), r"\\:"),
    (re.compile(r"(?i)(?<=www)\."), r"\\."),
    (re.compile("@"), "@&#8203;"),
    (re.compile(r"\$"), "<span>$</span>"),
)


def inline(text: str) -> str:
    """Return text for a line of prose; the caller's own words stand before it."""
    shown = _MARKUP.sub(r"\\\1", visible(text))
    for pattern, replacement in _LATER:
        shown = pattern.sub(replacement, shown)
    return shown


def cell(text: str) -> str:
    """Return text for a cell of a table, cut where it is long."""
    return inline(shortened(text, CELL_CAP))


def table(names: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a table of finished cells; the columns `right` are aligned to the right."""
    columns = set(right)
    rule = ["--:" if number in columns else "---" for number in range(len(names))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rule, *rows))


def fence(text: str, language: str = "text") -> str:
    """Return text as a block of code, in fences that are longer than any run of backticks in it."""
    shown = "\n".join(uncommanded(visible(line)) for line in text.strip("\n").split("\n"))
    ticks = "`" * max(3, 1 + max(map(len, _BACKTICKS.findall(shown)), default=0))
    return f"{ticks}{language}\n{shown}\n{ticks}"


def details(summary: str, *blocks: str) -> str:
    """Return blocks that are shown on demand; the summary is the caller's own words."""
    return "\n\n".join([f"<details><summary>{summary}</summary>", *blocks, "</details>"])


def joined(blocks: Iterable[str], limit: int) -> str:
    """Return whole blocks as one page of at most `limit` bytes; what is left out is counted."""
    kept, size, left = [], 0, 0
    note = "{} sections are left out here: together they are larger than GitHub shows. The report as JSON has them."
    room = limit - len(note) - 16
    for block in blocks:
        length = len(block.encode()) + 2
        if size + length <= room:
            kept.append(block)
            size += length
        else:
            left += 1
    return "\n\n".join([*kept, *([note.format(left)] if left else [])]) + "\n"
