"""What a gradebook is told: which rules count, and for how much, also of what could not be graded."""

from __future__ import annotations

from grader.finding import Status
from grader.report import ACCURACY, Report, RuleReport

OUTCOMES: dict[Status, str] = {"pass": "passed", "fail": "failed", "error": "undecided", "skipped": "skipped"}


def counted(report: Report) -> tuple[RuleReport, ...]:
    """Return the rules that count, in the order of the rules file."""
    return tuple(rule for rule in report.rules if rule.status != "skipped")


def possible(report: Report) -> int | float:
    """Return the points that there are for the rules that count."""
    return sum(rule.max_points for rule in counted(report))


def earned(report: Report) -> int | float:
    """Return the points that were given."""
    return sum(rule.points for rule in counted(report))


def seconds(report: Report, rule: RuleReport) -> float:
    """Return what is known of the time that a rule took: that of the training."""
    return report.training.seconds if report.training is not None and ACCURACY in rule.checks else 0.0
