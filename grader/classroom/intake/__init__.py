"""Which submissions a folder or a zip file holds, and whose they are."""

from __future__ import annotations

from grader.classroom.intake.problems import IntakeError
from grader.classroom.intake.read import read_class

__all__ = ["IntakeError", "read_class"]
