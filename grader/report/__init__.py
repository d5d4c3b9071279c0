"""The report on one submission: frozen plain data, which is the JSON that s5-grade publishes.

A rule is `fail` when a check says so, `error` when a check could not be made, `skipped` when one was not asked for. A
rule that needs all of its checks takes the worst of their outcomes, one that needs any of them the best. A failed rule
of level error makes the verdict `fail`, whatever else could not be found out: no later finding would change it. Without
one, a rule that could not be decided makes it `error`.

For `score` and `max_score` a skipped rule counts for nothing. One that could not be decided counts for none of its
points, not out of the total: a submission never gets full marks because something ended before it was looked at.
"""

from __future__ import annotations

from grader.report.build import ACCURACY, OUTPUT, Obstacle, asked, error_report, graded_report
from grader.report.saved import ReportError, read_report
from grader.report.types import (
    UNUSED,
    Edit,
    ErrorReport,
    FindingReport,
    GapReport,
    ModelReport,
    Place,
    Related,
    Report,
    Reproduction,
    RuleReport,
    SandboxReport,
    SubmissionReport,
    TraceFrame,
    Verdict,
)

__all__ = [
    "ACCURACY",
    "OUTPUT",
    "UNUSED",
    "Edit",
    "ErrorReport",
    "FindingReport",
    "GapReport",
    "ModelReport",
    "Obstacle",
    "Place",
    "Related",
    "Report",
    "ReportError",
    "Reproduction",
    "RuleReport",
    "SandboxReport",
    "SubmissionReport",
    "TraceFrame",
    "Verdict",
    "asked",
    "error_report",
    "graded_report",
    "read_report",
]
