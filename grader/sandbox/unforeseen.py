"""Inputs that no submission can have foreseen: drawn by the front when the submission has been loaded."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

from grader.digits import COUNT, SIDE, pixels

_RANDOM = random.SystemRandom()


def seed() -> int:
    """Return 31 random bits of the operating system."""
    return _RANDOM.getrandbits(31)


def digits(count: int) -> bytes:
    """Return digits of MNIST, each moved and made bolder or finer, as pixels of one byte, image after image.

    They look like those that a model is trained on, background and ink unchanged, and are none of them.
    """
    chosen = _RANDOM.choices(range(COUNT), k=count)
    return b"".join(map(_varied, chosen))


def _varied(place: int) -> bytes:
    changed = _changed(place, _RANDOM.choice((max, min)), _RANDOM.choice(((0, 1), (1, 0), (0, -1), (-1, 0))))
    return _moved(changed, _RANDOM.randint(-2, 2), _RANDOM.randint(-2, 2))


@cache  # 800 of them, most of a megabyte: a class asks for each again and again
def _changed(place: int, change: Callable[[int, int], int], towards: tuple[int, int]) -> bytes:
    """Return an image with the brighter (max) or the darker of each pixel and its neighbour."""
    image = pixels()[place * SIDE * SIDE : (place + 1) * SIDE * SIDE]
    changed = bytes(map(change, image, _moved(image, *towards)))
    return changed if any(changed) else image


def _moved(image: bytes, down: int, right: int) -> bytes:
    """Return an image moved by some pixels; what leaves it is lost, what comes in is background."""
    rows = [image[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)]
    blank = bytes(SIDE)
    rows = [rows[place - down] if 0 <= place - down < SIDE else blank for place in range(SIDE)]
    edge = bytes(abs(right))
    return b"".join(edge + row[: SIDE - right] if right >= 0 else row[-right:] + edge for row in rows)
