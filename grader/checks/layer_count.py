"""The model has so many layers of a kind, or no more.

Courses ask for a depth ('at least seven convolutions'), or against a habit ('at most one dropout'). The check counts
operators that run, not layers that are registered: a layer that is called twice counts twice, one that is never called
does not count. Batch normalisations count where they use the statistics of the batch, dropouts where they drop
something, both in training. Other kinds are counted in both modes, which must agree with the rule alike.

For `at_least`, only layers count without which the prediction would change, and that do not hand on what they are
given, as a second ReLU behind the first one does. For `at_most`, one that has shown no effect may have one on other
images: it leaves the rule undecided where it makes the difference. So does, for `at_least`, one that the weights that
the model starts from shut off, as those of a narrow gate may do, and one that rests late in a training.

## Options

- `kind`: what to count.

| kind | counted are |
|---|---|
| `conv` | convolutions, transposed ones too |
| `pointwise` | convolutions of 1×1 that see all channels |
| `depthwise` | convolutions with a kernel for each channel, of more than one position |
| `dense` | products of activations with a learned matrix: `nn.Linear` and its relatives |
| `batch-norm` | batch normalisations |
| `norm` | layer, group, instance and other normalisations |
| `dropout` | dropouts of every form |
| `max-pool` | max poolings, global ones too |
| `avg-pool` | average poolings, global ones too; `mean` is none |
| `activation` | ReLU, sigmoid, tanh and their relatives; softmax is none |

- `at_least`, `at_most`: how many there must be. One of them is needed.

## Examples

Lines are those of a file that begins with three lines of imports.

```python
# options: {"kind": "conv", "at_least": 2, "at_most": 3}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        return self.conv2(F.relu(self.conv1(x))).mean((2, 3))
```

```python
# options: {"kind": "conv", "at_least": 3}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        return self.conv2(x).mean((2, 3))  # error: 2 convolutions (lines 12 and 13), at least 3 are needed
```

```python
# options: {"kind": "activation", "at_most": 1}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 10, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))  # error: 2 activations (lines 12 and 13), at most 1 is allowed
        return x.mean((2, 3))
```
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from grader.checks._layers import Convolution, convolution, counted, is_activation, is_layer, lines
from grader.checks._subject import MODES, Replacement, Subject, span_of
from grader.checks.batch_norm import uses_batch
from grader.checks.dropout import acts, drops_activations
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding, Span
from grader.graph import Mode

ID = "layer-count"

Number = Annotated[int, msgspec.Meta(ge=0, le=256)]  # the effect of so many layers is tried, each by itself
KindName = Literal[
    "conv",
    "pointwise",
    "depthwise",
    "dense",
    "batch-norm",
    "norm",
    "dropout",
    "max-pool",
    "avg-pool",
    "activation",
]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`kind`: what to count; `at_least`, `at_most`: how many there must be, one of them is needed."""

    kind: KindName
    at_least: Number | None = None
    at_most: Number | None = None

    def __post_init__(self) -> None:
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected 'at_least' or 'at_most', how many there must be")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at least {self.at_least} and at most {self.at_most} cannot both hold")


@dataclass(frozen=True)
class Countable:
    """What layers of a kind are called, the modes in which they count, and what tells one."""

    noun: str
    is_one: Callable[[Subject, Facts, Step], bool]
    modes: tuple[Mode, ...] = MODES


def _is(form: Callable[[Convolution], bool]) -> Callable[[Subject, Facts, Step], bool]:
    def is_one(subject: Subject, facts: Facts, step: Step) -> bool:
        layer = convolution(step)
        return layer is not None and form(layer)

    return is_one


def _kind(kind: str) -> Callable[[Subject, Facts, Step], bool]:
    return lambda subject, facts, step: step.kind == kind


COUNTABLE: dict[KindName, Countable] = {
    "conv": Countable("convolution", _kind("conv")),
    "pointwise": Countable("1×1 convolution", _is(lambda layer: layer.pointwise)),
    "depthwise": Countable("depthwise convolution", _is(lambda layer: layer.depthwise)),
    "dense": Countable(
        "linear layer", lambda subject, facts, step: step.kind == "dense" and is_layer(subject, facts, step)
    ),
    "batch-norm": Countable(
        "batch normalisation",
        lambda subject, facts, step: step.kind == "batch-norm" and uses_batch(step),
        ("train",),
    ),
    "norm": Countable("normalisation", _kind("norm")),
    "dropout": Countable(
        "dropout",
        lambda subject, facts, step: step.kind == "dropout" and acts(step) and drops_activations(facts, step),
        ("train",),
    ),
    "max-pool": Countable(
        "max pooling", lambda subject, facts, step: step.kind == "max-pool" and not step.short.startswith("lp_pool")
    ),
    "avg-pool": Countable("average pooling", _kind("avg-pool")),
    "activation": Countable("activation", lambda subject, facts, step: is_activation(step)),
}


