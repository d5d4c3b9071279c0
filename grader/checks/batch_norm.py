"""The model normalises its activations by the statistics of the batch while it trains.

Batch normalisation keeps the scale of every channel steady during training, so that a small network learns in a few
epochs at a high learning rate. The check looks at what runs, not at what is registered: a live batch normalisation
must use batch statistics in training mode and have an effect on the prediction. With it, what is predicted for an image
changes with the other images of its batch; where it does not, its statistics are of single images, or undone later.

Group, layer and instance normalisation are other operators. A layer that is registered and never called, whose result
is thrown away, or that is frozen (always in evaluation mode) does not count, and neither does a normalisation written
by hand. Where it has no effect with the weights that the model starts from, and these get no gradient that would change
that, such as behind a gate that is shut, the rule is undecided.

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
from grader.finding import CheckResult, Finding

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
    matters = bool(acting) and subject.experiments.matters("train", fixed)
    if matters and subject.experiments.mixes("train"):
        count = len(acting)
        message = f"{count} live batch normalisation{'s' if count > 1 else ''}"
        rests = resting(subject, "train", fixed, ID, "batch normalisation", acting[0])
        return rests or CheckResult(ID, "pass", message, measured=count)
    found = alone(subject, acting[0]) if matters else fault(subject, facts, running, acting)
    return CheckResult(ID, "fail", found.message, (found,), measured=0)


def alone(subject: Subject, step: Step) -> Finding:
    """Return the finding for a normalisation after which each image's prediction is still its own."""
    message = "batch normalisation takes no statistics across images: a prediction does not change with its batch"
    fix = "Give the layer the whole batch, (N, C, H, W), and let what it returns be what follows."
    return Finding(ID, "error", message, WHY, fix, span_of(step), related=subject.made_here(step))


def uses_batch(step: Step) -> bool:
    """Tell whether a batch normalisation takes its statistics from the batch: in training, or when it keeps none."""
    return bool(step.argument("training")) or step.operand("running_mean") is None


def fault(subject: Subject, facts: Facts, running: list[Step], acting: list[Step]) -> Finding:
    """Return the finding for the nearest thing to a batch normalisation that was seen."""

    def error(message: str, fix: str, step: Step) -> Finding:
        return Finding(ID, "error", message, WHY, fix, span_of(step), related=subject.made_here(step))

    if acting:
        return error(
            "batch normalisation has no effect on the prediction", "Let its result reach the output.", acting[0]
        )
    frozen = [step for step in running if not uses_batch(step)]
    if frozen:
        fix = "Leave the layer in training mode while the model trains: no .eval() and no training=False."
        return error("batch normalisation is frozen: it never uses batch statistics", fix, frozen[0])
    if running:
        fix = "Use what the layer returns: x = self.norm(x)."
        return error("batch normalisation runs, but its result is not used", fix, running[0])
    unused = subject.unused(*LAYERS)
    if unused:
        path, span = unused[0]
        message = f"batch normalisation is registered as '{path}', but never called"
        return Finding(ID, "error", message, WHY, f"Call self.{path} in forward.", span, "made, but not called")
    others = [step for step in facts.live_steps("norm") if step.short != "normalize"]
    if others:
        return another_norm(subject, others[0])
    by_hand = [step for step in facts.live_steps("reduce") if step.from_input and 0 in integers(step.argument("dim"))]
    if by_hand:
        message = "no batch normalisation: statistics over the batch are computed by hand"
        fix = "Use nn.BatchNorm2d(channels), which also keeps the statistics for evaluation."
        return error(message, fix, by_hand[0])
    return Finding(ID, "error", "no batch normalisation", WHY, FIX, subject.graph.span)


def another_norm(subject: Subject, step: Step) -> Finding:
    """Return the finding for a normalisation of another kind, with the batch normalisation to put in its place."""
    message = f"no batch normalisation: {step.short} is another normalisation"
    images = next((operand for operand in step.operands if operand.from_input), None)
    layer = subject.sole_layer_of(step)
    flat = images is not None and len(images.shape) == 2
    name = "nn.BatchNorm1d" if flat else "nn.BatchNorm2d"
    known = images is not None and len(images.shape) in (2, 4)
    last = images is not None and images.axes == (1, 2)  # channels last
    made = f"{name}({images.shape[-1 if last else 1]})" if images is not None and known else f"{name}(channels)"
    edits = ((layer.span, made),) if known and not last and layer is not None and layer.span is not None else ()
    fix = f"Replace it by {made}{', and give it the channels first: (N, C, H, W)' if last else ''}."
    return Finding(ID, "error", message, WHY, fix, span_of(step), related=subject.made_here(step), edits=edits)
