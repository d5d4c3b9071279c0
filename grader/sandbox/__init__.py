"""Separate processes for everything that is not ours to trust, or that needs torch.

The front starts a `Template`, and through it `capture` and `execute`; each returns one of the outcomes.
"""

from __future__ import annotations

from grader.sandbox.capture import capture
from grader.sandbox.execute import execute
from grader.sandbox.outcomes import (
    Captured,
    CaptureOutcome,
    Crashed,
    Executed,
    ExecuteOutcome,
    Malformed,
    Refused,
    SandboxError,
    TimedOut,
    TooLarge,
    Unexecuted,
)
from grader.sandbox.template import Template

__all__ = [
    "CaptureOutcome",
    "Captured",
    "Crashed",
    "ExecuteOutcome",
    "Executed",
    "Malformed",
    "Refused",
    "SandboxError",
    "Template",
    "TimedOut",
    "TooLarge",
    "Unexecuted",
    "capture",
    "execute",
]
