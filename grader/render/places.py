"""Where something is, as one writes it: model.py:21:16, notebook.ipynb:cell 3:4:16."""

from __future__ import annotations

import posixpath

from grader.render.escape import visible
from grader.report import FindingReport, Place, Report, RuleReport


def position(report: Report, place: Place) -> str:
    """Return a place so that an editor finds it from the folder in which the grader was called."""
    file = visible(posixpath.join(report.submission.folder, place.file))
    cell = f":cell {place.cell}" if place.cell is not None else ""
    column = f":{place.column}" if place.column else ""
    return f"{file}{cell}:{line_number(place)}{column}"


def line_number(place: Place) -> int:
    """Return the number of a place's first line as its reader counts: in a notebook, within the cell."""
    return place.line if place.cell_line is None else place.cell_line


def by_place(report: Report) -> list[tuple[RuleReport, FindingReport]]:
    """Return all findings in the order of their places, each with its rule; those without a place come last."""
    found = [(rule, finding) for rule in report.rules for finding in rule.findings]
    return sorted(found, key=lambda pair: _order(pair[1].span))


def _order(place: Place | None) -> tuple[bool, str, int, int]:
    return (True, "", 0, 0) if place is None else (False, place.file, place.line, place.column)
