"""Hand-made rules, submissions and results, for tests of what is said about them."""

from __future__ import annotations

from typing import Any

from grader.finding import CheckResult, Finding, Level, Span, Status
from grader.manifest import Submission
from grader.protocol import Graded, Loaded, TrainingReport
from grader.report import GapReport, SandboxReport
from grader.rules import CheckUse, Input, Mark, Rule, Rules

SANDBOX = SandboxReport(
    "partial",
    {"landlock": "not in force: the kernel has no Landlock", "seccomp": "a filter that allows 84 system calls"},
    (GapReport("it could read a file", "the kernel has no Landlock", "Use Linux 5.13 or newer."),),
)

SOURCE = b"""\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""

LINEAR = Finding(
    "linear",
    "error",
    "a linear layer makes the prediction",
    why="flattening 16×7×7 keeps every position, so the classifier learns positions, not features",
    fix="nn.Conv2d(16, 10, 1), then nn.AdaptiveAvgPool2d(1): 170 parameters instead of 7,850",
    span=Span("model.py", 10, 16, 10, 37),
    label="784 × 10 weights applied here",
)


def rule(id: str, *checks: str, needs: Any = "all", points: float = 20, level: Level = "error", line: int = 8) -> Rule:
    uses = tuple(CheckUse(check, {}, Mark("rules.yaml", line + 2, 9)) for check in checks)
    return Rule(id, uses, needs, points, level, Mark("rules.yaml", line, 9))


def rules(*of: Rule) -> Rules:
    return Rules("rules.yaml", "Session 5", Input(), of)


def submission(source: bytes = SOURCE, entry: str = "model.py", folder: str = "") -> Submission:
    return Submission(f"{folder}/{entry}" if folder else entry, folder, entry, {entry: source})


def result(check: str, status: Status = "pass", message: str = "", *findings: Finding, **numbers: Any) -> CheckResult:
    return CheckResult(check, status, message or f"{check} is {status}", findings, **numbers)


def graded(*results: CheckResult, training: TrainingReport | None = None, **loaded: Any) -> Graded:
    """Return what an executor answers to rules without `output`, which is added."""
    return Graded((*results, result("output")), Loaded("Net", **loaded), 8932, (), training)


def training(outcome: Any = "confirmed", **changes: Any) -> TrainingReport:
    fields: dict[str, Any] = {
        "outcome": outcome,
        "claim": "this trained model makes at most 100 errors on the 10,000 test images",
        "reason": "",
        "target": 99.0,
        "accuracy": 99.21,
        "errors": 79,
        "images": 10_000,
        "interval": (99.02, 99.37),
        "seed": 1,
        "epochs": 3,
        "seconds": 41.6,
        "threads": 2,
        "device": "cpu",
        "output": "logits",
        "recipe": {"epochs": 3},
    }
    return TrainingReport(**{**fields, **changes})
