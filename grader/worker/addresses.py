"""Where in memory the images lie that a model is given: elsewhere each time, so that it can't choose a path by that.

Left to themselves, all inputs of a process lie at a few addresses: a model that looks at a bit of one would be the same
model in all forwards that are compared, and another one at home. Here every bit that an address has in one forward
of a mode is the opposite in the next, and which comes first is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from torch import Tensor, empty, empty_like

from grader.graph import Mode

OBJECT_BITS = 0x3F0  # of the address of a Python object: the lower ones are 0 in all, the higher ones change slowly
NUMBER_BITS = 0x3C0  # of the address of a tensor's numbers
TRIES = 512
BYTES = 16 << 20  # that are asked for at once, at most: address space is limited


class Addresses:
    """Gives inputs to a model, each at other addresses than the one before in the same mode."""

    def __init__(self) -> None:
        self._last: dict[Mode, tuple[int, int]] = {}

    def give(self, images: Tensor, mode: Mode) -> Tensor:
        """Return a tensor of the same numbers, which nobody else holds; it has no history and is no view."""
        before = self._last.get(mode) or (int.from_bytes(os.urandom(2), "little"),) * 2
        tries = min(TRIES, 1 + BYTES // max(images.nbytes, 1))
        numbers = _found(lambda: empty_like(images), Tensor.data_ptr, ~before[1] & NUMBER_BITS, NUMBER_BITS, tries)
        numbers.copy_(images)
        given = _found(lambda: empty(0, dtype=images.dtype), id, ~before[0] & OBJECT_BITS, OBJECT_BITS, TRIES)
        given.data = numbers
        self._last[mode] = (id(given), given.data_ptr())
        return given


def _found(make: Callable[[], Tensor], address: Callable[[Tensor], int], wanted: int, bits: int, tries: int) -> Tensor:
    """Return a tensor whose address has the wanted bits, or the best of many."""
    made: list[Tensor] = []  # while these are held, no other one comes where they are
    while len(made) < tries:
        made.append(make())
        if address(made[-1]) & bits == wanted:
            return made[-1]
    return min(made, key=lambda tensor: ((address(tensor) & bits) ^ wanted).bit_count())
