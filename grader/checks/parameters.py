"""The model has fewer learned numbers than the limit.

Counted are all registered parameters, frozen and unused ones too, shared ones once: the number that
`sum(p.numel() for p in model.parameters())` gives. To these are added constants that do the work of weights: tensors
in lists and globals, buffers, literals and seeded random numbers that meet what depends on the image. It does not
matter how they meet it: as the kernel of a convolution or the matrix of a product, as factors, added or subtracted,
compared, as a minimum or a limit, in a distance, joined to it, chosen by it or choosing from it. Prototypes that an
activation is compared with hold what a model knows as well as a matrix does, and a map of fixed numbers that is added
as well as a bias for each position, which would count. So a fixed positional encoding counts like a learned one.

These are no weights:

- up to 16 constants in all: the mean and the deviation of a normalisation, an edge filter, the numbers in a formula;
- statistics that a batch normalisation keeps up to date, with a momentum of 0.001 or more, where it uses them, and
  what torch's own weight and spectral normalisation and pruning keep;
- what repeats: one number along an axis counts once, however long the axis is;
- coordinates: numbers that rise or fall evenly along an axis count as two, and so does a causal mask;
- random numbers that are added, that choose, or that change weights: noise and masks;
- the indices of a learned table whose numbers are added, such as one of biases for each distance: these count where
  they stand, unless the indices look drawn;
- one number that scales a parameter, and zeros and ones that prune one, once for each.

Numbers that are unpacked from fewer, by rounding or bit operations, count as unpacked, and numbers in what looks like
rounding as what they are. So do those that a formula mixes until they look drawn; what it makes of coordinates and is
smooth, such as distances or a bell, stays free. Parts of a tensor count like the tensor, but not more often; what is
made of more than 16 constants by bending them counts beside them, where both are used. A list of places in an index
counts its places. Where Python code uses more than 64 numbers, their order counts beside them: as
many as it has phrases that did not come before.

## Options

- `below`: the count must be less than this.

## Examples

```python
# options: {"below": 200}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
```

```python
# options: {"below": 100}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))  # error: 100 parameters, limit is 100
```

Weights that are not registered count too:

```python
# options: {"below": 80}
filters = [torch.randn(10, 1, 3, 3)]

class Net(nn.Module):
    def forward(self, x):
        return F.conv2d(x, filters[0]).mean((2, 3))  # error: 90 parameters, limit is 80
```

So do prototypes that an activation is only subtracted from:

```python
# options: {"below": 100}
prototypes = torch.randn(10, 8)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3)

    def forward(self, x):
        x = self.conv(x).mean((2, 3))
        return -(x[:, None] - prototypes).abs().sum(2)  # error: 160 parameters, limit is 100
```

Coordinates, and the mean of each channel, do not:

```python
# options: {"below": 150}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("rows", torch.linspace(-1, 1, 28).view(1, 1, 28, 1))
        self.register_buffer("mean", torch.tensor([0.1307]))
        self.conv = nn.Conv2d(2, 7, 3)

    def forward(self, x):
        x = torch.cat([x - self.mean, self.rows.expand_as(x)], 1)
        return self.conv(x).mean((2, 3))
```
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import msgspec

from grader.checks._constants import constants
from grader.checks._head import pooled_head
from grader.checks._subject import Subject, times
from grader.facts import Step
from grader.finding import CheckResult, Finding, Span
from grader.graph import TensorInfo

ID = "parameters"
SHRINKING = (90, 80, 75, 70, 60, 50, 40, 30, 25, 20, 10)  # percent of the channels, to choose from
WIDTH = 32  # the channels of the example


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`below`: the number of parameters must be less than this."""

    below: Annotated[int, msgspec.Meta(ge=1)]


def check(subject: Subject, options: Options) -> CheckResult:
    hidden, places = constants(subject)
    count = subject.registered + hidden
    message = f"{count:,} parameters, limit is {options.below:,}"
    if count < options.below:
        return CheckResult(ID, "pass", message, measured=count, limit=options.below)
    reason = why(subject, hidden)
    if places:
        advice = "Write them as parameters, so that they are counted where they stand, and use fewer."
        found = Finding(ID, "error", message, reason, advice, place(subject, places))
    else:
        found = heaviest(subject, options, Finding(ID, "error", message, reason, "", place(subject, places)))
    return CheckResult(ID, "fail", message, (found,), count, options.below)


def why(subject: Subject, hidden: int) -> str:
    registered = subject.registered
    parts = []
    if hidden:
        parts.append(f"{registered:,} are registered, and {hidden:,} more are constants that work as weights.")
    largest = largest_of(subject)
    if largest is not None:
        size = subject.leaves[largest.id].size
        share = 100 * size / max(registered, 1)
        parts.append(
            f"The largest tensor is {largest.name} ({times(largest.shape or ())}): {size:,} numbers, {share:.0f} %."
        )
    return " ".join(parts)


def heaviest(subject: Subject, options: Options, found: Finding) -> Finding:
    """Return the finding with the way out of the layer that has the most parameters."""
    largest = largest_of(subject)
    readers = ((facts, step) for facts, step in subject.steps() if largest is not None and reads(step, largest))
    facts, step = next(readers, (None, None))
    if facts is None or step is None:
        return replace(found, fix="Use fewer channels, or smaller kernels.")
    found = replace(found, related=subject.made_here(step))
    head = pooled_head(subject, facts, step) if step.kind == "dense" else None
    if head is not None and head.after < subject.registered:
        fix = f"Replace that matrix by {head.code}: {head.parameters:,} parameters."
        return replace(found, fix=fix, after=head.after)
    return replace(found, fix=slimmer(subject, options))


def slimmer(subject: Subject, options: Options) -> str:
    """Return how much narrower the whole model has to be."""
    for percent in SHRINKING:
        count = sum(narrowed(info, percent / 100, subject) for info in subject.graph.of_role("parameter"))
        if count < options.below:
            shown = f"about {round(count, -2):,}" if count > 1000 else f"{count:,}"
            example = f"{WIDTH} become {round(WIDTH * percent / 100)}"
            return f"With {percent} % of the channels everywhere ({example}), {shown} parameters are left."
    return "Use fewer channels, smaller kernels and fewer layers."


def narrowed(info: TensorInfo, factor: float, subject: Subject) -> int:
    """Return about how many numbers a parameter has in a narrower model: the image and the classes keep theirs."""
    shape = info.shape or ()
    kept = (1, subject.classes) if len(shape) == 1 else (1,)
    size = 1
    for axis, extent in enumerate(shape):
        fixed = axis > 1 or extent in kept or (axis == 0 and extent == subject.classes)
        fixed = fixed or (axis == 1 and extent == subject.input_shape[0])
        size *= extent if fixed else max(1, round(extent * factor))
    return size


def reads(step: Step, info: TensorInfo) -> bool:
    return any(operand.id == info.id for operand in step.operands)


def largest_of(subject: Subject) -> TensorInfo | None:
    return max(subject.graph.of_role("parameter"), key=lambda info: subject.leaves[info.id].size, default=None)


def place(subject: Subject, places: list[Span | None]) -> Span | None:
    """Return where the constants are used, or the largest parameter."""
    largest = largest_of(subject)
    uses = [step.node.span for _, step in subject.steps() if largest is not None and reads(step, largest)]
    return next(iter([span for span in [*places, *uses] if span is not None]), subject.graph.span)
