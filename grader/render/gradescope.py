"""The file that Gradescope reads: /autograder/results/results.json.

Source: Gradescope's documentation of autograders, 'Output format'. Its texts are shown as they are (format `text`), and
cut after 100,000 characters. The score at the top counts, whatever the tests add up to.
"""

from __future__ import annotations

from typing import Any

from grader.render import Options
from grader.render.escape import json_text, visible
from grader.render.marks import OUTCOMES
from grader.render.plain import about_error, about_rule, about_run
from grader.report import Report, RuleReport

OUTPUT_CAP = 90_000  # code points of one output; what is escaped grows a little


def render(report: Report, options: Options) -> str:
    """Return the results as JSON; a submission that was not graded has the score 0 and the reason as its output."""
    return json_text(results(report)) + "\n"


def results(report: Report) -> dict[str, Any]:
    """Return the results as plain data."""
    return {
        "score": report.score,
        "output": about_error(report, OUTPUT_CAP) or about_run(report, OUTPUT_CAP),
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "tests": [_test(report, rule, number) for number, rule in enumerate(report.rules, 1)],
    }


def _test(report: Report, rule: RuleReport, number: int) -> dict[str, Any]:
    name = visible(rule.id)
    test = {
        "name": name if rule.status in ("pass", "fail") else f"{name} ({_word(report, rule)})",
        "name_format": "text",
        "number": str(number),
        "output": "" if report.error is not None else about_rule(report, rule, OUTPUT_CAP),
        "output_format": "text",
        "visibility": "visible",
    }
    if rule.status == "skipped":
        return test  # with a score it would count
    status = "passed" if rule.status == "pass" else "failed"
    return {"score": rule.points, "max_score": rule.max_points, "status": status, **test}


def _word(report: Report, rule: RuleReport) -> str:
    return OUTCOMES[rule.status] if report.error is None else "not graded"
