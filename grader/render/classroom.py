"""The payload of GitHub Classroom's autograding: what its reporter reads from `<STEP ID IN CAPITALS>_RESULTS`.

Source: github-education-resources/autograding-grading-reporter, src/main.js and src/console-results.js. The reporter
prints the messages, so that a line of one that looked like a workflow command would be carried out.
"""

from __future__ import annotations

import base64
from typing import Any

from grader.finding import Status
from grader.render import Options
from grader.render.escape import json_text, uncommanded, visible
from grader.render.marks import counted, possible, seconds
from grader.render.paths import path_of
from grader.render.plain import about_rule
from grader.report import Report, RuleReport

STATUS: dict[Status, str] = {"pass": "pass", "fail": "fail", "error": "error"}
OUTPUT_CAP = 1_000_000 // 8  # code points: a step's output may have 1 MB, and base64 makes four bytes of three


def render(report: Report, options: Options) -> str:
    """Return the payload as one line of base64."""
    return base64.b64encode(json_text(payload(report), indent=None).encode()).decode() + "\n"


def payload(report: Report) -> dict[str, Any]:
    """Return the payload as plain data; the reporter shows a test that did not pass as failed, so none is skipped."""
    rules = counted(report)
    limit = OUTPUT_CAP // max(1, len(rules))
    return {
        "version": 1,
        "status": report.verdict,
        "max_score": possible(report),
        "tests": [_test(report, rule, limit) for rule in rules],
    }


def _test(report: Report, rule: RuleReport, limit: int) -> dict[str, Any]:
    place = report.error.span if report.error is not None else rule.span
    return {
        "name": visible(rule.id),
        "status": STATUS[rule.status],
        "score": rule.points,
        "message": "" if rule.status == "pass" else about_rule(report, rule, limit),
        "test_code": f"s5-grade: {', '.join(map(visible, rule.checks))}",
        "filename": "" if place is None else uncommanded(visible(path_of(report, place))),
        "line_no": 0 if place is None else place.line,
        "duration": seconds(report, rule),
    }
