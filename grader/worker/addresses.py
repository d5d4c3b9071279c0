"""Where in memory the images lie that a model is given: elsewhere each time, so that it can't choose a path by that.

Left to themselves, all inputs of a process lie at a few addresses: a model that looks at a bit of one would be the same
model in all forwards that are compared, and another one at home. Here every bit that an address has in one forward
of a mode is the opposite in the next, and which comes first is drawn.
"""

from __future__ import annotations

import os
from math import prod

from torch import Tensor, empty, frombuffer, uint8

from grader.graph import Mode

OBJECT_BITS = 0x3F0  # of the address of a Python object: the lower ones are 0 in all, the higher ones change slowly
NUMBER_BITS = 0x3C0  # of the address of a tensor's numbers: torch puts them at multiples of 64
TRIES = 512


class Addresses:
    """Gives inputs to a model, each at other addresses than the one before in the same mode."""

    def __init__(self) -> None:
        self._last: dict[Mode, tuple[int, int]] = {}

    def give(self, images: Tensor, mode: Mode) -> Tensor:
        """Return a tensor of the same numbers, which nobody else holds; it has no history and is no view."""
        before = self._last.get(mode) or (int.from_bytes(os.urandom(2), "little"),) * 2
        given = _object(images, ~before[0] & OBJECT_BITS)
        given.data = _numbers(images, ~before[1] & NUMBER_BITS)
        self._last[mode] = (id(given), given.data_ptr())
        return given


def _numbers(images: Tensor, wanted: int) -> Tensor:
    """Return a copy of a tensor, its numbers where the address has the wanted bits."""
    held = bytearray(images.nbytes + 2 * (NUMBER_BITS + 64))
    start = -frombuffer(held, dtype=uint8).data_ptr() % (NUMBER_BITS + 64) + wanted
    copy = frombuffer(held, dtype=images.dtype, count=prod(images.shape), offset=start).view(images.shape).detach()
    return copy.copy_(images)


def _object(images: Tensor, wanted: int) -> Tensor:
    """Return an empty tensor that is an object whose address has the wanted bits, or the best of many."""
    made: list[Tensor] = []  # while these are held, no other one comes where they are
    while len(made) < TRIES:
        made.append(empty(0, dtype=images.dtype))
        if id(made[-1]) & OBJECT_BITS == wanted:
            return made[-1]
    return min(made, key=lambda tensor: ((id(tensor) & OBJECT_BITS) ^ wanted).bit_count())
