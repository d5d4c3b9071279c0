"""The submitted files, read once: what every later stage sees of a submission is these bytes."""

from __future__ import annotations

from grader.manifest.models import model_files
from grader.manifest.read import read_submission, read_tree, shown_path
from grader.manifest.trees import Disk, Entry, Kind, Tree, is_readable
from grader.manifest.types import Submission, SubmissionError
from grader.manifest.walk import (
    BYTES_CAP,
    DEPTH_CAP,
    ENTRIES_CAP,
    FILES_CAP,
    NOT_SOURCES,
    NOTEBOOK_CAP,
    SUFFIXES,
    TOTAL_CAP,
)

__all__ = [
    "BYTES_CAP",
    "DEPTH_CAP",
    "ENTRIES_CAP",
    "FILES_CAP",
    "NOTEBOOK_CAP",
    "NOT_SOURCES",
    "SUFFIXES",
    "TOTAL_CAP",
    "Disk",
    "Entry",
    "Kind",
    "Submission",
    "SubmissionError",
    "Tree",
    "is_readable",
    "model_files",
    "read_submission",
    "read_tree",
    "shown_path",
]
