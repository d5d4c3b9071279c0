"""How final points are spread over a class, as the geometry of a drawing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from grader.classroom.page.rows import VERDICTS, shown_points
from grader.classroom.types import ClassReport

BINS = 20
LINES = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing's units: its size, and the margins around the bars."""

    width: int = 480
    height: int = 210
    left: int = 30
    right: int = 10
    top: int = 20
    bottom: int = 24

    @property
    def floor(self) -> int:
        return self.height - self.bottom


FRAME = Frame()


@dataclass(frozen=True, slots=True)
class Part:
    """The students of one verdict within a bar."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar: which points it stands for, in words, and how many students."""

    title: str
    x: float
    width: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """The drawing: bars, the marks of both axes, and the median."""

    summary: str
    bins: tuple[Bin, ...]
    points: tuple[Tick, ...]
    students: tuple[Tick, ...]
    median: Tick


def histogram(report: ClassReport) -> Histogram | None:
    """Return the drawing of all final points, None where there are none or the rules give no points."""
    finals = [(grade.final, grade.verdict) for grade in report.grades if grade.final is not None]
    if not finals or report.max_score <= 0:
        return None
    points = [final for final, _ in finals]
    step = nice((max(report.max_score, *points) - min(0, *points)) / BINS)
    low = math.floor(min(0, *points) / step) * step
    number = max(1, math.ceil((max(report.max_score, *points) - low) / step - 1e-9))
    found = Counter[tuple[int, str]](
        (min(number - 1, int((final - low) / step + 1e-9)), verdict) for final, verdict in finals
    )
    heights = [sum(found[place, verdict] for verdict in VERDICTS) for place in range(number)]
    line = max(1, math.ceil(nice(max(heights) / LINES)))
    most = math.ceil(max(heights) / line) * line
    middle = median(points)
    summary = f"{len(points):,} final scores from {min(points):g} to {max(points):g}, median {middle:g}"
    return Histogram(
        summary,
        tuple(_bin(place, low, step, number, found, most) for place in range(number) if heights[place]),
        tuple(Tick(_across(tick, low, step * number), f"{tick:g}") for tick in _ticks(low, step, number)),
        tuple(Tick(_down(count, most), f"{count:,}") for count in range(0, most + 1, line)),
        Tick(_across(middle, low, step * number), f"median {shown_points(middle)}"),
    )


def nice(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, … or their tenths that is not below a number."""
    scale: float = 10 ** math.floor(math.log10(least))
    return next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= least - 1e-9)


def _bin(place: int, low: float, step: float, number: int, found: Counter[tuple[int, str]], most: int) -> Bin:
    start, end = low + place * step, low + (place + 1) * step
    left, right = (_across(value, low, step * number) for value in (start, end))
    counts = [(VERDICTS[verdict].kind, found[place, verdict]) for verdict in VERDICTS if found[place, verdict]]
    total = sum(count for _, count in counts)
    words = f"{start:g} to {'' if place == number - 1 else 'below '}{end:g}: {total:,}"
    return Bin(words, round(left + 1, 2), round(right - left - 2, 2), tuple(_stacked(counts, most)))


def _stacked(counts: Sequence[tuple[str, int]], most: int) -> list[Part]:
    parts = []
    below = 0
    for kind, count in counts:
        top, bottom = _down(below + count, most), _down(below, most)
        parts.append(Part(kind, top, round(bottom - top, 2)))
        below += count
    return parts


def _ticks(low: float, step: float, number: int) -> list[float]:
    every = max(1, math.ceil(number / 5))
    return [low + place * step for place in range(0, number + 1, every)]


def _across(value: float, low: float, span: float) -> float:
    return round(FRAME.left + (FRAME.width - FRAME.left - FRAME.right) * (value - low) / span, 2)


def _down(count: int, most: int) -> float:
    return round(FRAME.floor - (FRAME.floor - FRAME.top) * count / most, 2)
