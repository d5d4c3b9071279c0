"""Numbers that a submission writes into its code, beside tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from grader.facts import Step
from grader.graph import Arg, Items, Size

RAMP = 2  # numbers that a ramp follows from, and the values of a causal mask
LITERAL = frozenset(("arithmetic", "compare", "activation"))  # what takes numbers written in Python beside the image
BESIDE_SIZES = frozenset(("pad", "write", "dense", "factory"))  # of these only a float is such a number
LARGE_EPS = 0.01  # an epsilon above it scales
NEUTRAL = (0.0, 1.0, -1.0)


def literals(step: Step) -> Iterator[float]:
    """Yield the numbers that a node is given beside tensors and their sizes."""
    if step.kind in ("batch-norm", "norm"):
        eps = step.argument("eps")
        yield from _numbers([eps] if isinstance(eps, float) and eps > LARGE_EPS else [])
    elif step.kind == "avg-pool":
        yield from _numbers([step.argument("divisor_override")])
    elif step.kind in LITERAL:
        yield from _numbers((*step.node.args, *step.node.kwargs.values()))
    elif step.kind in BESIDE_SIZES:
        kinds = (int, float) if step.kind == "pad" else float
        given = (*step.node.args[2 if step.short == "__setitem__" else 1 :], *step.node.kwargs.values())
        yield from _numbers(given if step.kind == "write" else (item for item in given if isinstance(item, kinds)))


def picked(step: Step) -> Iterator[tuple[float, ...]]:
    """Yield the lists of places that a node picks from a tensor, or writes to."""
    if step.kind in ("index", "write"):
        for argument in step.node.args[1:2]:
            for item in argument.items if isinstance(argument, Items) else ():
                if isinstance(item, Items):
                    yield tuple(_numbers((item,)))


def needed(places: tuple[float, ...]) -> int:
    """Return how many numbers a list of places follows from."""
    steps = {after - before for before, after in pairwise(places)}
    return len(places) if len(steps) > 1 else min(RAMP, len(places))


def phrases(numbers: Sequence[float]) -> int:
    """Return of how many phrases a sequence is made, each one that came before with one number more.

    J. Ziv and A. Lempel: Compression of individual sequences via variable-rate coding, 1978.
    """
    known: set[tuple[float, ...]] = {()}
    phrase: tuple[float, ...] = ()
    for number in numbers:
        phrase = (*phrase, number)
        if phrase not in known:
            known.add(phrase)
            phrase = ()
    return len(known) - 1 + bool(phrase)


def _numbers(arguments: Iterable[Arg]) -> Iterator[float]:
    for argument in arguments:
        if isinstance(argument, Items):
            yield from _numbers(argument.items)
        elif isinstance(argument, Size):
            yield from map(float, (argument.scale, argument.offset, argument.divisor))
        elif isinstance(argument, (int, float)) and not isinstance(argument, bool):
            yield float(argument)
