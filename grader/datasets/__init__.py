"""Data sets that models are trained on: which are known, where their files lie, what these hold. Only plain files."""

from __future__ import annotations

from grader.datasets.arrays import DatasetError
from grader.datasets.contents import Contents, Outline, contents
from grader.datasets.forms import arrays_of
from grader.datasets.known import KNOWN, Known
from grader.datasets.locate import Absent, Source, handed, outlined

__all__ = [
    "KNOWN",
    "Absent",
    "Contents",
    "DatasetError",
    "Known",
    "Outline",
    "Source",
    "arrays_of",
    "contents",
    "handed",
    "outlined",
]
