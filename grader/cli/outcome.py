"""What a command ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.report import Report

PASSED, FAILED, USAGE, UNGRADED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 130
CODES = {"pass": PASSED, "fail": FAILED, "error": UNGRADED}


def code_of(report: Report) -> int:
    """Return the exit code of a report."""
    if report.error is not None and report.error.code == "internal":
        return INTERNAL
    return CODES[report.verdict]
