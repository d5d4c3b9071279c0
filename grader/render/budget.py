"""The parameter budget: which layers hold how much of it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from grader.report import Report

UNUSED = "never used"


class Share(NamedTuple):
    """What a layer holds of all parameters; `percent` is of those that are registered."""

    name: str
    parameters: int
    percent: float


def budget(report: Report) -> tuple[Share, ...]:
    """Return where the parameters of a graded model are, the largest share first; empty where it has none."""
    if report.model is None or report.model.parameters <= 0:
        return ()
    total = report.model.parameters
    counts: Counter[str] = Counter()
    for layer in report.model.layers:
        if layer.parameters:
            counts[layer.module or layer.op] += layer.parameters
    rest = total - sum(counts.values())
    if rest > 0:
        counts[UNUSED] += rest
    return tuple(Share(name, count, 100 * count / total) for name, count in counts.most_common())
