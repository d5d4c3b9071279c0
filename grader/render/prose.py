"""Running text for a terminal: headlines, named texts, wrapped lines."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from grader.render import Options
from grader.render.escape import uncommanded, visible
from grader.render.excerpt import wrapped

PROSE = 100  # columns of running text, however wide the terminal
NARROW = 20


def to_text(lines: Iterator[Text], options: Options) -> str:
    """Return styled lines as text, with terminal codes only where colours may be used."""
    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=options.width,
        force_terminal=options.colour,
        color_system="standard" if options.colour else None,
        no_color=not options.colour,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    for line in lines:
        line.rstrip()
        console.print(line, soft_wrap=True)
    return uncommanded(buffer.getvalue())


def headline(word: str, code: str, message: str, style: str, options: Options) -> Iterator[Text]:
    head = f"{word}[{code}]"
    for number, line in enumerate(wrapped(f"{head}: {visible(message)}", prose_width(options) - 2)):
        if number == 0 and line.startswith(head):
            yield Text.assemble((head, style), (line[len(head) :], "bold"))
        else:
            yield Text(f"  {line}" if number else line, style="bold")


def field(name: str, text: str, options: Options) -> Iterator[Text]:
    """Show a named text: `  why: …`, its further lines indented below the first."""
    lead = f"  {name}: " if name else "       "
    for line in wrapped(visible(text), prose_width(options) - len(lead)):
        yield Text.assemble((lead, "bold" if lead.strip() else ""), line)
        lead = " " * len(lead)


def prose(text: Text, options: Options) -> Iterator[Text]:
    """Show running text, wrapped; only the first line keeps the styles of its parts."""
    for number, line in enumerate(wrapped(text.plain, prose_width(options))):
        yield text[: len(line)] if number == 0 and text.plain.startswith(line) else Text(line, style=text.style)


def prose_width(options: Options) -> int:
    return max(NARROW, min(options.width, PROSE))


def cut(text: str, width: int) -> str:
    shown = Text(text)
    shown.truncate(max(1, width), overflow="ellipsis")
    return shown.plain
