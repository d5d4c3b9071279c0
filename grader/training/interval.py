"""What a count of errors, or accuracies from several seeds, say beyond themselves: exact intervals and bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

HALVINGS = 60  # of an interval: below the spacing of floats
TAIL = 0.025  # on either side: 95 % between
ONE_SIDED = 0.05  # below a bound that holds with 95 %
FARTHEST = 1e6  # quantiles of Student's t are looked for up to here


def accuracy_interval(errors: int, images: int) -> tuple[float, float]:
    """Return the 95 % Clopper-Pearson interval of the accuracy in percent, given errors among images.

    C. J. Clopper and E. S. Pearson, 'The use of confidence or fiducial limits illustrated in the case of the binomial',
    Biometrika 26 (1934).
    """
    return least_accuracy(errors, images, TAIL), most_accuracy(errors, images, TAIL)


def least_accuracy(errors: int, images: int, tail: float = ONE_SIDED) -> float:
    """Return the lower Clopper-Pearson bound of the accuracy in percent; a lower one has a chance of at most `tail`."""
    return 100 * (1 - _most(errors, images, tail))


def most_accuracy(errors: int, images: int, tail: float = ONE_SIDED) -> float:
    """Return the upper Clopper-Pearson bound of the accuracy in percent, as `least_accuracy` the lower one."""
    return 100 * _most(images - errors, images, tail)


def errors_that_prove(target: float, images: int, tail: float = ONE_SIDED) -> int:
    """Return how many errors prove that the accuracy is at least `target` percent; -1 where not even none would.

    That is the largest number whose lower Clopper-Pearson bound is no less than the target: as few errors or fewer have
    a chance of at most `tail` where the accuracy is the target.
    """
    p = (100 - target) / 100
    if p <= 0:
        return -1
    low, high = -1, images  # the least count is always likely enough, -1 never
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _at_most(middle, images, p) <= tail else (low, middle)
    return low


def least_mean(values: Sequence[float], tail: float = ONE_SIDED) -> float:
    """Return the lower bound of the mean that values are drawn around, by Student's t; two values at least.

    Student (W. S. Gosset), 'The probable error of a mean', Biometrika 6 (1908).
    """
    count = len(values)
    mean = math.fsum(values) / count
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return mean - t_quantile(1 - tail, count - 1) * spread / math.sqrt(count)


def t_quantile(share: float, freedom: int) -> float:
    """Return below what Student's t, with these degrees of freedom, lies with a probability above one half."""
    return _bisect(lambda t: _t_below(t, freedom) < share, FARTHEST)


def _most(hits: int, trials: int, tail: float) -> float:
    """Return the upper bound of the proportion behind this many hits."""
    if hits == trials:
        return 1.0
    if 2 * hits > trials:  # fewer terms to add, seen from the other side
        return 1 - _bisect(lambda p: 1 - _at_most(trials - hits - 1, trials, p) < tail)
    return _bisect(lambda p: _at_most(hits, trials, p) > tail)


def _bisect(below: Callable[[float], bool], high: float = 1.0) -> float:
    """Return where a predicate on numbers from 0 turns from true to false."""
    low = 0.0
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


def _t_below(t: float, freedom: int) -> float:
    """Return P(T <= t), t not negative: M. Abramowitz and I. A. Stegun, 'Handbook', 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for power in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (power - 1) / power
        total += term
    within = math.sin(angle) * total
    if odd:
        within = (angle + within) * 2 / math.pi
    return 0.5 + within / 2
