"""No learned matrix weights the input position by position.

A linear layer gives every input a weight of its own. After flattening, the network learns where things stand instead of
what they are, and most parameters sit in that one layer. The check finds products with learned weights however they are
written: `nn.Linear`, `F.linear`, `matmul`, `@`, `addmm`, `einsum`, `bilinear`, a product and a sum by hand, a recurrent
or attention layer, and a convolution that maps a whole map, or a flattened one, to 1×1. Exactly one side must depend on
the input: products among weights (spectral normalisation) and among activations are not linear layers. A linear layer
inside a squeeze-and-excitation block is still one.

Convolutions with positions as their channels weigh these one by one, too: over a map that was flattened and spread
again, or turned so that its rows are channels. So does a kernel that sees most of the numbers that pooling left, laid
along an axis; channel attention, with a few taps, is none. Patches and pixels that were moved into channels are fine,
as each position of the result still stands for a place. A normalisation with a weight for each position is a product
like any other, where nothing bends what it returns before it is averaged.

Where activations meet more than four learned numbers each, outside of convolutions, these may work as a matrix whatever
is made of them: a sum of exponentials is one of products, and so is a variance or an inverse. Then the rule is
undecided. So it is where fixed masks or factors give the places of a map channels of their own, or copies lie beside
each other under a kernel as large as the map: a convolution may weigh each place then. A mask that all channels share
only shapes a map.

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
from itertools import islice
from typing import Literal

import msgspec

from grader.checks._dense import Dense, by_hand, distance, layer, product, solution
from grader.checks._dense_convolutions import convolution, pointwise_convolutions
from grader.checks._head import pooled_head
from grader.checks._matrices import Meeting, matrices
from grader.checks._places import placed
from grader.checks._subject import MODES, Subject, span_of
from grader.checks._summed import summed_axes
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding, Span
from grader.graph import TensorInfo

ID = "linear"
MOST = 16  # linear layers that are looked at in each mode: one is enough to fail, and each costs an experiment
LAYERS = ("Linear", "LazyLinear", "Bilinear")
FINDERS = {
    "weight": solution,
    "dense": product,
    "conv": convolution,
    "recurrent": layer,
    "attention": layer,
    "arithmetic": distance,
}


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pointwise`: what a 1×1 convolution on a 1×1 map is; `expect`: what a linear layer must be."""

    pointwise: Literal["allow", "note", "forbid"] = "note"
    expect: Literal["absent", "present"] = "absent"


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
    findings = _distinct([finding(subject, dense, options) for dense in found])
    if options.pointwise == "note":
        findings += _distinct([note(dense) for dense in pointwise])
    hidden = _distinct([without_effect(dense) for dense in seen if dense not in found])
    findings += hidden
    findings += [unused(subject, path, span) for path, span in subject.unused(*LAYERS)]
    errors = [item for item in findings if item.level == "error"]
    if errors:
        return CheckResult(ID, "fail", errors[0].message, tuple(findings))
    doubts = _distinct([doubt(meeting) for mode in MODES for meeting in matrices(subject, subject.facts[mode])])
    doubts += _distinct([by_place(step) for mode in MODES for step in placed(subject, subject.facts[mode])])
    if hidden or doubts:  # it may be there for images that were not tried, or by another name
        first = (hidden or doubts)[0]
        return CheckResult(ID, "error", f"can't be told: {first.message}", (*findings, *doubts))
    return CheckResult(ID, "pass", "no linear layer between the image and the prediction", tuple(findings))


def present(subject: Subject, found: list[Dense]) -> CheckResult:
    """Return the result for a course that asks for a linear layer."""
    opens = subject.experiments.opens
    acting = [dense for dense in found if opens(dense.facts.mode, {dense.step.index: "zeros"})]
    if acting:
        return CheckResult(ID, "pass", acting[0].message)
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


def finding(subject: Subject, dense: Dense, options: Options) -> Finding:
    """Return the error for a linear layer, with the convolution and pooling that replace it."""
    step = dense.step
    head = pooled_head(subject, dense.facts, step)
    after = None
    inner = by_channels(dense, options)
    if inner:
        why, fix = "A linear layer inside a block is a linear layer, too; a convolution does the same.", inner
    elif head is None:
        why = "A matrix gives every input its own weight: the classifier learns positions and channels by heart."
        fix = f"End with a convolution to {subject.classes} channels, then nn.AdaptiveAvgPool2d(1) and flatten(1)."
    else:
        why = f"The {head.shape} map is weighted number by number: the classifier learns positions, not features."
        less = f" instead of {dense.size:,}" if dense.size > head.parameters else ""
        fix = f"Leave the map as it is: {head.code}: {head.parameters:,} parameters{less}."
        after = head.after if not dense.fix and head.after < subject.registered else None
    made = subject.made_here(step)
    return Finding(ID, "error", dense.message, why, dense.fix or fix, span_of(step), dense.label, made, after=after)


