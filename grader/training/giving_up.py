"""When a run is given up: too far from its target, and too slow, to reach it any more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grader.protocol import EpochRow


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a run is from its target, and how slow, when it is given up.

    All must hold, at the end of an epoch, from the share `after` of the epochs on: its held-out errors are more than
    `times` what the target allows and more than `floor` percent, those on images that it learns from as well, and the
    least of the last `patience` epochs is more than `progress` of the least before.
    """

    after: float = 0.35
    times: float = 12
    floor: float = 6.0  # a learning rate near its peak keeps any model from its best
    patience: int = 3
    progress: float = 0.9

    def least(self, target: float) -> float:
        """Return the percentage of wrong images that a run must have to be given up."""
        return max(self.times * (100 - target), self.floor)


LIMITS = Limits()  # chosen by benchmarks/giving_up.py


def hopeless(rows: Sequence[EpochRow], epochs: int, target: float, limits: Limits = LIMITS) -> str:
    """Return the evidence that a run of so many epochs has no hope of its target after these; '' if there is none."""
    if not limits.after * epochs <= len(rows) < epochs or len(rows) <= limits.patience:
        return ""
    least = limits.least(target)
    # Running statistics of batch normalisation can lag behind a model that learns: a net of sigmoids had 41.9 % of
    # held-out images right when it had 95 % of those it learned from, and ended at 98.8 %.
    if 100 - max(row.train_accuracy for row in rows) <= least:
        return ""
    wrong = [100 - held_out(row) for row in rows]
    before, lately = min(wrong[: -limits.patience]), min(wrong[-limits.patience :])
    if min(before, lately) <= least or lately <= limits.progress * before:
        return ""
    far = f"{limits.times:g} times the {100 - target:g} % that the target allows"
    what = far if least > limits.floor else f"the {least:g} % from which a run may recover"
    trend = f"not falling ({before:.1f} → {lately:.1f} in {limits.patience} epochs)"
    return f"{wrong[-1]:.1f} % of held-out images wrong, more than {what}, and {trend}"


def held_out(row: EpochRow) -> float:
    return row.held_out_accuracy or 0.0
