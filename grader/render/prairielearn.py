"""The file that PrairieLearn reads: /grade/results/results.json.

Source: PrairieLearn's documentation, 'External grading', and its element `pl-external-grader-results`, which shows the
tests and takes terminal codes in their texts for colours. A submission that could not be graded is `gradable: false`:
that costs the student no attempt.
"""

from __future__ import annotations

from typing import Any

from grader.render import Options
from grader.render.escape import json_text, uncommanded, visible
from grader.render.marks import OUTCOMES, earned, possible
from grader.render.plain import TEXT_CAP, about_error, about_rule, about_run
from grader.report import Report, RuleReport

SIZE_CAP = 1_000_000  # bytes of the whole file
UTF8 = 4  # bytes that a code point may take


def render(report: Report, options: Options) -> str:
    """Return the results as JSON of less than 1 MB."""
    return json_text(results(report)) + "\n"


def results(report: Report) -> dict[str, Any]:
    """Return the results as plain data; points stand on all tests, or, where the rules give none, on none."""
    if report.error is not None:
        return {"gradable": False, "format_errors": [about_error(report)]}
    limit = min(TEXT_CAP, SIZE_CAP // (2 * UTF8) // max(1, len(report.rules)))
    return {
        "gradable": True,
        "score": _score(report),
        "message": about_run(report),
        "tests": [_test(report, rule, limit) for rule in report.rules],
    }


def _score(report: Report) -> float:
    """Return the score from 0 to 1; without points in the rules the verdict alone decides."""
    total = possible(report)
    return earned(report) / total if total else float(report.verdict == "pass")


def _test(report: Report, rule: RuleReport, limit: int) -> dict[str, Any]:
    skipped = rule.status == "skipped"
    test = {
        "name": f"{visible(rule.id)}: {OUTCOMES[rule.status]}",
        "description": uncommanded(visible(rule.message)),
        "output": about_rule(report, rule, limit),
    }
    if not possible(report):
        return test
    return {**test, "points": rule.points, "max_points": 0 if skipped else rule.max_points}
