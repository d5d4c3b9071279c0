"""What a node will cost, from the shapes of its arguments, before it runs: a stranger chose the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grader import ops
from grader.cost.amounts import Bound, tensors_in
from grader.cost.factories import factory
from grader.cost.indexing import indexing
from grader.cost.products import attention, conv, dense, matrices, recurrent
from grader.cost.shapes import compare, elementwise, expand, join, norm, pad, pool, reduce, resample, unfold


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run of a program may cost.

    `elements` bounds each result, `total` the results of all nodes together, `macs` the multiply-accumulate operations
    of convolutions and dense operators together.
    """

    elements: int = 1 << 26
    total: int = 1 << 28
    macs: int = 20_000_000_000


class TooDear(Exception):
    """A node would cost more than the limits allow."""


class Meter:
    """Adds up what the nodes of one run cost."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.elements = 0
        self.macs = 0

    def charge(self, op: ops.Op, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
        """Return the multiply-accumulate operations of a node about to run.

        Raises:
            TooDear: its result or its arithmetic would pass the limits.
        """
        elements, macs = estimate(op, args, kwargs)
        if elements > self.limits.elements:
            raise TooDear(f"{op.short} would make {elements:,} numbers, the limit is {self.limits.elements:,}")
        self.elements += elements
        self.macs += macs
        if self.elements > self.limits.total:
            raise TooDear(f"one forward makes more than {self.limits.total:,} numbers")
        if self.macs > self.limits.macs:
            raise TooDear(f"one forward takes more than {self.limits.macs:,} multiply-accumulate operations")
        return macs


def estimate(op: ops.Op, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Return upper bounds on the numbers in a node's result and on its multiply-accumulate operations."""
    tensors = list(tensors_in((*args, *kwargs.values())))
    bound = BOUNDS.get(op.kind, elementwise)
    elements, macs = bound(op.short, tensors, args, kwargs)
    return elements, macs


BOUNDS: dict[str, Bound] = {
    "conv": conv,
    "dense": dense,
    "norm": norm,
    "join": join,
    "factory": factory,
    "random": factory,
    "pad": pad,
    "resample": resample,
    "expand": expand,
    "avg-pool": pool,
    "max-pool": pool,
    "unfold": unfold,
    "attention": attention,
    "recurrent": recurrent,
    "reshape": reduce,
    "reduce": reduce,
    "compare": compare,
    "weight": matrices,
    "index": indexing,
}
