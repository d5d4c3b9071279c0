"""Which submissions of a class are alike, and how surprising that is: a hint for a person to look."""

from grader.classroom.alike.grouping import groups

__all__ = ["groups"]
