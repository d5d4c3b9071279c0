"""One position of the last map sees enough of the image.

The receptive field of a position is the part of the image that it is computed from. It grows with every kernel, and
faster after every stride and pooling. A digit, or a dog, that is larger than the receptive field is never seen whole by
any one position. The check follows a position of the last map (the one that is averaged, flattened or weighted next)
back to the image, over all paths, exactly: kernels, strides, dilation, pooling, padding, transposed convolutions and
interpolation. The widest path counts, and the shorter side of what it sees. Padding around the image counts as image,
so a receptive field can be larger than the image.

A branch without an effect on the prediction does not count, and neither do taps of a dilated kernel that meet nothing
but padding. What all positions share has no position and does not count either: the statistics of a normalisation, the
gate of a squeeze-and-excitation block. Where positions can't be followed (attention, a map that is reordered or joined
along its positions) the rule is undecided, unless the rest is large enough.

## Options

- `above`: the receptive field must be larger than this, in pixels.
- `at_least`: it must have at least so many pixels.

One of them is needed.

## Examples

Two 3×3 convolutions see 5×5 pixels, pooling doubles what the next one adds:

```python
# options: {"at_least": 10}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 8, 3)
        self.conv3 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = F.max_pool2d(self.conv2(self.conv1(x)), 2)
        return self.conv3(x).mean((2, 3))
```

Convolutions of 1×1 see nothing of their neighbours:

```python
# options: {"above": 5}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 8, 1)
        self.conv3 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = self.conv3(self.conv2(self.conv1(x)))
        return x.mean((2, 3))  # error: the receptive field is 5×5 pixels, must be above 5
```
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import Annotated

import msgspec

from grader.checks._boxes import Box
from grader.checks._field import field_of
from grader.checks._layers import lines
from grader.checks._subject import MODES, Edge, Subject, span_of, times
from grader.checks.global_average_pool import last_maps
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding, Span

ID = "receptive-field"
PHASES = 9  # neighbouring positions that are followed: after an upsampling some see more than others
MOST = 64  # branches whose effect is tried
WHY = "What is larger than the receptive field is seen whole by no position: only parts of it can be recognised."

Pixels = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`above`, `at_least`: pixels that the receptive field must exceed, or have; one of them is needed."""

    above: Pixels | None = None
    at_least: Pixels | None = None

    def __post_init__(self) -> None:
        if self.above is None and self.at_least is None:
            raise ValueError("expected 'above' or 'at_least', in pixels")

    @property
    def least(self) -> int:
        """The smallest receptive field that will do."""
        return max((self.above or 0) + 1, self.at_least or 1)

    @property
    def shown(self) -> str:
        above = self.above is not None and self.least == self.above + 1
        return f"must be above {self.above}" if above else f"must be at least {self.at_least}"


@dataclass
class Seen:
    """What the positions of the last map see in one mode.

    `sides` are height and width in pixels, `jumps` the pixels, along each, from what one position sees to what the
    next one does.
    `map` is the last map's size, `edge` the place where it ends.
    """

    facts: Facts
    sides: tuple[int, ...] = ()
    jumps: tuple[Fraction, ...] = ()
    map: str = ""
    edge: Edge | None = None
    lost: list[Step] = field(default_factory=list)
    branches: set[int] = field(default_factory=set)
    silent: frozenset[int] = frozenset()

    @property
    def least(self) -> int:
        return min(self.sides, default=0)

    def further(self, pixels: int, dilation: int = 1) -> int:
        """Return how many further convolutions of 3×3 on the last map it takes to see so many pixels on each side."""
        lacking = [(pixels - side, abs(jump)) for side, jump in zip(self.sides, self.jumps, strict=True)]
        # Where a position more is not a whole number of pixels, some positions gain less than others.
        return max(ceil((need + (jump.denominator > 1)) / (2 * dilation * jump)) for need, jump in lacking)


def check(subject: Subject, options: Options) -> CheckResult:
    found = min((effective(subject, subject.facts[mode], options) for mode in MODES), key=lambda seen: seen.least)
    limit = options.at_least if options.above is None else options.above
    message = f"the receptive field is {times(found.sides)} pixels, {options.shown}"
    if found.least >= options.least:
        return CheckResult(ID, "pass", message, measured=found.least, limit=limit)
    if found.lost:
        return undecided(found, options, limit)
    if not found.sides:
        message = "the image does not reach the prediction through a map: there is no receptive field"
        return CheckResult(ID, "error", f"can't be told: {message}", limit=limit)
    label = f"each of the {found.map} positions sees {times(found.sides)} pixels"
    finding = Finding(ID, "error", message, why(subject, found), fix(found, options), place(subject, found), label)
    return CheckResult(ID, "fail", message, (finding,), found.least, limit)


