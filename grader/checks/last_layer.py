"""Nothing bends or drops the scores between the last layer and the output.

The last layer's results are the scores of the classes. A ReLU behind it sets all negative scores to zero: where all
are negative, all classes are alike and no gradient gets back. A sigmoid squeezes scores into a range too small for
cross-entropy. A dropout sets the score of the right class to zero now and then. Softmax, log-softmax, pooling and
changes of shape belong there.

The check goes back from the prediction to the last layers with weights (convolutions and matrix products, over all
paths) and looks at all that lies between. An activation that never changes a number on the images that were tried, such
as a ReLU behind a softmax, is no fault.

## Options

- `batch_norm`: `allow` (default) or `forbid` a batch normalisation behind the last layer.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 10, 3)

    def forward(self, x):
        x = self.conv2(F.relu(self.conv1(x)))
        return F.log_softmax(x.mean((2, 3)), dim=1)
```

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 10, 3)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))  # error: relu bends the scores of the last layer
        x = self.drop(x)  # error: dropout drops scores of the last layer
        return F.log_softmax(x.mean((2, 3)), dim=1)
```

```python
# options: {"batch_norm": "forbid"}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.BatchNorm2d(10)

    def forward(self, x):
        x = self.norm(self.conv(x))  # error: batch normalisation rescales the scores of the last layer
        return x.mean((2, 3))
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from grader.checks._layers import distinct, is_activation, is_layer
from grader.checks._subject import MODES, Replacement, Subject, span_of
from grader.checks.dropout import acts
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding
from grader.graph import Mode

ID = "last-layer"
CLAMPS = frozenset(("clamp", "clip", "clamp_min", "clamp_max"))
EXTREMES = frozenset(("maximum", "minimum", "fmax", "fmin"))
BENDS = "Scores must be free to fall below zero: where all are cut off, classes are alike and no gradient gets back."
DROPS = "The score of the right class is zero now and then, and nothing behind it can make up for that."
RESCALES = "Every score is then measured against the other images of its batch."


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`batch_norm`: what a batch normalisation behind the last layer is."""

    batch_norm: Literal["allow", "forbid"] = "allow"


def check(subject: Subject, options: Options) -> CheckResult:
    found = []
    layers: list[Step] = []
    for mode in MODES:
        facts = subject.facts[mode]
        between, layers = behind_last_layer(subject, facts)
        found += [item for step in between for item in fault(subject, mode, step, layers, options)]
    findings = distinct(found)
    if findings:
        return CheckResult(ID, "fail", findings[0].message, findings)
    if not layers:
        return CheckResult(ID, "error", "can't be told: no layer with weights leads to the prediction")
    return CheckResult(ID, "pass", f"nothing bends the scores behind {name(layers[-1])}")


def behind_last_layer(subject: Subject, facts: Facts) -> tuple[list[Step], list[Step]]:
    """Return the nodes between the last layers with weights and the prediction, and these layers, each in order."""
    between, layers = set(), set()
    stack = list(facts.primary.writers) if facts.primary is not None else []
    while stack:
        index = stack.pop()
        step = facts.steps[index]
        if index in between or not step.from_input:
            continue
        if is_layer(subject, facts, step):
            layers.add(index)
            continue
        between.add(index)
        stack += [writer for given in step.operands if given.from_input for writer in given.writers]
    return [facts.steps[index] for index in sorted(between)], [facts.steps[index] for index in sorted(layers)]


def fault(subject: Subject, mode: Mode, step: Step, layers: list[Step], options: Options) -> Iterator[Finding]:
    """Yield what is wrong with a node behind the last layer, if it has an effect."""
    row = row_of(step, options)
    if row is None or not layers:
        return
    words, why, replacement = row
    if subject.experiments.matters(mode, {step.index: replacement}):
        fix = f"Leave it out: let {name(layers[-1])} be followed by pooling, a change of shape or log_softmax alone."
        related = tuple((span, "the last layer with weights") for layer in layers[-1:] if (span := span_of(layer)))
        yield Finding(ID, "error", f"{words} of the last layer", why, fix, span_of(step), related=related)


def row_of(step: Step, options: Options) -> tuple[str, str, Replacement] | None:
    """Return what a node does to the scores, why that is a fault, and what to put in its place to see its effect."""
    if is_activation(step) or step.plain in CLAMPS:
        return f"{step.plain} bends the scores", BENDS, "zeros" if step.plain == "glu" else "identity"
    if step.kind == "compare" or (step.plain in EXTREMES and sum(given.from_input for given in step.operands) == 1):
        return f"{step.plain} bends the scores", BENDS, "zeros"
    if step.kind == "dropout" and acts(step):
        return "dropout drops scores", DROPS, "identity"
    if step.kind == "batch-norm" and options.batch_norm == "forbid":
        return "batch normalisation rescales the scores", RESCALES, "zeros"
    return None


def name(step: Step) -> str:
    """Return a layer as its model calls it, or as torch does."""
    return step.node.module or step.short
