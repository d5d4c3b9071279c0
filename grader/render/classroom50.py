"""The file that Classroom 50 reads: ./result.json, by the schema classroom50/result/v1.

Source: foundation50/classroom50, schemas/result-v1.schema.json and the page 'Advanced Autograding' of its wiki. What is
known of the submission but not of its model comes from the environment that the runner sets (`ENVIRONMENT`); the runner
writes owner and type anew, and whoever collects the results refuses one that is not its repository's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from grader.render import Options
from grader.render.escape import json_text, visible
from grader.render.marks import counted
from grader.render.plain import about_rule
from grader.report import Report, RuleReport

SCHEMA = "classroom50/result/v1"

# Each key of the result that is not ours to know, with the variables that may hold it; the first that is set counts.
ENVIRONMENT: dict[str, tuple[str, ...]] = {
    "classroom": ("CLASSROOM",),
    "assignment": ("ASSIGNMENT",),
    "assignment_type": ("ASSIGNMENT_TYPE",),
    "owner": ("OWNER", "USERNAME"),
    "submission": ("SUBMISSION_TAG",),
    "commit": ("COMMIT_URL",),
    "release": ("RELEASE_URL",),
    "review": ("REVIEW_URL", "COMMIT_URL"),
}
CLOCK = "datetime"  # the remaining key: when this was graded, as 2026-06-01T14:32:01Z

# What stands for a key that nobody set: valid, and nobody's.
_UNKNOWN = {
    **{key: f"{names[0]} is not set" for key, names in ENVIRONMENT.items()},
    "assignment_type": "individual",
    "submission": "submit/SUBMISSION_TAG-is-not-set",
    CLOCK: "1970-01-01T00:00:00Z",
}
FINE = 100  # parts of a point, where the rules give points that are no whole numbers


def stamp(environment: Mapping[str, str], now: str) -> dict[str, str]:
    """Return what the environment of a run says of the submission, for `Options.stamp`; `now` is UTC, ending in Z."""
    found = {
        key: next((environment[name] for name in names if environment.get(name)), "")
        for key, names in ENVIRONMENT.items()
    }
    return {CLOCK: now, **{key: value for key, value in found.items() if value}}


def render(report: Report, options: Options) -> str:
    """Return the result as JSON; what `options.stamp` lacks is named in its place."""
    return json_text(result(report, options.stamp)) + "\n"


def result(report: Report, known: Mapping[str, str]) -> dict[str, Any]:
    """Return the result as plain data. All scores are integers."""
    parts = 1 if all(float(rule.max_points).is_integer() for rule in report.rules) else FINE
    tests = [_test(report, rule, parts) for rule in counted(report)]
    return {
        "schema": SCHEMA,
        **{key: visible(known.get(key) or unknown) for key, unknown in _UNKNOWN.items()},
        "score": sum(test["score"] for test in tests),
        "max-score": sum(test["max-score"] for test in tests),
        "tests": tests,
    }


def _test(report: Report, rule: RuleReport, parts: int) -> dict[str, Any]:
    return {
        "test-name": visible(rule.id),
        "passed": rule.status == "pass",
        "score": _whole(rule.points, parts),
        "max-score": _whole(rule.max_points, parts),
        "output": about_rule(report, rule),
    }


def _whole(points: float, parts: int) -> int:
    """Return points in whole parts, never rounded up to what was not earned."""
    return math.floor(round(points * parts, 6))
