"""An attack: a submission that tries to do harm, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["forged", "reading", "writing", "network", "resources", "escape", "reply"]

BREACH = "BREACH"  # the word in an attack's own account of its success: it must not be in any report

# A model that breaks two rules and keeps one: an honest verdict on it is known to the letter.
MODEL = """
import torch
import torch.nn as nn


{world}


def breach(what):
    raise RuntimeError("{breach}: " + str(what))


def attack(self):
{code}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Linear(16 * 14 * 14, 10)
        attack(self)

    def forward(self, x):
        return self.fc(self.body(x).flatten(1))
"""
HONEST = {
    "param-count": "fail",
    "batch-norm": "pass",
    "dropout": "fail",
    "gap-no-linear": "fail",
    "accuracy": "skipped",
}


@dataclass(frozen=True)
class Attack:
    """What is tried, and with which code.

    `code` is the body of a function that the model's constructor calls with the model as `self`; the constants of the
    world that the suite has built (see `world.py`) are global names in it. It calls `breach(what)` when it has got what
    it wanted and can tell; what can be seen from outside only, the world sees. An attack that is stopped by an
    exception must catch it, so that the model is graded.

    `stopped_by` names the layers of which each one alone stops it; none where no layer is needed, as nothing of what it
    forges is ever consulted. `ends` are the verdicts that are right: 'fail' is that on the model above, 'error' one
    that says the submission could not be graded. `whole` is set for an attack that is a submission of its own.
    """

    name: str
    group: Group
    tries: str
    code: str
    stopped_by: tuple[str, ...] = ()
    ends: tuple[str, ...] = ("fail",)
    bomb: bool = False
    whole: bool = False
    seconds: float = 20.0

    def source(self, world: str) -> str:
        """Return the text of the submission; `world` are assignments of the constants that the code may use."""
        if self.whole:
            return self.code.replace("{world}", world)
        lines = self.code.strip("\n").split("\n")
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        body = "\n".join(f"    {line[margin:]}" if line.strip() else "" for line in lines)
        return MODEL.format(world=world, breach=BREACH, code=body)
