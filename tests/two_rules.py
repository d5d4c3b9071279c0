"""Reports by two rules, `size` and `drop`, for tests of what changes from one to the next."""

from __future__ import annotations

import msgspec
from samples import graded, result, rule, rules, submission

from grader.finding import Finding, Status
from grader.protocol import Loaded
from grader.report import UNUSED, Obstacle, Report, error_report, graded_report

RULES = rules(rule("size", "parameters"), rule("drop", "dropout"))


def report(
    size: Status = "pass", drop: Status = "pass", *said: Finding, count: int = 8932, name: str = "Net"
) -> Report:
    """Return a report; `said` are the findings of the rule `drop`."""
    results = graded(result("parameters", size, measured=count), result("dropout", drop, "", *said))
    results = msgspec.structs.replace(results, parameters=count, loaded=Loaded(name))
    return graded_report(RULES, submission(), results, UNUSED, trained=False)


def ungraded(code: str = "syntax", message: str = "not Python") -> Report:
    return error_report(RULES, submission(), Obstacle(code, message))
