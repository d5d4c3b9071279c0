"""No learned matrix weights the input position by position.

A linear layer gives every input a weight of its own. After flattening, the network learns where things stand instead of
what they are, and most parameters sit in that one layer. The check finds products with learned weights however they are
written: `nn.Linear`, `F.linear`, `matmul`, `@`, `addmm`, `einsum`, `bilinear`, a product and a sum by hand, a recurrent
or attention layer, and a convolution that maps a whole map, or a flattened one, to 1×1. Exactly one side must depend on
the input: products among weights (spectral normalisation) and among activations are not linear layers. A linear layer
inside a squeeze-and-excitation block is still one.

Convolutions with positions as their channels weigh these one by one, too: over a map that was flattened and spread
again, or turned so that its rows are channels. Patches and pixels that were moved into channels are fine, as each
position of the result still stands for a place. A normalisation with a weight for each position is a product like any
other, where nothing bends what it returns before it is averaged.

A 1×1 convolution on a map of 1×1 computes what a linear layer computes. By default that is a note.

## Options

- `pointwise`: `allow`, `note` (default) or `forbid` a 1×1 convolution on a 1×1 map.
- `expect`: `absent` (default), or `present` for a course that asks for a linear layer.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
```

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        return self.fc(self.conv(x).mean((2, 3)))  # error: a linear layer (16 × 10 weights) makes the prediction
```

A convolution as large as the map is a linear layer in disguise:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 28)

    def forward(self, x):
        return self.conv(x).flatten(1)  # error: a convolution as large as its 28×28 map is a linear layer
```

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.last = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.conv(x), 1)
        return self.last(x).flatten(1)  # note: a 1×1 convolution on a 1×1 map computes what a linear layer computes
```
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import msgspec

from grader.checks._head import pooled_head
from grader.checks._laid import laid_out
from grader.checks._products import OFFSETS, behind, is_product, plain, position_scale, summed_by, written_out
from grader.checks._subject import MODES, Subject, span_of, times
from grader.facts import Facts, Operand, Step, integers
from grader.finding import CheckResult, Finding, Span
from grader.graph import Items, TensorInfo
from grader.layout import over_flattened

ID = "linear"
MOST = 16  # linear layers that are looked at in each mode: one is enough to fail, and each costs an experiment
LAYERS = ("Linear", "LazyLinear", "Bilinear")
ROWS = frozenset(("inner", "cdist"))  # of both operands are summed over
DISTANCES = frozenset(("cosine_similarity", "pairwise_distance"))


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pointwise`: what a 1×1 convolution on a 1×1 map is; `expect`: what a linear layer must be."""

    pointwise: Literal["allow", "note", "forbid"] = "note"
    expect: Literal["absent", "present"] = "absent"


@dataclass(frozen=True)
class Dense:
    """A linear layer that was found: where, what to call it, and its weights."""

    facts: Facts
    step: Step
    message: str
    label: str = ""
    size: int = 0
    fix: str = ""


def check(subject: Subject, options: Options) -> CheckResult:
    seen = [dense for mode in MODES for dense in islice(search(subject, subject.facts[mode]), MOST)]
    found = [dense for dense in seen if matters(subject, dense)]
    known = {(dense.facts.mode, dense.step.index) for dense in seen}
    silent = [dense for mode in MODES for dense in islice(search(subject, subject.facts[mode].given), MOST)]
    seen += [dense for dense in silent if (dense.facts.mode, dense.step.index) not in known]
    pointwise = [dense for mode in MODES for dense in pointwise_convolutions(subject, subject.facts[mode])]
    if options.pointwise == "forbid":
        found += pointwise
    if options.expect == "present":
        return present(subject, found)
    findings = _distinct([finding(subject, dense) for dense in found])
    if options.pointwise == "note":
        findings += _distinct([note(dense) for dense in pointwise])
    hidden = _distinct([without_effect(dense) for dense in seen if dense not in found])
    findings += hidden
    findings += [unused(subject, path, span) for path, span in subject.unused(*LAYERS)]
    errors = [item for item in findings if item.level == "error"]
    if errors:
        return CheckResult(ID, "fail", errors[0].message, tuple(findings))
    if hidden:  # it may be there for images that were not tried
        return CheckResult(ID, "error", f"can't be told: {hidden[0].message}", tuple(findings))
    return CheckResult(ID, "pass", "no linear layer between the image and the prediction", tuple(findings))


