"""What a report says as plain text, for readers that show text and nothing else; no line of it is a command."""

from __future__ import annotations

from collections.abc import Iterator

from grader.render import Options, terminal
from grader.render.escape import uncommanded, visible
from grader.render.words import closing, notes
from grader.report import Report, RuleReport

WIDTH = 100  # columns
TEXT_CAP = 20_000  # code points of one text, where its reader has no tighter limit


def about_rule(report: Report, rule: RuleReport, limit: int = TEXT_CAP) -> str:
    """Return all that there is to say about a rule, in at most `limit` code points; why, where nothing was graded."""
    if report.error is not None:
        return about_error(report, limit)
    return fitted(terminal.render_rule(report, rule, Options(WIDTH)), limit)


def about_error(report: Report, limit: int = TEXT_CAP) -> str:
    """Return why a submission could not be graded, in at most `limit` code points; empty where it could."""
    return "" if report.error is None else fitted(terminal.render(report, Options(WIDTH)), limit)


def about_run(report: Report, limit: int = TEXT_CAP) -> str:
    """Return the outcome, the notes, the sandbox and how to grade the same again, in at most `limit` code points."""
    return fitted(uncommanded("\n".join(map(visible, _run(report)))), limit)


def _run(report: Report) -> Iterator[str]:
    yield closing(report)
    yield from (f"note: {note}" for note in notes(report))
    if report.sandbox.level is not None:
        yield f"sandbox: {report.sandbox.level}"
    if report.reproduce.command:
        yield f"to grade it again: {report.reproduce.command}"


def fitted(text: str, limit: int) -> str:
    """Return text without blank ends in at most `limit` code points; lines that do not fit are counted."""
    lines = text.strip("\n").rstrip().split("\n")
    if sum(len(line) + 1 for line in lines) <= limit + 1:
        return "\n".join(lines)
    kept, length = 0, len(_more(len(lines)))
    while length + len(lines[kept]) + 1 <= limit:
        length += len(lines[kept]) + 1
        kept += 1
    return "\n".join([*lines[:kept], _more(len(lines) - kept)])


def _more(lines: int) -> str:
    return f"… {lines} more line{'' if lines == 1 else 's'}"
