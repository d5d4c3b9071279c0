"""The documentation pages of checks, and the table of all of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from grader.checks import Check
from grader.render import Options
from grader.render.excerpt import wrapped
from grader.render.prose import PROSE, to_text
from grader.rules.reference import documentation


def page(check: Check, options: Options) -> str:
    """Return a check's page under its id: typeset where colours may be used, else as it is written."""
    text = documentation(check)
    if not options.colour:
        return text
    from rich.markdown import Markdown

    buffer = io.StringIO()
    console = Console(
        file=buffer,
        width=min(options.width, PROSE),
        force_terminal=True,
        color_system="standard",
        no_color=False,
        legacy_windows=False,
        _environ={},
    )
    console.print(Markdown(text, code_theme="ansi_dark", hyperlinks=False))
    return buffer.getvalue()


def table(checks: Iterable[Check], options: Options) -> str:
    """Return the id and the summary of each check."""
    return to_text(iter(_rows(sorted(checks, key=lambda check: check.id), options.width)), options)


def _rows(checks: Sequence[Check], width: int) -> list[Text]:
    column = max(len(check.id) for check in checks) + 2
    rows = []
    for check in checks:
        lead = check.id
        for line in wrapped(check.summary, max(20, min(width, PROSE) - column)):
            rows.append(Text.assemble((f"{lead:<{column}}", "bold"), line))
            lead = ""
    return rows
