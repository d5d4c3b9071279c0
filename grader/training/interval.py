"""The exact binomial interval of an accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable

HALVINGS = 60  # of the interval [0, 1]: below the spacing of floats around 0.01
TAIL = 0.025  # on either side: 95 % between


def accuracy_interval(errors: int, images: int) -> tuple[float, float]:
    """Return the 95 % Clopper-Pearson interval of the accuracy in percent, given errors among images.

    C. J. Clopper and E. S. Pearson, 'The use of confidence or fiducial limits illustrated in the case of the binomial',
    Biometrika 26 (1934).
    """
    low, high = _proportion(errors, images)
    return 100 * (1 - high), 100 * (1 - low)


def _proportion(hits: int, trials: int) -> tuple[float, float]:
    """Return the interval of the proportion behind this many hits."""
    if 2 * hits > trials:  # fewer terms to add, seen from the other side
        low, high = _proportion(trials - hits, trials)
        return 1 - high, 1 - low
    # P(at least `hits`) rises with p, P(at most `hits`) falls.
    low = 0.0 if hits == 0 else _bisect(lambda p: 1 - _at_most(hits - 1, trials, p) < TAIL)
    return low, _bisect(lambda p: _at_most(hits, trials, p) > TAIL)


def _bisect(below: Callable[[float], bool]) -> float:
    """Return where a predicate on [0, 1] turns from true to false."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return (low + high) / 2


def _at_most(hits: int, trials: int, p: float) -> float:
    """Return P(X <= hits) for X binomial with these trials and this probability, 0 < p < 1."""
    log_p, log_q = math.log(p), math.log1p(-p)
    log_term = trials * log_q  # the term for 0 hits, then each from the one before
    total = math.exp(log_term)
    for count in range(1, hits + 1):
        log_term += math.log((trials - count + 1) / count) + log_p - log_q
        total += math.exp(log_term)
    return min(total, 1.0)
