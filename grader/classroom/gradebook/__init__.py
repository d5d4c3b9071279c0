"""The gradebook: what a class handed in, every result, and the grades that follow from them, in one SQLite file.

Results and overrides are facts, and are kept. Grades are no facts: they are computed whenever the gradebook is read.
"""

from __future__ import annotations

from grader.classroom.gradebook.book import Gradebook
from grader.classroom.gradebook.compare import Change, Comparison, compare, comparison
from grader.classroom.gradebook.errors import GradebookError
from grader.classroom.gradebook.forms import awaited
from grader.classroom.gradebook.reasons import Reason

__all__ = ["Change", "Comparison", "Gradebook", "GradebookError", "Reason", "awaited", "compare", "comparison"]
