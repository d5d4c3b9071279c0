"""Several trainings in one thread, which take turns while a device computes for them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TypeVar

Result = TypeVar("Result")
Turns = Generator[None, None, Result]  # work that pauses where others may go on, and comes to a result


def finished(work: Turns[Result]) -> Result:
    """Do work that nobody takes turns with, and return what it comes to."""
    results: list[Result] = []

    def whole() -> Turns[None]:
        results.append((yield from work))

    for _ in whole():
        pass
    return results[0]


def together(works: Iterator[Turns[None]], has_room: Callable[[int], bool]) -> None:
    """Do all works to their ends. Each begins when it is drawn: the first at once, others beside those that run.

    `has_room` is told how many run, and answers whether another may begin beside them.
    """
    running: list[Turns[None]] = []
    more = True
    while more or running:
        if more and (not running or has_room(len(running))):
            begun = next(works, None)
            more = begun is not None
            running += [] if begun is None else [begun]
        running = [work for work in running if _goes_on(work)]


def _goes_on(work: Turns[None]) -> bool:
    try:
        next(work)
    except StopIteration:
        return False
    return True
