"""The model takes fewer multiplications for one image than the limit.

Counted are multiply-accumulate operations (MACs) of convolutions and of matrix products with activations, when the
model predicts one image. Parameters say how large a model is, MACs how much work it is: a convolution of 3×3 on a map
of 28×28 works 784 times for each of its weights, one on 7×7 only 49 times. Normalisation, activations and pooling are
not counted; they take little beside.

## Options

- `below`: the count must be less than this.

## Examples

```python
# options: {"below": 70000}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
```

```python
# options: {"below": 60000}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))  # error: 60,840 multiplications for one image, limit is 60,000
```
"""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from grader.checks._layers import convolution
from grader.checks._subject import Subject, span_of, times
from grader.checks._summed import summed_axes
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding, Span
from grader.kinds import MULTIPLYING

ID = "macs"
DEAREST = 3  # layers that are shown
# Matrix products that sum over the last axis of their left operand.
MATRIX = frozenset("linear matmul __matmul__ __rmatmul__ mm bmm mv addmm baddbmm addmv".split())


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`below`: the number of multiplications for one image must be less than this."""

    below: Annotated[int, msgspec.Meta(ge=1)]


def check(subject: Subject, options: Options) -> CheckResult:
    facts = subject.facts["eval"]
    layers = [(step, macs(step, facts)) for step in facts.given.live_steps(*MULTIPLYING) if step.from_input]
    count = sum(number for _, number in layers)
    message = f"{count:,} multiplications for one image, limit is {options.below:,}"
    if count < options.below:
        return CheckResult(ID, "pass", message, measured=count, limit=options.below)
    layers.sort(key=lambda layer: -layer[1])
    finding = Finding(
        ID,
        "error",
        message,
        why(layers, count),
        fix(layers[0][0]),
        span_of(layers[0][0]) or subject.graph.span,
        f"{layers[0][1]:,} of them here",
        related(layers[1:DEAREST]),
    )
    return CheckResult(ID, "fail", message, (finding,), count, options.below)


def macs(step: Step, facts: Facts) -> int:
    """Return the multiplications of a node for one image."""
    return -(-_of_batch(step) // facts.batch)


def _of_batch(step: Step) -> int:
    layer = convolution(step)
    made = math.prod(step.shapes[0]) if step.shapes else 0
    if layer is not None:
        # An ordinary one makes each number of its result from all taps, a transposed one uses each that it is given so.
        return (layer.images.size if layer.transposed else made) * layer.weight.size // max(layer.weight.shape[0], 1)
    left = step.operand("input")
    if step.short in MATRIX and left is not None and left.shape:
        return made * left.shape[-1]
    if step.short in ("einsum", "tensordot", "inner") and len(step.operands) == 2:
        operand = step.operands[0]
        return made * math.prod(operand.shape[axis] for axis in summed_axes(step, operand))
    return step.macs


def name(step: Step) -> str:
    """Return a layer as one says it: 'conv5 (conv2d to 16×9×9)'."""
    made = f"{step.short} to {times(step.shapes[0][1:])}" if step.shapes else step.short
    return f"{step.node.module} ({made})" if step.node.module else made


def why(layers: list[tuple[Step, int]], count: int) -> str:
    parts = [f"{name(step)}: {number:,}, {100 * number / max(count, 1):.0f} %" for step, number in layers[:DEAREST]]
    return f"The dearest {'layer is' if len(parts) == 1 else 'layers are'} {'; '.join(parts)}."


def fix(step: Step) -> str:
    layer = convolution(step)
    if layer is None:
        return "Give that layer fewer inputs or outputs: pool before it."
    if layer.groups == 1 < layer.inputs and math.prod(layer.kernel) > 1:
        return (
            "Pool before that convolution: half the height and width take a quarter of its work. Or make it depthwise."
        )
    return (
        "Pool before that convolution: half the height and width take a quarter of its work. Or give it fewer channels."
    )


def related(layers: list[tuple[Step, int]]) -> tuple[tuple[Span, str], ...]:
    return tuple((span, f"{number:,} here") for step, number in layers if (span := span_of(step)) is not None)
