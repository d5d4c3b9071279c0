"""The model drops activations at random while it trains.

Dropout keeps a network from relying on single activations. The check looks at what runs: a live dropout with a
probability between 0 and 1 must act in training mode and have an effect on the prediction. All of torch's forms count
(`Dropout`, `Dropout2d`, `AlphaDropout`, their functions). A layer that is registered and never called, a probability
of 0, a result that is thrown away, and random masks written by hand do not. With other masks the prediction must be
another one: numbers that are dropped and put back later were not dropped, and what is added to all scores of an image
alike changes no prediction. Where it has no effect with the weights that the model starts from, and these get no
gradient that would change that, such as behind a gate that is shut, the rule is undecided.

A dropout that still acts in evaluation mode passes with a warning, because it makes predictions random.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3))
```

`F.dropout` does not know whether the model is training:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return F.dropout(self.conv(x), 0.1).mean((2, 3))  # warning: dropout still acts in evaluation mode
```

A probability of 0 drops nothing:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.drop = nn.Dropout(0)

    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3))  # error: dropout with p=0 drops nothing
```
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from grader.checks._products import OFFSETS
from grader.checks._subject import Replacement, Subject, resting, span_of
from grader.facts import Facts, Step
from grader.finding import CheckResult, Finding
from grader.graph import Ref

ID = "dropout"
WHY = (
    "Dropout keeps a network from leaning on single activations, so that it does as well on new images as on old ones."
)
FIX = "Put nn.Dropout(0.05) after an activation and call it in forward."
MASK_MAKERS = frozenset(("factory", "copy", "expand", "reshape"))
WEIGHED = frozenset(("conv", "dense"))  # of which what does not depend on the image are the weights
LAYERS = ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout")


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This check has no options."""


def check(subject: Subject, options: Options) -> CheckResult:
    facts = subject.facts["train"]
    running = [step for step in facts.steps if step.kind == "dropout"]
    acting = [step for step in running if step.index in facts.live and drops_activations(facts, step) and acts(step)]
    redrawn: dict[int, Replacement] = {step.index: "redrawn" for step in acting}
    if not acting or not subject.experiments.matters("train", redrawn):
        found = fault(subject, running, acting)
        return CheckResult(ID, "fail", found.message, (found,), measured=0)
    count = len(acting)
    message = f"{count} live dropout{'s' if count > 1 else ''}{_shown_rates(acting)}"
    rests = resting(subject, "train", redrawn, ID, "dropout", acting[0])
    return rests or CheckResult(ID, "pass", message, tuple(still_on(subject.facts["eval"])), measured=count)


def acts(step: Step) -> bool:
    """Tell whether a dropout drops something, but not everything; of a tensor as p, its effect alone tells."""
    rate = step.argument("p")
    return bool(step.argument("training")) and (isinstance(rate, Ref) or 0 < rate < 1)


def _shown_rates(acting: list[Step]) -> str:
    given = [step.argument("p") for step in acting]
    rates = sorted(float(rate) for rate in given if not isinstance(rate, Ref))
    if not rates:
        return ""
    return f", p = {rates[0]:g}" if rates[0] == rates[-1] else f", p from {rates[0]:g} to {rates[-1]:g}"


def drops_activations(facts: Facts, step: Step) -> bool:
    """Tell whether a dropout is given activations, or many ones to make a mask of for them."""
    if step.from_input:
        return True
    stack = [given for given in step.operands if given.size > 1]
    while stack:
        given = stack.pop()
        makers = [facts.steps[index] for index in given.writers]
        if given.leaf is not None or any(maker.kind not in MASK_MAKERS for maker in makers):
            return False
        stack += [inner for maker in makers for inner in maker.operands if not inner.from_input]
    return any(given.size > 1 for given in step.operands) and not drops_weights(facts, step)


def drops_weights(facts: Facts, step: Step) -> bool:
    """Tell whether what a node returns masks weights, or is added: a mask for activations is multiplied with them."""
    stack, seen = [step], {step.index}
    while stack:
        for reader in facts.readers.get(stack.pop().index, ()):
            if reader.index in seen:
                continue
            seen.add(reader.index)
            if any(given.leaf is not None and given.size > 1 and not given.from_input for given in reader.operands):
                return True
            if not any(given.from_input for given in reader.operands):
                stack.append(reader)
            elif reader.kind in WEIGHED or reader.plain in OFFSETS:
                return True
    return False


def still_on(facts: Facts) -> list[Finding]:
    """Return a warning for a dropout that acts in evaluation mode."""
    acting = [step for step in facts.live_steps("dropout") if drops_activations(facts, step) and acts(step)]
    if not acting:
        return []
    span = span_of(acting[0])
    return [
        Finding(
            ID,
            "warning",
            "dropout still acts in evaluation mode",
            "The same image then gets another prediction each time, and accuracy is lower than it could be.",
            "Use nn.Dropout, or pass training=self.training to the function.",
            span,
            edits=((span, ", training=self.training"),) if span is not None else (),
        )
    ]


def fault(subject: Subject, running: list[Step], acting: list[Step]) -> Finding:
    """Return the finding for the nearest thing to a dropout that was seen."""
    if acting:
        return _error("dropout has no effect on the prediction", "Let its result reach the output.", acting[0], subject)
    idle = [step for step in running if not acts(step)]
    if idle:
        return _idle(subject, idle[0])
    if any(step.index in subject.facts["train"].live for step in running):
        fix = "Give it the activations: x = self.drop(x)."
        return _error("dropout acts on weights or constants, not on activations", fix, running[0], subject)
    if running:
        fix = "Use what it returns: x = self.drop(x)."
        return _error("dropout runs, but its result is not used", fix, running[0], subject)
    unused = subject.unused(*LAYERS)
    if unused:
        path, span = unused[0]
        message = f"dropout is registered as '{path}', but never called"
        return Finding(ID, "error", message, WHY, f"Call self.{path} in forward.", span, "made, but not called")
    by_hand = subject.facts["train"].live_steps("random")
    if by_hand:
        message = f"no dropout: {by_hand[0].short} draws random numbers by hand"
        fix = "Use nn.Dropout(0.05): it scales what it keeps, and rests in evaluation mode."
        return _error(message, fix, by_hand[0], subject)
    return Finding(ID, "error", "no dropout", WHY, FIX, subject.graph.span)


def _error(message: str, fix: str, step: Step, subject: Subject) -> Finding:
    return Finding(ID, "error", message, WHY, fix, span_of(step), related=subject.made_here(step))


def _idle(subject: Subject, step: Step) -> Finding:
    """Return the finding for a dropout that drops nothing, or everything."""
    rate = step.argument("p")
    if not step.argument("training"):
        fix = "Pass training=self.training, or use nn.Dropout."
        return _error("dropout is switched off in training mode", fix, step, subject)
    if rate is True:
        fix = "p comes before training: F.dropout(x, 0.05, self.training)."
        return _error("dropout is given True as p, which drops everything", fix, step, subject)
    message = "dropout with p=0 drops nothing" if rate == 0 else f"dropout with p={rate:g} drops everything"
    found = _error(message, "Choose a small probability, such as 0.05.", step, subject)
    layer = subject.layer_of(step)
    if layer is None or layer.span is None:
        return found
    return replace(found, edits=((layer.span, f"nn.{layer.type.rpartition('.')[2]}(0.05)"),))