def effective(subject: Subject, facts: Facts, options: Options) -> Seen:
    """Return what is seen through branches that have an effect; as far as it matters whether they have."""
    tried: set[int] = set()
    seen = look(facts, frozenset())
    while seen.least >= options.least and (new := sorted(seen.branches - tried)):
        tried |= set(new)
        idle = {index for index in new[:MOST] if not subject.has_effect(facts.mode, index)}
        if idle:
            seen = look(facts, seen.silent | idle)
    return seen


def look(facts: Facts, silent: frozenset[int]) -> Seen:
    """Return the widest field of any position that the prediction is made from."""
    output = facts.primary
    edges = list(last_maps(facts))
    if output is not None and output.is_map:
        edges = [Edge(facts.steps[output.writers[-1]], output)] if output.writers else []
    found = Seen(facts, silent=silent)
    for edge in edges:
        fields = [field_of(facts, edge.operand, box, silent) for box in starts(edge)]
        found.lost += fields[0].lost
        found.branches |= fields[0].branches
        boxes = [item.box for item in fields if item.box is not None and len(item.box.sizes) == 2]
        sides = tuple(map(max, zip(*(box.sizes for box in boxes), strict=True)))  # rows and columns have own phases
        if sides and min(sides) > found.least:
            size = times([edge.operand.shape[axis] for axis in edge.operand.axes])
            found = replace(found, sides=sides, jumps=jumps(boxes), map=size, edge=edge)
    return found


def starts(edge: Edge) -> list[Box]:
    """Return single positions around the middle of a map."""
    extents = tuple(edge.operand.shape[axis] for axis in edge.operand.axes)
    middle = [(extent - 1) // 2 for extent in extents]
    return [
        Box(edge.operand.axes, tuple((place + phase, place + phase) for place in middle), extents)
        for phase in range(PHASES)
    ]


def jumps(boxes: list[Box]) -> tuple[Fraction, ...]:
    """Return by how many pixels the fields of neighbouring positions lie apart, along each axis."""
    pairs = zip(boxes[0].intervals, boxes[-1].intervals, strict=True)
    return tuple(Fraction(last[0] - first[0], max(len(boxes) - 1, 1)) or Fraction(1) for first, last in pairs)


def why(subject: Subject, found: Seen) -> str:
    image = times(subject.input_shape[1:])
    text = f"One position of the last {found.map} map sees {times(found.sides)} pixels of a {image} image. {WHY}"
    idle = lines(found.facts.steps[index] for index in sorted(found.silent))
    return f"{text} The branch in {idle} has no effect on the prediction." if idle else text


def fix(found: Seen, options: Options) -> str:
    """Return how many further convolutions of 3×3 reach the size that is asked for, along the side that lacks most."""
    _, jump = min(zip(found.sides, found.jumps, strict=True), key=lambda row: (row[0] - options.least) / abs(row[1]))
    adds = f"{2 * abs(jump)}" if jump.denominator == 1 else f"about {max(round(2 * abs(jump)), 1)}"
    count, wide = found.further(options.least), found.further(options.least, dilation=2)
    more = "one more 3×3 convolution" if count == 1 else f"{count} more 3×3 convolutions"
    dilated = f"{wide} with dilation=2" if wide > 1 else "one with dilation=2"
    text = f"Each 3×3 convolution on the last map adds {adds} pixels: add {more} there"
    return f"{text}, or {dilated}, or pool earlier." if count > 1 else f"{text}, or pool earlier."


def place(subject: Subject, found: Seen) -> Span | None:
    return (span_of(found.edge.step) if found.edge else None) or subject.graph.span


def undecided(found: Seen, options: Options, limit: int | None) -> CheckResult:
    """Return the result where a path can't be followed and the others do not see enough."""
    step = found.lost[0]
    message = f"what {step.short} does with the positions of its map can't be followed"
    rest = f"is {times(found.sides)} pixels" if found.sides else "is not known"
    why = f"Without that path the receptive field {rest}; it {options.shown}."
    warning = Finding(ID, "warning", message, why, "Let positions keep their places up to the last map.", span_of(step))
    return CheckResult(ID, "error", f"can't be told: {message}", (warning,), found.least or None, limit)
