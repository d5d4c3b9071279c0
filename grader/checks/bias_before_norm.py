"""No bias is learned that a batch normalisation cancels at once.

Batch normalisation subtracts the mean of every channel, and with it whatever the layer before has added to that
channel. Such a bias has no effect in training, gets no gradient, and counts as parameters all the same; the
normalisation's own shift does its work. The check finds convolutions and linear layers with a learned bias whose
results go to batch normalisations and nowhere else, in training. One whose result is also used in another way, or goes
through an activation first, keeps its bias.

It is usually a rule of the level `warning`: the model works, but it wastes parameters.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3, bias=False)
        self.norm = nn.BatchNorm2d(10)
        self.last = nn.Conv2d(10, 10, 1)

    def forward(self, x):
        return self.last(F.relu(self.norm(self.conv(x)))).mean((2, 3))
```

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.norm = nn.BatchNorm2d(10)
        self.last = nn.Conv2d(10, 10, 1)

    def forward(self, x):
        x = self.conv(x)  # error: the batch normalisation behind conv cancels its bias: 10 parameters do nothing
        return self.last(F.relu(self.norm(x))).mean((2, 3))
```
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from grader.checks._layers import Convolution, convolution, counted, per_axis
from grader.checks._subject import Subject, span_of
from grader.checks.batch_norm import uses_batch
from grader.facts import Facts, Operand, Step
from grader.finding import CheckResult, Finding

ID = "bias-before-norm"
WHY = "Batch normalisation subtracts each channel's mean, and the bias with it; its own shift takes the bias's place."

NOT_ALL = "Leave out the bias of these layers; others that are made at the same place need theirs."


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This check has no options."""


@dataclass(frozen=True)
class Wasted:
    """A layer whose bias a batch normalisation cancels."""

    step: Step
    bias: Operand
    norm: Step


def check(subject: Subject, options: Options) -> CheckResult:
    found = cancelled(subject, subject.facts["train"])
    if not found:
        return CheckResult(ID, "pass", "no bias is cancelled by a batch normalisation", measured=0)
    findings = tuple(finding(subject, group) for group in by_place(subject, found))
    total = sum(item.bias.size for item in found)
    verb = "has" if len(found) == 1 else "have"
    message = f"{counted(len(found), 'layer')} {verb} a bias that batch normalisation cancels: {wasted(total)}"
    return CheckResult(ID, "fail", findings[0].message if len(findings) == 1 else message, findings, total)


def by_place(subject: Subject, found: list[Wasted]) -> list[list[Wasted]]:
    """Return layers in groups of those that are made at the same place, by a helper or a loop."""
    groups: dict[object, list[Wasted]] = {}
    for item in found:
        layer = subject.layer_of(item.step)
        place = layer.span if layer is not None and layer.span is not None else item.step.index
        groups.setdefault(place, []).append(item)
    return list(groups.values())


def wasted(count: int) -> str:
    return f"{counted(count, 'parameter')} {'does' if count == 1 else 'do'} nothing"


def cancelled(subject: Subject, facts: Facts) -> list[Wasted]:
    """Return the layers whose bias is cancelled wherever it is used, each bias once."""
    registered = {info.id for info in subject.graph.of_role("parameter")}
    uses: dict[int, list[Wasted | None]] = {}
    for step in facts.live_steps("conv", "dense"):
        bias = step.operand("bias")
        if bias is not None and bias.leaf in registered:
            norm = norm_behind(facts, step)
            uses.setdefault(bias.id, []).append(Wasted(step, bias, norm) if norm is not None else None)
    return [found[0] for found in uses.values() if found[0] is not None and None not in found]


def norm_behind(facts: Facts, step: Step) -> Step | None:
    """Return the batch normalisation that a result goes to; None where it goes elsewhere too."""
    if any(step.index in operand.writers for operand in facts.output):
        return None
    readers = [
        reader
        for reader in facts.steps[step.index + 1 :]
        if reader.index in facts.live and any(step.index in given.writers for given in reader.operands)
    ]
    norms = [reader for reader in readers if reader.kind == "batch-norm" and uses_batch(reader)]
    images = [norm.operand("input") for norm in norms]
    direct = all(
        given is not None and step.index in given.writers and given.id in step.node.outputs for given in images
    )
    return norms[0] if norms and len(norms) == len(readers) and direct else None


def finding(subject: Subject, group: list[Wasted]) -> Finding:
    """Return the finding for layers that are made at one place."""
    first = group[0]
    count = sum(item.bias.size for item in group)
    layer = subject.layer_of(first.step)
    made_at = layer.span if layer is not None else None
    alone = {item.step.node.module for item in group} >= {
        module.path for module in subject.graph.modules if module.span == made_at
    }
    edits = ((made_at, ", bias=False"),) if made_at is not None and alone else ()
    after = subject.registered - count if alone else None
    if len(group) > 1:
        message = f"batch normalisation cancels the bias of {len(group)} layers that are made here: {wasted(count)}"
        uses = tuple((span, "used here") for span in dict.fromkeys(span_of(item.step) for item in group) if span)
        return Finding(
            ID, "error", message, WHY, "Add bias=False." if alone else NOT_ALL, made_at, "", uses, edits, after
        )
    message = f"the batch normalisation behind {name(first.step)} cancels its bias: {wasted(count)}"
    norm = span_of(first.norm)
    related = (*subject.made_here(first.step), *(((norm, "normalised here"),) if norm is not None else ()))
    advice = fix(subject.facts["train"], first.step) if alone else NOT_ALL
    return Finding(ID, "error", message, WHY, advice, span_of(first.step), "", related, edits, after)


def name(step: Step) -> str:
    """Return a layer as its model calls it, or as torch does."""
    return step.node.module or step.short


def fix(facts: Facts, step: Step) -> str:
    """Return the layer as it should be made; one with another padding_mode has padded the map before."""
    layer = convolution(step)
    weight = step.operand("weight")
    if layer is not None and not any(
        facts.steps[writer].node.module == step.node.module for writer in layer.images.writers
    ):
        return f"Write {made(layer)}."
    if step.short == "linear" and weight is not None and len(weight.shape) == 2:
        return f"Write nn.Linear({weight.shape[1]}, {weight.shape[0]}, bias=False)."
    return "Leave the bias out: bias=False."


def made(layer: Convolution) -> str:
    """Return the construction of a convolution without a bias."""
    count = len(layer.kernel)
    name = f"nn.Conv{'Transpose' if layer.transposed else ''}{count}d"

    def one(numbers: tuple[int | str, ...]) -> str:
        return repr(numbers[0] if len(set(numbers)) == 1 else numbers)

    is_same = layer.step.argument("padding") == "same"
    options: dict[str, tuple[tuple[int | str, ...], int]] = {
        "stride": (layer.stride, 1),
        "padding": (("same",) if is_same else layer.padding, 0),
        "output_padding": (per_axis(layer.step, "output_padding", count, 0), 0),
        "dilation": (layer.dilation, 1),
        "groups": ((layer.groups,), 1),
    }
    further = [f"{word}={one(numbers)}" for word, (numbers, usual) in options.items() if set(numbers) != {usual}]
    return f"{name}({', '.join([str(layer.inputs), str(layer.outputs), one(layer.kernel), *further, 'bias=False'])})"