def by_channels(dense: Dense, options: Options) -> str:
    """Return the 1×1 convolution in place of a layer on the channels of a map, or of a gate of one; '' for others."""
    step = dense.step
    images, weight = step.operand("input"), step.operand("weight")
    if step.kind == "dense" and step.short != "linear" and step.makes_map:
        return mixing_channels(step)
    if step.short != "linear" or images is None or weight is None or len(weight.shape) != 2:
        return ""
    outputs, inputs = weight.shape
    convolution = f"nn.Conv2d({inputs}, {outputs}, 1)"
    if step.makes_map and len(images.shape) - 1 not in images.axes:
        return f"Keep the channels in front of the map, (N, {inputs}, H, W), and use {convolution}."
    gates = any(later.makes_map for later in dense.facts.steps[step.index :] if later.index in dense.facts.live)
    if images.single and gates and options.pointwise != "forbid":
        return f"Keep the pooled map, (N, {inputs}, 1, 1), and use {convolution}."
    return ""


def mixing_channels(step: Step) -> str:
    """Return the 1×1 convolution in place of a product of a map's channels with a matrix; '' for others."""
    images = next(operand for operand in step.operands if operand.from_input)
    matrix = next((operand for operand in step.operands if not operand.from_input and len(operand.shape) == 2), None)
    if matrix is None:
        return ""
    inputs = math.prod(matrix.shape[axis] for axis in summed_axes(step, matrix))
    channels = math.prod(extent for axis, extent in enumerate(images.shape) if axis and axis not in images.axes)
    return f"Use nn.Conv2d({inputs}, {matrix.size // inputs}, 1) on the map." if inputs == channels else ""


def note(dense: Dense) -> Finding:
    why = "After pooling to 1×1 the two are the same; many solutions end this way."
    return Finding(
        ID, "note", dense.message, why, "Put the convolution before the pooling.", span_of(dense.step), dense.label
    )


def without_effect(dense: Dense) -> Finding:
    message = "a linear layer is on the way to the prediction, without an effect on the images that were tried"
    why = "Something keeps it from the prediction, and may not do so for other images."
    return Finding(ID, "warning", message, why, "Delete it.", span_of(dense.step), dense.label)


def doubt(meeting: Meeting) -> Finding:
    """Return the warning for activations that meet as many learned numbers as a matrix has."""
    step = meeting.step
    many = (
        f"{meeting.width:,} activations of an image meet" if meeting.width > 1 else "one activation of an image meets"
    )
    message = f"{many} {meeting.count:,} learned numbers outside of convolutions, as in a linear layer"
    why = "Each may be weighted anew for every output, whatever the operators are called."
    fix = f"Let convolutions do that, or use one number for each activation in {step.short}."
    return Finding(ID, "warning", message, why, fix, span_of(step))


def by_place(step: Step) -> Finding:
    """Return the warning for a convolution over a map whose positions were told apart, or copied whole."""
    message = f"{step.short} may weigh each position of a map by itself: it gets copies, or a channel for each place"
    why = "Fixed masks, and parts or copies that are laid beside each other, tell positions apart, as flattening does."
    fix = "Give it the map as it is."
    return Finding(ID, "warning", message, why, fix, span_of(step))


def unused(subject: Subject, path: str, span: Span | None) -> Finding:
    """Return a warning for a layer that is registered alone, with the parameters that go with it."""
    own = sum(subject.leaves[info.id].size for info in subject.graph.of_role("parameter") if _belongs(info, path))
    message = f"the linear layer '{path}' is registered, but never used"
    why = f"It takes no part in the prediction, but its {own:,} parameters count."
    return Finding(ID, "warning", message, why, f"Delete self.{path}.", span, after=subject.registered - own)


def _belongs(info: TensorInfo, path: str) -> bool:
    """Tell whether a parameter is a module's alone."""
    return info.name.rpartition(".")[0] == path and not info.aliases


def _distinct(findings: list[Finding]) -> list[Finding]:
    """Both programs have the same layer at the same place."""
    return list({(item.span, item.message): item for item in findings}.values())
