"""The edits of a fix, carried out on the lines that a report shows."""

from __future__ import annotations

from grader.report import Edit


def edited(edit: Edit) -> tuple[str, str]:
    """Return the line that an edit is about, before and after it; what is edited lies within one line."""
    (line,) = edit.span.source
    return line, line[: edit.span.column - 1] + edit.text + line[edit.span.end_column - 1 :]
