"""The model normalises its activations by the statistics of the batch while it trains.

Batch normalisation keeps the scale of every channel steady during training, so that a small network learns in a few
epochs at a high learning rate. The check looks at what runs, not at what is registered: a live batch normalisation
must use batch statistics in training mode and have an effect on the prediction.

Group, layer and instance normalisation are other operators. A layer that is registered and never called, whose result
is thrown away, or that is frozen (always in evaluation mode) does not count, and neither does a normalisation written
by hand.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.BatchNorm2d(10)

    def forward(self, x):
        return self.norm(self.conv(x)).mean((2, 3))
```

A frozen layer never sees batch statistics:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.BatchNorm2d(10)

    def forward(self, x):
        self.norm.eval()
        x = self.norm(self.conv(x))  # error: batch normalisation is frozen: it never uses batch statistics
        return x.mean((2, 3))
```

Group normalisation is something else:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.GroupNorm(2, 10)

    def forward(self, x):
        x = self.norm(self.conv(x))  # error: no batch normalisation: group_norm is another normalisation
        return x.mean((2, 3))
```
"""

from __future__ import annotations

import msgspec

from grader.checks._subject import Replacement, Subject, resting, span_of
from grader.facts import Facts, Step, integers
from grader.finding import CheckResult, Finding, Span

ID = "batch-norm"
WHY = "Batch normalisation keeps every channel's scale steady, so a small network trains fast at a high learning rate."
FIX = "Put nn.BatchNorm2d(channels) after a convolution and call it in forward."
LAYERS = (
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "SyncBatchNorm",
)


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This check has no options."""


def check(subject: Subject, options: Options) -> CheckResult:
    facts = subject.facts["train"]
    running = [step for step in facts.steps if step.kind == "batch-norm"]
    acting = [step for step in running if step.index in facts.live and step.from_input and uses_batch(step)]
    fixed: dict[int, Replacement] = {step.index: "fixed-statistics" for step in acting}
    if acting and subject.experiments.matters("train", fixed):
        if not subject.experiments.endures("train", fixed):
            return resting(ID, "batch normalisation", acting[0])
        count = len(acting)
        return CheckResult(ID, "pass", f"{count} live batch normalisation{'s' if count > 1 else ''}", measured=count)
    message, span, fix = fault(subject, facts, running, acting)
    return CheckResult(ID, "fail", message, (Finding(ID, "error", message, WHY, fix, span),), measured=0)


def uses_batch(step: Step) -> bool:
    """Tell whether a batch normalisation takes its statistics from the batch: in training, or when it keeps none."""
    return bool(step.argument("training")) or step.operand("running_mean") is None


def fault(subject: Subject, facts: Facts, running: list[Step], acting: list[Step]) -> tuple[str, Span | None, str]:
    """Return the headline, the place and the way out, for the nearest thing to a batch normalisation that was seen."""
    if acting:
        return (
            "batch normalisation has no effect on the prediction",
            span_of(acting[0]),
            "Let its result reach the output.",
        )
    frozen = [step for step in running if not uses_batch(step)]
    if frozen:
        fix = "Leave the layer in training mode while the model trains: no .eval() and no training=False."
        return "batch normalisation is frozen: it never uses batch statistics", span_of(frozen[0]), fix
    if running:
        fix = "Use what the layer returns: x = self.norm(x)."
        return "batch normalisation runs, but its result is not used", span_of(running[0]), fix
    unused = subject.unused(*LAYERS)
    if unused:
        path, span = unused[0]
        return f"batch normalisation is registered as '{path}', but never called", span, f"Call self.{path} in forward."
    others = [step for step in facts.live_steps("norm") if step.short != "normalize"]
    if others:
        fix = "Replace it by nn.BatchNorm2d(channels)."
        return f"no batch normalisation: {others[0].short} is another normalisation", span_of(others[0]), fix
    by_hand = [step for step in facts.live_steps("reduce") if step.from_input and 0 in integers(step.argument("dim"))]
    if by_hand:
        message = "no batch normalisation: statistics over the batch are computed by hand"
        return (
            message,
            span_of(by_hand[0]),
            "Use nn.BatchNorm2d(channels), which also keeps the statistics for evaluation.",
        )
    return "no batch normalisation", subject.graph.span, FIX