def present(subject: Subject, found: list[Dense]) -> CheckResult:
    """Return the result for a course that asks for a linear layer."""
    if found:
        return CheckResult(ID, "pass", found[0].message)
    message = "no linear layer makes the prediction"
    why = "These rules ask for a linear layer."
    item = Finding(ID, "error", message, why, "Flatten the last map and apply nn.Linear.", subject.graph.span)
    return CheckResult(ID, "fail", message, (item,))


def search(subject: Subject, facts: Facts) -> Iterator[Dense]:
    """Yield the live linear layers of one program."""
    for step in facts.steps:
        if step.index not in facts.live or not step.from_input:
            continue
        dense = FINDERS[step.kind](subject, facts, step) if step.kind in FINDERS else None
        if dense is None:
            dense = by_hand(subject, facts, step)
        if dense is not None:
            yield dense


def matters(subject: Subject, dense: Dense) -> bool:
    """Tell whether a linear layer has an effect on the prediction."""
    return subject.experiments.matters(dense.facts.mode, {dense.step.index: "zeros"})


def product(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a matrix product of an activation and weights that differ along the axes that are summed."""
    given = factors(step)
    weights = [operand for operand in given if not operand.from_input or is_scaled(facts, step, operand)]
    if not weights and len(given) > 1:
        steady = subject.experiments.steady
        weights = [each for each in given if steady(facts.mode, step.index, each.id, summed_axes(step, each))]
    if not weights or len(weights) == len(given):
        return None
    weight = max(weights, key=lambda operand: operand.size)
    axes = summed_axes(step, weight)
    if math.prod(weight.shape[axis] for axis in axes) <= 1:
        return None
    if not subject.experiments.varies(facts.mode, step.index, weight.id, axes):
        return None
    shape = times_spaced(weight, axes)
    later = any(other.index > step.index for other in facts.live_steps("conv", "dense"))
    place = "is on the way to the prediction" if later else "makes the prediction"
    message = f"a linear layer ({shape} weights) {place}"
    return Dense(facts, step, message, f"{shape} weights applied here", weight.size)


def is_scaled(facts: Facts, step: Step, operand: Operand) -> bool:
    """Tell whether an operand is weights that an activation only scales or shifts as a whole: W * s(x)."""
    axes = summed_axes(step, operand)
    summed = math.prod(operand.shape[axis] for axis in axes)
    stack = [(index, axes) for index in operand.writers]
    seen: set[int] = set()
    while stack:
        index, kept = stack.pop()
        writer = facts.steps[index]
        inside = [given for given in writer.operands if given.from_input]
        outside = [given for given in writer.operands if not given.from_input and given.size > 1]
        if index in seen or not writer.shapes:
            continue
        seen.add(index)
        if outside and inside and (is_product(writer) or plain(writer) in OFFSETS):
            if kept:
                return all(_extent(given, axis - len(operand.shape)) == 1 for given in inside for axis in kept)
            return all(given.size * summed <= math.prod(writer.shapes[0]) for given in inside)
        if writer.kind in ("reshape", "permute", "copy", "expand", "activation"):
            further = kept if writer.kind in ("copy", "activation") else ()  # which axes these were is not followed
            stack.extend((before, further) for given in inside for before in given.writers)
    return False


def _extent(operand: Operand, axis: int) -> int:
    """Return an extent by an axis counted from the end: 1 where broadcasting adds the axis."""
    return operand.shape[axis] if -axis <= len(operand.shape) else 1


def distance(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find activations compared with learned vectors: the scores are linear in the activations."""
    weights = [operand for operand in step.operands if not operand.from_input and operand.size > 1]
    if step.short not in DISTANCES or not weights:
        return None
    shape = times(weights[0].shape)
    message = f"{step.short} with {shape} learned numbers is a linear layer"
    return Dense(facts, step, message, f"{shape} weights applied here", weights[0].size)


def factors(step: Step) -> list[Operand]:
    """Return the operands that are multiplied: a bias is none."""
    bias = step.operand("bias")
    return [operand for operand in step.operands if bias is None or operand.id != bias.id]


def summed_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    """Return the axes of the weights over which a product sums."""
    count = len(weight.shape)
    every = tuple(range(count))
    if step.short in ("linear", "bilinear"):
        return every[1:] if count > 1 else every
    if step.short == "einsum":
        return _einsum_axes(step, weight)
    if step.short == "tensordot":
        return _tensordot_axes(step, weight)
    if step.short in ("outer", "addr"):
        return ()
    if count == 1:
        return every
    left = step.operand("input")
    return (count - 1,) if (left is not None and left.id == weight.id) or step.short in ROWS else (count - 2,)


def _einsum_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    equation = step.node.args[0] if step.node.args else ""
    every = tuple(range(len(weight.shape)))
    if not isinstance(equation, str) or "." in equation:
        return every
    left, _, right = equation.replace(" ", "").partition("->")
    labels = left.split(",")
    place = [operand.id for operand in step.operands].index(weight.id)
    if place >= len(labels) or len(labels[place]) != len(weight.shape):
        return every
    others = "".join(label for number, label in enumerate(labels) if number != place)
    return tuple(axis for axis, label in enumerate(labels[place]) if label not in right and label in others)


def _tensordot_axes(step: Step, weight: Operand) -> tuple[int, ...]:
    dims = step.argument("dims")
    count = len(weight.shape)
    left = step.operand("input")
    is_left = left is not None and left.id == weight.id
    if isinstance(dims, int):
        return tuple(range(count - dims, count)) if is_left else tuple(range(dims))
    if isinstance(dims, Items) and len(dims.items) == 2:
        return tuple(axis % count for axis in integers(dims.items[0 if is_left else 1]))
    return tuple(range(count))


def convolution(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a convolution that maps a whole map, or a flattened one, to 1×1, or whose kernel is the activation."""
    images, weight = step.operand("input"), step.operand("weight")
    if images is None or weight is None:
        return None
    if weight.from_input:
        if images.from_input:
            return None
        message = "a convolution with an activation as its kernel weights that activation like a linear layer"
        return Dense(facts, step, message, f"{times(images.shape)} weights applied here", images.size)
    label = f"{times(weight.shape)} weights applied here"
    folded = images.shape[0] > facts.batch  # rows or columns as images of their own
    if (folded or not over_flattened(images)) and not covers_map(step, images, weight):
        if not among_channels(subject, facts, step, images, weight):
            return None
        message = "a convolution with positions of a map as its channels is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if not subject.experiments.varies(facts.mode, step.index, weight.id, inputs_of(step, weight)):
        return None
    if over_flattened(images):
        shape = times(images.shape[1:])
        message = f"a convolution over a flattened map ({shape}) is a linear layer"
        return Dense(facts, step, message, label, weight.size)
    if math.prod(images.shape[2:]) > 1:
        shape = times(images.shape[2:])
        return Dense(facts, step, f"a convolution as large as its {shape} map is a linear layer", label, weight.size)
    return None


def among_channels(subject: Subject, facts: Facts, step: Step, images: Operand, weight: Operand) -> bool:
    """Tell whether positions of a map stand among the channels, so that each is weighted by its own number."""
    layout = laid_out(facts, images)
    if not layout.edges or not subject.experiments.gathers(facts.mode, step.index, images.id, layout):
        return False
    grouped = weight.shape[1] < images.shape[1]
    axes = tuple(range(len(weight.shape))) if grouped else inputs_of(step, weight)
    return subject.experiments.varies(facts.mode, step.index, weight.id, axes)


def inputs_of(step: Step, weight: Operand) -> tuple[int, ...]:
    """Return the axes of a kernel along which its inputs differ."""
    outputs = 1 if "transpose" in step.short else 0
    return tuple(axis for axis in range(len(weight.shape)) if axis != outputs)


def covers_map(step: Step, images: Operand, weight: Operand) -> bool:
    """Tell whether a convolution has one output position, which sees every input position.

    The depth of a convolution in three dimensions is left out: an image has none, it may have any use.
    """
    depth = max(len(images.shape) - IMAGE_AXES, 0)
    if not step.shapes or math.prod(step.shapes[0][2 + depth :]) != 1 or len(weight.shape) != len(images.shape):
        return False
    rows = zip(images.shape[2:], weight.shape[2:], *(options(step, name, images) for name in OPTIONS), strict=True)
    covers = transposed_covers if "transpose" in step.short else plain_covers
    return all(covers(*row) for row in list(rows)[depth:])


def options(step: Step, name: str, images: Operand) -> tuple[int, ...]:
    """Return an option of a convolution for each axis of what it is given."""
    count = len(images.shape) - 2
    given = integers(step.argument(name)) or (OPTIONS[name],)
    return given if len(given) == count else given[:1] * count


OPTIONS = {"padding": 0, "dilation": 1, "stride": 1}
IMAGE_AXES = 4  # of a batch of images


def plain_covers(extent: int, kernel: int, padding: int, dilation: int, stride: int) -> bool:
    return extent == 1 or (dilation == 1 and kernel - padding >= extent)


def transposed_covers(extent: int, kernel: int, padding: int, dilation: int, stride: int) -> bool:
    """Position i meets the tap at padding - i · stride."""
    return extent == 1 or (dilation == 1 and padding < kernel and padding >= (extent - 1) * stride)


def pointwise_convolutions(subject: Subject, facts: Facts) -> Iterator[Dense]:
    """Yield convolutions on a map of 1×1 that was pooled, not flattened."""
    for step in facts.live_steps("conv"):
        images, weight = step.operand("input"), step.operand("weight")
        if images is None or weight is None or not images.from_input or weight.from_input or over_flattened(images):
            continue
        if len(images.shape) > 2 and math.prod(images.shape[2:]) == 1 and weight.shape[1] > 1:
            message = "a 1×1 convolution on a 1×1 map computes what a linear layer computes"
            yield Dense(facts, step, message, f"{times(weight.shape[:2])} weights applied here", weight.size)


def layer(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Recurrent and attention layers multiply by learned matrices; a mask of attention is only added."""
    mask = step.operand("attn_mask")
    given = [operand for operand in step.operands if mask is None or operand.id != mask.id]
    weights = [operand for operand in given if not operand.from_input and len(operand.shape) > 1]
    if not weights:
        return None
    weight = max(weights, key=lambda operand: operand.size)
    shape = times(weight.shape)
    return Dense(
        facts,
        step,
        f"{step.short} contains linear layers ({shape} weights)",
        f"{shape} weights applied here",
        weight.size,
    )


def solution(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """A system of equations with learned coefficients multiplies by the inverse of their matrix."""
    weights = [operand for operand in step.operands[:1] if not operand.from_input and operand.size > 1]
    if step.short != "solve" or not weights:
        return None
    shape = times(weights[0].shape)
    message = f"the solution of equations with {shape} coefficients is a linear layer"
    return Dense(facts, step, message, f"{shape} coefficients applied here", weights[0].size)


FINDERS = {
    "weight": solution,
    "dense": product,
    "conv": convolution,
    "recurrent": layer,
    "attention": layer,
    "arithmetic": distance,
}


def by_hand(subject: Subject, facts: Facts, step: Step) -> Dense | None:
    """Find a product with weights whose results are summed over axes along which the weights differ."""
    parts = written_out(facts, step)
    if parts:
        message = "a written-out sum of products with weights makes a linear layer by hand"
        return Dense(facts, parts[0][0], message, "one of the products", sum(weight.size for _, weight in parts))
    summed = summed_by(step)
    if summed is None:
        return None
    operand, axes = summed
    found = behind(facts, operand)
    if found.sources and found.bends:
        found = behind(facts, operand, subject.experiments.bent(facts.mode, found.bends))
    if not found.sources or not subject.experiments.carried(facts.mode, found.route(step, operand, axes)):
        return None
    source, weight = max(found.sources, key=lambda pair: pair[1].size)
    shape = times(weight.shape)
    message, fix = f"a product with {shape} weights and a sum make a linear layer by hand", ""
    if position_scale(source) is not None:
        message = f"{source.short} with {shape} weights, one for each position, and a sum make a linear layer"
        fix = "Normalise with a weight for each channel, by nn.BatchNorm2d or nn.GroupNorm, or without weights."
    return Dense(facts, source, message, f"multiplied by {shape} weights here", weight.size, fix)


def finding(subject: Subject, dense: Dense) -> Finding:
    """Return the error for a linear layer, with the convolution and pooling that replace it."""
    step = dense.step
    head = pooled_head(subject, dense.facts, step)
    if head is None:
        why = "A matrix gives every input its own weight: the classifier learns positions and channels by heart."
        fix = f"End with a convolution to {subject.classes} channels, then nn.AdaptiveAvgPool2d(1) and flatten(1)."
    else:
        why = f"The {head.shape} map is weighted number by number: the classifier learns positions, not features."
        less = f" instead of {dense.size:,}" if dense.size > head.parameters else ""
        fix = f"Leave the map as it is: {head.code}: {head.parameters:,} parameters{less}."
    after = head.after if head is not None and not dense.fix and head.after < subject.registered else None
    made = subject.made_here(step)
    return Finding(ID, "error", dense.message, why, dense.fix or fix, span_of(step), dense.label, made, after=after)


def note(dense: Dense) -> Finding:
    why = "After pooling to 1×1 the two are the same; many solutions end this way."
    return Finding(
        ID, "note", dense.message, why, "Put the convolution before the pooling.", span_of(dense.step), dense.label
    )


def without_effect(dense: Dense) -> Finding:
    message = "a linear layer is on the way to the prediction, without an effect on the images that were tried"
    why = "Something keeps it from the prediction, and may not do so for other images."
    return Finding(ID, "warning", message, why, "Delete it.", span_of(dense.step), dense.label)


def unused(subject: Subject, path: str, span: Span | None) -> Finding:
    """Return a warning for a layer that is registered alone, with the parameters that go with it."""
    own = sum(subject.leaves[info.id].size for info in subject.graph.of_role("parameter") if _belongs(info, path))
    message = f"the linear layer '{path}' is registered, but never used"
    why = f"It takes no part in the prediction, but its {own:,} parameters count."
    return Finding(ID, "warning", message, why, f"Delete self.{path}.", span, after=subject.registered - own)


def _belongs(info: TensorInfo, path: str) -> bool:
    """Tell whether a parameter is a module's alone."""
    return info.name.rpartition(".")[0] == path and not info.aliases


def times_spaced(weight: Operand, axes: tuple[int, ...]) -> str:
    """Return 'inputs × outputs' of a weight tensor."""
    inputs = math.prod(weight.shape[axis] for axis in axes)
    return f"{inputs:,} × {weight.size // max(inputs, 1):,}"


def _distinct(findings: list[Finding]) -> list[Finding]:
    """Both programs have the same layer at the same place."""
    return list({(item.span, item.message): item for item in findings}.values())
