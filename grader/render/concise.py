"""One line for each finding, for editors and for grep: model.py:21:16: error[gap-no-linear] message."""

from __future__ import annotations

from collections.abc import Iterator

from grader.render import Options
from grader.render.escape import uncommanded, visible
from grader.render.places import by_place, position
from grader.report import Place, Report


def render(report: Report, options: Options) -> str:
    """Return the findings line by line; nothing at all where there are none and the sandbox was sealed."""
    return uncommanded("".join(f"{line}\n" for line in lines(report)))


def lines(report: Report) -> Iterator[str]:
    """Yield the line of each finding, of each rule that could not be decided, or of what stood in the way."""
    if report.error is not None:
        yield _line(report, report.error.span, "error", report.error.code, report.error.message)
        return
    for rule, finding in by_place(report):
        yield _line(report, finding.span, finding.level, rule.id, finding.message)
    for rule in report.rules:
        if not rule.findings and rule.status in ("fail", "error"):
            level = "undecided" if rule.status == "error" else rule.level
            yield _line(report, None, level, rule.id, rule.message)
    for gap in report.sandbox.gaps:
        yield _line(report, None, "warning", "sandbox", f"{report.sandbox.level}: {gap.what}, {gap.reason}")


def _line(report: Report, place: Place | None, level: str, code: str, message: str) -> str:
    where = position(report, place) if place is not None else visible(report.submission.path)
    return f"{where}: {level}[{code}] {visible(message)}"
