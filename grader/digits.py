"""A hundred training images of MNIST as pixels, for the sides with torch and without it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "data" / "digits.npy"
COUNT = 100
SIDE = 28  # of an image, in pixels


@cache
def pixels() -> bytes:
    """Return the images one after the other, one byte a pixel; what stands before them is the header of the file."""
    return FILE.read_bytes()[-COUNT * SIDE * SIDE :]
