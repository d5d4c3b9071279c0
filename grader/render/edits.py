"""The edits of a fix, carried out on the lines that a report shows."""

from __future__ import annotations

from collections.abc import Iterator

from grader.report import Edit, FindingReport


def edited(finding: FindingReport) -> Iterator[tuple[Edit, str, str]]:
    """Yield the edits of a finding, each with its line before and after; those without their one line are left out."""
    for edit in finding.edits:
        if len(edit.span.source) == 1 and edit.span.column >= 1:
            line = edit.span.source[0]
            yield edit, line, line[: edit.span.column - 1] + edit.text + line[edit.span.end_column - 1 :]
