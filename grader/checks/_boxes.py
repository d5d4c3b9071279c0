"""Boxes of positions: what one position of a later map depends on, one interval for each axis.

They are exact, and go past the borders of a map, where a receptive field ends in padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from grader.facts import Operand, Shape, Step

Interval = tuple[int, int]  # from, to, both inside


@dataclass(frozen=True, slots=True)
class Box:
    """Positions of a tensor.

    `axes` are its spatial axes, ascending. `extents` are those of the grid in which the intervals count: one axis of a
    tensor holds a grid of two where the rows of a map were laid out behind each other.
    """

    axes: Shape
    intervals: tuple[Interval, ...]
    extents: Shape

    @property
    def plain(self) -> bool:
        """Whether each axis has an interval of its own."""
        return len(self.axes) == len(self.intervals)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(high - low + 1 for low, high in self.intervals)

    def at(self, axes: Shape) -> Box:
        return replace(self, axes=axes)

    def trimmed(self, shape: Shape) -> Box:
        """Return this box without axes of a single position, where one with several is left."""
        if not self.plain:
            return self
        rows = list(zip(self.axes, self.intervals, self.extents, strict=True))
        kept = [row for row in rows if shape[row[0]] > 1 or row[1][0] < row[1][1]] or rows
        return Box(*(tuple(column) for column in zip(*kept, strict=True)))

    def filled(self, shape: Shape, axes: Shape) -> Box:
        """Return this box with all of these axes, those of a single position added."""
        known = dict(zip(self.axes, zip(self.intervals, self.extents, strict=True), strict=True)) if self.plain else {}
        if not known or any(axis not in known and shape[axis] > 1 for axis in axes) or set(known) - set(axes):
            return self
        rows = [known.get(axis, ((0, 0), 1)) for axis in axes]
        return Box(axes, tuple(interval for interval, _ in rows), tuple(extent for _, extent in rows))

    def joined(self, other: Box) -> Box:
        """Return the smallest box that holds this one and another of the same grid."""
        pairs = zip(self.intervals, other.intervals, strict=True)
        return replace(self, intervals=tuple((min(a[0], b[0]), max(a[1], b[1])) for a, b in pairs))


class Lost:
    """Stands for positions that can't be followed."""


LOST = Lost()
# From a box of a node's result, of this shape, to that of an operand; None where the operand has no positions.
Back = Callable[[Step, Operand, Shape, Box], Box | Lost | None]


def moved(operand: Operand, shape: Shape, box: Box, axes: Shape) -> Box | Lost | None:
    """Return a box whose axes have these numbers in the operand; an axis of -1, or of one number, is shared by all."""
    extents = [operand.shape[axis] if axis >= 0 else 1 for axis in axes]
    if extents == [shape[axis] for axis in box.axes]:
        return box.at(axes)
    return None if all(extent == 1 for extent in extents) else LOST


def regridded(operand: Operand, shape: Shape, box: Box) -> Box | Lost:
    """Return a box behind a change of shape that leaves the order of all numbers as it is."""
    box = box.trimmed(shape)
    first, last = box.axes[0], box.axes[-1]
    if last - first + 1 != len(box.axes) or 0 in operand.shape:
        return LOST
    blocks = _blocks(operand.shape, math.prod(shape[:first]), math.prod(shape[first : last + 1]))
    for axes in blocks:
        if tuple(operand.shape[axis] for axis in axes) == box.extents:
            return box.at(axes)
    for axes in blocks:
        if len(axes) == 1 and len(box.extents) > 1:
            return box.at(axes)
        if len(axes) > 1 and len(box.intervals) == 1 and box.sizes == (1,):
            extents = tuple(operand.shape[axis] for axis in axes)
            return Box(axes, tuple((place, place) for place in _unravelled(box.intervals[0][0], extents)), extents)
    return LOST


def _blocks(shape: Shape, before: int, positions: int) -> list[Shape]:
    """Return the runs of axes, shortest first, that hold so many positions, with so many numbers on those before."""
    found = [
        tuple(range(start, stop))
        for start in range(len(shape))
        for stop in range(start + 1, len(shape) + 1)
        if math.prod(shape[:start]) == before and math.prod(shape[start:stop]) == positions
    ]
    return sorted(found, key=len)


def _unravelled(place: int, extents: Shape) -> tuple[int, ...]:
    """Return the position on a grid that stands at a place when its rows are laid out behind each other."""
    found = []
    for extent in reversed(extents[1:]):
        place, rest = divmod(place, extent)
        found.append(rest)
    return (place, *reversed(found))
