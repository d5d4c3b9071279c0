"""The engine of a class on one machine: several submissions at a time, over one process that has imported torch."""

from __future__ import annotations

from grader.classroom.engine.bench import Bench, EngineError, Stopped
from grader.classroom.engine.local import Local
from grader.classroom.engine.readiness import lacking

__all__ = ["Bench", "EngineError", "Local", "Stopped", "lacking"]
