"""The experiments behind the checks: run a graph with other learned tensors, change one thing, compare.

Learned tensors are drawn at unit scale, so that a head or a branch that starts at zero can't hide what is behind it,
and taken as submitted, so that nothing hides behind a gate that only these open.
Every random node draws from a stream of its own, so that taking one away does not shift the others.
"""

from __future__ import annotations

from grader.experiments.effects import Effects
from grader.experiments.maps import Maps
from grader.experiments.weights import Weights

__all__ = ["Laboratory"]


class Laboratory(Effects, Maps, Weights):
    """Runs the experiments that checks may ask for on one graph."""
