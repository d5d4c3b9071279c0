"""Grading again whenever something is saved: `lookout` notices, `session` grades."""

from __future__ import annotations

from grader.watch.session import Began, Event, Faulty, Graded, watch

__all__ = ["Began", "Event", "Faulty", "Graded", "watch"]
