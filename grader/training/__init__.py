"""Training on the trusted side: our loop, our data and the graph's operators confirm what a model can learn."""

from __future__ import annotations

from grader.training.decision import train

__all__ = ["train"]
