"""The files that a report is about, as one finds them from the folder in which the grader was called."""

from __future__ import annotations

import posixpath

from grader.notebook import is_notebook
from grader.report import Place, Report


def path_of(report: Report, place: Place | None) -> str:
    """Return the path of the file that a place is in, as it is; without a place, that of the model's file."""
    submission = report.submission
    file = submission.file if place is None else place.file
    return posixpath.join(submission.folder, file) if file else submission.path


def has_lines(place: Place) -> bool:
    """Tell whether lines of a place are lines of its file: those of a notebook count through its cells."""
    return not is_notebook(place.file)
