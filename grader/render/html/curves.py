"""The training curves as geometry: what a drawing of the numbers needs, in its own units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple, TypeGuard

from grader.protocol import EpochRow, TrainingReport

CAP = 400  # epochs that are drawn
DOTS = 30  # points up to which each is drawn as one
STEPS = (1, 2, 2.5, 5, 10)
TICKS = 5
STAGES = 4  # that are named
DIVERGED = 1e9  # numbers beyond it would press all others flat


class Frame(NamedTuple):
    """The size of a drawing, and where the plot in it begins and ends."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int


FRAME = Frame(width=360, height=220, left=44, right=344, top=24, bottom=186)
INSET = 8  # from the frame to the first and the last epoch


Rows = Sequence[EpochRow]


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Series:
    """One curve: unbroken stretches of points; `kind` names its style."""

    name: str
    kind: str
    stretches: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Result:
    """The accuracy of the trained model on the test images, with its interval where there is one."""

    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """One plot. `target` is the height of the target line, `stages` are the places where a new stage begins."""

    name: str
    title: str
    summary: str
    series: tuple[Series, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    stages: tuple[Tick, ...]
    target: Tick | None = None
    results: tuple[Result, ...] = ()


@dataclass(frozen=True, slots=True)
class _Axis:
    """A linear scale from numbers to places."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(self.start + share * (self.end - self.start), 1)


def curves(training: TrainingReport) -> tuple[Curve, ...]:
    """Return the plots of accuracy and of loss, one line for each seed; none for fewer than two epochs."""
    lines: dict[int | None, list[EpochRow]] = {}
    for row in training.curve[:CAP]:
        lines.setdefault(row.seed, []).append(row)
    longest = max(lines.values(), key=len, default=[])
    if len(longest) < 2:
        return ()
    return (_accuracy(training, tuple(lines.values()), longest), _loss(tuple(lines.values()), longest))


def _accuracy(training: TrainingReport, lines: Sequence[Rows], longest: Rows) -> Curve:
    seen = [[row.train_accuracy for row in rows] for rows in lines]
    held = [[row.held_out_accuracy for row in rows] for rows in lines]
    results = _accuracies(training)
    values = _finite([*chain(*seen), *chain(*held), training.target, *results])
    y = _axis(min(values), 100.0, most=100.0)
    x = _epochs(len(longest), beyond=bool(results))
    series = (_series("training images", "seen", seen, x, y), _series("held-out images", "held", held, x, y))
    place = x(len(longest) + 1)
    return Curve(
        name="accuracy",
        title="Accuracy, %",
        summary=f"{longest[-1].train_accuracy:.2f} % on the training images after {len(longest)} epochs",
        series=tuple(one for one in series if one.dots or one.stretches),
        x_ticks=_epoch_ticks(len(longest), x),
        y_ticks=_ticks(y),
        stages=_stages(longest, x),
        target=Tick(y(training.target), f"target {training.target:g} %"),
        results=tuple(Result(place, y(value), *_interval(training, y)) for value in results if _drawable(value)),
    )


def _accuracies(training: TrainingReport) -> list[float]:
    """Return the accuracies on the test images: of each seed, or of the one that there is."""
    of_seeds = [seed.accuracy for seed in training.seeds] if training.planned > 1 else [training.accuracy]
    return [value for value in of_seeds if value is not None]


def _interval(training: TrainingReport, y: _Axis) -> tuple[float | None, float | None]:
    if training.interval is None:
        return None, None
    low, high = training.interval
    return y(low), y(high)


def _loss(lines: Sequence[Rows], longest: Rows) -> Curve:
    losses = [[row.loss for row in rows] for rows in lines]
    finite = _finite([*chain(*losses)])
    y = _axis(min([0.0, *finite]), max(finite, default=1.0))
    x = _epochs(len(longest), beyond=False)
    first, last = ("not finite" if row.loss is None else f"{row.loss:.3f}" for row in (longest[0], longest[-1]))
    return Curve(
        name="loss",
        title="Loss",
        summary=f"{first} in the first epoch, {last} in the last",
        series=(_series("training images", "seen", losses, x, y),),
        x_ticks=_epoch_ticks(len(longest), x),
        y_ticks=_ticks(y),
        stages=_stages(longest, x),
    )


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value for value in values if _drawable(value)]


def _drawable(value: float | None) -> TypeGuard[float]:
    return value is not None and abs(value) < DIVERGED


def _epochs(count: int, *, beyond: bool) -> _Axis:
    return _Axis(1, count + beyond, FRAME.left + INSET, FRAME.right - INSET)


def _axis(low: float, high: float, most: float = math.inf) -> _Axis:
    """Return a vertical axis that begins and ends at round numbers."""
    step = _step(low, high)
    bottom = math.floor(low / step) * step
    top = min(most, math.ceil(high / step) * step)
    return _Axis(bottom, top if top > bottom else bottom + step, FRAME.bottom, FRAME.top)


def _step(low: float, high: float) -> float:
    """Return a round distance of ticks, so that there are at most `TICKS` of them."""
    rough = max(high - low, 1e-6) / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(step * unit for step in STEPS if step * unit >= rough * 0.999)


def _ticks(axis: _Axis) -> tuple[Tick, ...]:
    step = _step(axis.low, axis.high)
    digits = next((digits for digits in range(6) if math.isclose(round(step, digits), step)), 6)
    values = [axis.low + number * step for number in range(TICKS + 2)]
    form = f".{digits}f" if 1e-4 < step < 1e4 else ".2g"
    return tuple(Tick(axis(value), f"{value:{form}}") for value in values if value <= axis.high + step / 1e6)


def _epoch_ticks(count: int, x: _Axis) -> tuple[Tick, ...]:
    step = max(1, math.ceil(count / 8))
    return tuple(Tick(x(number), str(number)) for number in range(step, count + 1, step))


def _stages(rows: Sequence[EpochRow], x: _Axis) -> tuple[Tick, ...]:
    """Return where each stage begins; none where there is but one, or more than could be named."""
    changed = [number + 0.5 for number, (before, after) in enumerate(pairwise(rows), 1) if before.stage != after.stage]
    if not 1 <= len(changed) < STAGES:
        return ()
    starts = [(1.0, rows[0].stage), *((place, rows[int(place)].stage) for place in changed)]
    return tuple(Tick(x(place), f"{stage} stage") for place, stage in starts)


def _series(name: str, kind: str, lines: Sequence[Sequence[float | None]], x: _Axis, y: _Axis) -> Series:
    """Return a curve, of several lines where there are several seeds; where a number is missing it is broken."""
    stretches: list[list[str]] = []
    dots: list[tuple[float, float]] = []
    for values in lines:
        stretches.append([])
        for number, value in enumerate(values, 1):
            if _drawable(value):
                dots.append((x(number), y(value)))
                stretches[-1].append(f"{dots[-1][0]},{dots[-1][1]}")
            else:
                stretches.append([])
    drawn = tuple(" ".join(stretch) for stretch in stretches if len(stretch) > 1)
    return Series(name, kind, drawn, tuple(dots) if sum(map(len, lines)) <= DOTS else ())
