"""Where something is, as one writes it: model.py:21:16, notebook.ipynb:cell 3:4:16."""

from __future__ import annotations

import posixpath

from grader.render.escape import visible
from grader.report import Place, Report


def position(report: Report, place: Place) -> str:
    """Return a place so that an editor finds it from the folder in which the grader was called."""
    file = visible(posixpath.join(report.submission.folder, place.file))
    cell = f":cell {place.cell}" if place.cell is not None else ""
    column = f":{place.column}" if place.column else ""
    return f"{file}{cell}:{line_number(place)}{column}"


def line_number(place: Place) -> int:
    """Return the number of a place's first line as its reader counts: in a notebook, within the cell."""
    return place.line if place.cell_line is None else place.cell_line
