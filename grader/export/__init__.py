"""A graded graph as PyTorch source that people read and run, and its weights under the names of that source."""

from __future__ import annotations

from grader.export.source import TITLE, Source, export

__all__ = ["TITLE", "Source", "export"]