def check(subject: Subject, options: Options) -> CheckResult:
    kind = COUNTABLE[options.kind]
    given = {mode: live(subject, subject.facts[mode].given, kind) for mode in kind.modes}
    enough = max(options.at_least or 0, 0 if options.at_most is None else options.at_most + 1)
    acting = {mode: effective(subject, mode, given[mode], enough) for mode in kind.modes}
    fewest = min(acting.values(), key=len)
    most = max(acting.values(), key=len)
    if options.at_least is not None and len(fewest) < options.at_least:
        shut = [step for mode in kind.modes if acting[mode] is fewest for step in asleep(subject, mode, given, fewest)]
        if len(fewest) + len(shut) >= options.at_least:
            removed: dict[int, Replacement] = {shut[0].index: "zeros"}
            opens = all(subject.experiments.opens(mode, removed) for mode in kind.modes if acting[mode] is fewest)
            return unopened(kind, shut[0], opens, len(fewest), options.at_least)
        return too_few(subject, kind, given, fewest, options.at_least)
    if options.at_most is not None and len(most) > options.at_most:
        limit = f"at most {options.at_most:,} {_are(options.at_most)} allowed"
        return too_many(subject, kind, most, options.at_most, f"{shown(kind, most)}, {limit}")
    silent = [step for mode in kind.modes for step in given[mode] if step not in acting[mode]]
    if options.at_most is not None and max(map(len, given.values())) > options.at_most:
        return undecided(kind, silent[0], len(most), options.at_most)
    return CheckResult(ID, "pass", shown(kind, most), measured=len(most), limit=_limit(options))


def live(subject: Subject, facts: Facts, kind: Countable) -> list[Step]:
    return [
        step
        for step in facts.steps
        if step.index in facts.live
        and (step.from_input or step.kind == "dropout")
        and kind.is_one(subject, facts, step)
    ]


def effective(subject: Subject, mode: Mode, steps: list[Step], enough: int) -> list[Step]:
    """Return the layers without which the prediction changes; once there are enough, the rest counts untried."""
    found: list[Step] = []
    idle = subject.experiments.handing_on(mode, [step.index for step in steps])
    for step in (step for step in steps if step.index not in idle):
        if len(found) >= enough or subject.has_effect(mode, step.index):
            found.append(step)
    return found


def asleep(subject: Subject, mode: Mode, given: dict[Mode, list[Step]], acting: list[Step]) -> list[Step]:
    """Return the layers that have an effect with other weights than those that the model starts from."""
    rest = [step for step in given[mode] if step not in acting]
    idle = subject.experiments.handing_on(mode, [step.index for step in rest])
    return [
        step for step in rest if step.index not in idle and subject.experiments.matters(mode, {step.index: "zeros"})
    ]


def shown(kind: Countable, steps: list[Step]) -> str:
    """Return a number of layers with their lines: '2 convolutions (lines 11 and 12)'."""
    where = lines(steps)
    return counted(len(steps), kind.noun) + (f" ({where})" if where else "")


def too_few(
    subject: Subject, kind: Countable, given: dict[Mode, list[Step]], acting: list[Step], least: int
) -> CheckResult:
    """Return the failed result, at the last layer that counts."""
    message = f"{shown(kind, acting)}, at least {least:,} {_are(least)} needed"
    why = "Counted is what runs on the way to the prediction: a layer that is only registered does not count."
    idle = len(min(given.values(), key=len)) - len(acting)
    if idle:
        why = f"{idle} more {'runs' if idle == 1 else 'run'}, but without an effect on the prediction."
    fix = f"Add {counted(least - len(acting), f'more {kind.noun}')} on the way to the prediction."
    placed = [step for step in acting if span_of(step) is not None]
    span = span_of(placed[-1]) if placed else subject.graph.span
    label = f"{kind.noun} {len(acting)}" if placed else ""
    finding = Finding(ID, "error", message, why, fix, span, label, places(placed[:-1]))
    return CheckResult(ID, "fail", message, (finding,), len(acting), least)


def too_many(subject: Subject, kind: Countable, steps: list[Step], most: int, message: str) -> CheckResult:
    """Return the failed result, at the first layer that is one too many."""
    extra = steps[most]
    why = f"This is number {most + 1} on the way to the prediction."
    label = f"{kind.noun} {most + 1} of {len(steps)}"
    span = span_of(extra) or subject.graph.span
    finding = Finding(ID, "error", message, why, "Leave it out.", span, label, places(steps[:most]))
    return CheckResult(ID, "fail", message, (finding,), len(steps), most)


def undecided(kind: Countable, step: Step, count: int, most: int) -> CheckResult:
    message = f"{_one(kind)} beyond the {most:,} allowed shows no effect on the images that were tried"
    warning = Finding(ID, "warning", message, "It may have one on others.", "Delete it.", span_of(step))
    return CheckResult(ID, "error", f"can't be told: {message}", (warning,), count, most)


def unopened(kind: Countable, step: Step, opens: bool, count: int, least: int) -> CheckResult:
    message = f"{_one(kind)} of the {least:,} needed has no effect with the weights that the model starts from"
    why = "With others it would have one: what follows lets nothing through, as a ReLU does of negative numbers alone."
    fix = "Give it more channels, or other weights to start from."
    if opens:
        message = f"{_one(kind)} of the {least:,} needed has no effect in a large batch late in a training"
        why, fix = "It has one on a few images before that.", "Let forward do the same for every batch."
    warning = Finding(ID, "warning", message, why, fix, span_of(step))
    return CheckResult(ID, "error", f"can't be told: {message}", (warning,), count, least)


def places(steps: list[Step]) -> tuple[tuple[Span, str], ...]:
    """Return the places of layers, each with its number."""
    return tuple(
        (span, f"number {count}") for count, step in enumerate(steps, 1) if (span := span_of(step)) is not None
    )


def _one(kind: Countable) -> str:
    return f"{'an' if kind.noun[0] in 'aeiou' else 'a'} {kind.noun}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _limit(options: Options) -> int | None:
    return options.at_least if options.at_least is not None else options.at_most
