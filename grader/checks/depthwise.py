"""A depthwise convolution acts on the prediction.

A depthwise convolution gives every channel kernels of its own: `nn.Conv2d(64, 64, 3, groups=64)`. It looks for patterns
in space and mixes no channels; a 1×1 convolution behind it does that. Together, a depthwise-separable convolution, they
take a fraction of the weights and multiplications of an ordinary one. The check looks at what runs: a live convolution
with as many groups as it has input channels, more than one, whose kernels have more than one position and are learned,
must have an effect on the prediction.

A convolution of one channel is not depthwise, and neither are one with fewer groups, one of 1×1 (which scales
channels), a fixed blur, and one whose result is thrown away or multiplied by zero.

## Options

- `expect`: `present` (default), or `absent` for rules that forbid it.
- `separable`: `true` also asks for a 1×1 convolution that mixes the channels afterwards, with nothing but
  normalisation, activation, dropout, pooling, resizing, sums or products between the two. The default is `false`.

## Examples

```python
# options: {"separable": true}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.depthwise = nn.Conv2d(16, 16, 3, groups=16)
        self.pointwise = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        return self.pointwise(F.relu(self.depthwise(self.conv(x)))).mean((2, 3))
```

Four groups of four channels are not one for each channel:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.grouped = nn.Conv2d(16, 16, 3, groups=4)
        self.last = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        x = self.conv(x)
        x = self.grouped(x)  # error: no depthwise convolution: a 3×3 convolution has 4 groups for 16 channels
        return self.last(x).mean((2, 3))
```

Nothing mixes the channels behind this one:

```python
# options: {"separable": true}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.depthwise = nn.Conv2d(10, 10, 3, groups=10)

    def forward(self, x):
        x = self.depthwise(self.conv(x))  # error: no depthwise-separable convolution: no 1×1 convolution follows
        return x.mean((2, 3))
```
"""

from __future__ import annotations

import math
from functools import partial
from typing import Literal

import msgspec

from grader.checks._layers import Convolution, convolutions
from grader.checks._presence import Form, absent, present, widest
from grader.checks._subject import Subject, times
from grader.facts import Facts
from grader.finding import CheckResult

ID = "depthwise"
WHY = "It looks for patterns in each channel by itself, for a fraction of an ordinary convolution's weights."
BETWEEN = frozenset("batch-norm norm activation arithmetic dropout avg-pool max-pool pad resample copy".split())


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`expect`: what a depthwise convolution must be; `separable`: a 1×1 convolution must follow it."""

    expect: Literal["present", "absent"] = "present"
    separable: bool = False


def check(subject: Subject, options: Options) -> CheckResult:
    if options.expect == "absent":
        form = Form(ID, "depthwise convolution", WHY, depthwise, described)
        return absent(subject, form, "Leave out groups=, so that every kernel sees all channels.")
    search = partial(separable if options.separable else learned, subject)
    name = "depthwise-separable convolution" if options.separable else "depthwise convolution"
    return present(subject, Form(ID, name, WHY, search, described), partial(nearest, subject), fix(subject))


def depthwise(facts: Facts) -> list[Convolution]:
    return [layer for layer in convolutions(facts) if layer.depthwise]


def learned(subject: Subject, facts: Facts) -> list[Convolution]:
    return [layer for layer in depthwise(facts) if subject.learned(facts, layer.weight)]


def separable(subject: Subject, facts: Facts) -> list[Convolution]:
    """Return the depthwise convolutions that a 1×1 convolution with an effect follows."""
    alone = {layer.step.index: layer for layer in learned(subject, facts)}
    found: set[int] = set()
    for layer in convolutions(facts):
        followed = before(facts, layer) & (alone.keys() - found) if layer.pointwise else set()
        if followed and subject.experiments.matters(facts.mode, {layer.step.index: "zeros"}):
            found |= followed
    return [alone[index] for index in sorted(found)]


def before(facts: Facts, layer: Convolution) -> set[int]:
    """Return the nodes that a convolution follows, with nothing that computes from several channels between."""
    found: set[int] = set()
    stack = list(layer.images.writers)
    while stack:
        step = facts.steps[stack.pop()]
        if step.index in found:
            continue
        found.add(step.index)
        if step.kind in BETWEEN:
            stack += [writer for given in step.operands if given.from_input for writer in given.writers]
    return found


def described(layer: Convolution) -> str:
    return f"{times(layer.kernel)}, {layer.inputs:,} channels"


def nearest(subject: Subject, facts: Facts) -> tuple[str, Convolution | None]:
    """Return what comes closest to what was asked for, in words, and where it is."""
    whole = depthwise(facts)
    lone = [layer for layer in whole if subject.learned(facts, layer.weight)]
    if lone:
        return "no 1×1 convolution follows", lone[0]
    if whole:
        return "the kernels of this one are fixed, not learned", whole[0]
    grouped = widest(layer for layer in convolutions(facts) if layer.groups > 1)
    if grouped is None:
        return "", None
    size = f"a {times(grouped.kernel)} convolution"
    if grouped.groups == grouped.inputs:
        return f"{size} with a group for each channel only scales them", grouped
    return f"{size} has {grouped.groups} groups for {grouped.inputs} channels", grouped


def fix(subject: Subject) -> str:
    """Return what replaces the largest ordinary convolution, and what that saves."""
    ordinary = [layer for layer in convolutions(subject.facts["eval"]) if math.prod(layer.kernel) > 1]
    layer = widest(layer for layer in ordinary if layer.groups == 1 < layer.inputs and not layer.transposed)
    if layer is None:
        return "Put nn.Conv2d(channels, channels, 3, groups=channels) and a 1×1 convolution behind the first layers."
    inputs, outputs, kernel = layer.inputs, layer.outputs, layer.kernel
    shown = str(kernel[0]) if len(set(kernel)) == 1 else str(kernel)
    pair = f"nn.Conv2d({inputs}, {inputs}, {shown}, groups={inputs}) and nn.Conv2d({inputs}, {outputs}, 1)"
    weights = inputs * math.prod(kernel) + inputs * outputs
    return f"Replace nn.Conv2d({inputs}, {outputs}, {shown}) by {pair}: {weights:,} weights, not {layer.weight.size:,}."
