"""What the checks say of layers: the shape of a convolution, where a layer was made, how many there are."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from grader.checks._products import is_product
from grader.checks._subject import Subject, span_of, times
from grader.facts import Facts, Operand, Step, integers
from grader.finding import Finding

CLAMPS = frozenset(("clamp", "clip", "clamp_min"))
LINES_SHOWN = 12  # of a headline
NONLINEAR = frozenset(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh softplus softsign "
    "sigmoid logsigmoid log_sigmoid expit tanh tanhshrink softshrink hardshrink threshold glu".split()
)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution that was observed: its channels, and for each axis of the map what it does there.

    `extents` are those of the map that it is given; `made` those of the map that it returns. `padding` is what is
    added before the map.
    """

    step: Step
    images: Operand
    weight: Operand
    inputs: int
    outputs: int
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    extents: tuple[int, ...]
    made: tuple[int, ...]

    @property
    def transposed(self) -> bool:
        return "transpose" in self.step.short

    @property
    def pointwise(self) -> bool:
        """Whether every position is computed from that position alone, and all channels."""
        return all(extent == 1 for extent in self.kernel) and self.groups == 1

    @property
    def depthwise(self) -> bool:
        """Whether every channel has kernels of its own, of more than one position."""
        return self.groups == self.inputs > 1 and math.prod(self.kernel) > 1

    @property
    def dilated(self) -> bool:
        """Whether along some axis kernels have gaps, and more than one tap that meets the map."""
        return any(gap > 1 and len(self.taps(axis)) > 1 for axis, gap in enumerate(self.dilation))

    def taps(self, axis: int) -> range:
        """Return which taps of the kernel meet the map along an axis, and not the padding at every position."""
        if self.transposed:
            return range(self.kernel[axis])
        return meeting(
            self.kernel[axis],
            self.stride[axis],
            self.padding[axis],
            self.dilation[axis],
            self.extents[axis],
            self.made[axis],
        )

    def described(self) -> str:
        """Return the convolution in words: '3×3 convolution, 16 → 32 channels'."""
        return f"{times(self.kernel)} convolution, {self.inputs:,} → {self.outputs:,} channels"


def meeting(kernel: int, stride: int, padding: int, dilation: int, extent: int, made: int) -> range:
    """Return which taps of a window meet positions 0 to `extent` - 1 from any of the `made` windows."""

    def meets(tap: int) -> bool:
        offset = dilation * tap - padding
        first = max(0, -(offset // stride))  # the first window whose tap is not before the map
        return first < made and first * stride + offset < extent

    found = [tap for tap in range(kernel) if meets(tap)]
    return range(found[0], found[-1] + 1) if found else range(0)


def per_axis(step: Step, name: str, count: int, default: int) -> tuple[int, ...]:
    """Return an argument as one integer for each axis, none below the default; a single one stands for all."""
    given = integers(step.argument(name)) or (default,)
    numbers = given if len(given) == count else given[:1] * count
    return tuple(max(number, default) for number in numbers)  # one that follows the batch size is not known here


def convolution(step: Step) -> Convolution | None:
    """Return what a node does as a convolution, None where it is none."""
    images, weight = step.operand("input"), step.operand("weight")
    if step.kind != "conv" or images is None or weight is None or not step.shapes:
        return None
    kernel = weight.shape[2:]
    count = len(kernel)
    groups = (integers(step.argument("groups")) or (1,))[0]
    per_group = weight.shape[1]
    transposed = "transpose" in step.short
    dilation = per_axis(step, "dilation", count, 1)
    padding = per_axis(step, "padding", count, 0)
    if step.argument("padding") == "same":
        padding = tuple(gap * (extent - 1) // 2 for gap, extent in zip(dilation, kernel, strict=True))
    return Convolution(
        step,
        images,
        weight,
        weight.shape[0] if transposed else per_group * groups,
        per_group * groups if transposed else weight.shape[0],
        kernel,
        per_axis(step, "stride", count, 1),
        padding,
        dilation,
        groups,
        images.shape[len(images.shape) - count :],
        step.shapes[0][len(step.shapes[0]) - count :],
    )


def convolutions(facts: Facts) -> Iterator[Convolution]:
    """Yield the live convolutions of one program that follow the input, in order."""
    for step in facts.live_steps("conv"):
        found = convolution(step)
        if found is not None and step.from_input:
            yield unpadded(facts, found)


def unpadded(facts: Facts, layer: Convolution) -> Convolution:
    """Return a convolution with the padding that a node before it adds as if it were its own."""
    makers = [facts.steps[index] for index in layer.images.writers]
    given = integers(makers[0].argument("pad")) if len(makers) == 1 and makers[0].kind == "pad" else ()
    count = len(layer.kernel)
    if layer.transposed or len(given) < 2 * count or makers[0].argument("mode") not in (None, "constant"):
        return layer
    before, after = given[2 * count - 2 :: -2], given[2 * count - 1 :: -2]
    padding = tuple(map(operator.add, layer.padding, before))
    inner = tuple(extent - sum(added) for extent, *added in zip(layer.extents, before, after, strict=True))
    return replace(layer, padding=padding, extents=inner) if min((*before, *after)) >= 0 < min(inner) else layer


def is_layer(subject: Subject, facts: Facts, step: Step) -> bool:
    """Tell whether a node applies learned weights to activations: more than one number for each class."""
    weights = [given for given in step.operands if not given.from_input and subject.learned(facts, given)]
    if is_product(step):  # a convolution may be no more than that
        return step.from_input and any(given.size > subject.classes for given in weights)
    return step.from_input and step.kind in ("conv", "dense", "recurrent", "attention") and bool(weights)


def is_activation(step: Step) -> bool:
    """Tell of the functions that stand between layers; logarithms, powers and the like are arithmetic."""
    if step.plain in CLAMPS:  # at zero it is a ReLU
        least = step.node.args[1] if len(step.node.args) > 1 else step.node.kwargs.get("min")
        return isinstance(least, (int, float)) and least == 0
    return step.plain in NONLINEAR


def lines(steps: Iterable[Step]) -> str:
    """Return where nodes stand, for a headline: 'line 12', 'lines 12, 14 and 15'; '' where no place is known."""
    spans = [span for step in steps if (span := span_of(step)) is not None]
    several = len({span.file for span in spans}) > 1
    shown = list(dict.fromkeys(f"{span.file}:{span.line}" if several else str(span.line) for span in spans))
    if len(shown) > LINES_SHOWN:
        shown = [*shown[:LINES_SHOWN], f"{len(shown) - LINES_SHOWN} more"]
    word = "" if several or not shown else "line " if len(shown) == 1 else "lines "
    return word + listed(shown)


def listed(words: Iterable[str], joint: str = "and") -> str:
    """Return words as one says them: '1, 2 and 3'."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} {joint} {last}" if first else last


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: '1 convolution', '12 convolutions'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def distinct(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings without those that say the same of the same place: both programs have most layers."""
    return tuple({(item.span, item.message): item for item in findings}.values())
