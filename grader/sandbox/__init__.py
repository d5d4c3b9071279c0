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
    Exhausted,
    Malformed,
    Refused,
    Resource,
    SandboxError,
    TimedOut,
    TooLarge,
    Unexecuted,
    Unsealed,
)
from grader.sandbox.standing import Gap, Level, Standing
from grader.sandbox.template import Sandbox, Template
from grader.sandbox.trial import trial

__all__ = [
    "CaptureOutcome",
    "Captured",
    "Crashed",
    "ExecuteOutcome",
    "Executed",
    "Exhausted",
    "Gap",
    "Level",
    "Malformed",
    "Refused",
    "Resource",
    "Sandbox",
    "SandboxError",
    "Standing",
    "Template",
    "TimedOut",
    "TooLarge",
    "Unexecuted",
    "Unsealed",
    "capture",
    "execute",
    "trial",
]
