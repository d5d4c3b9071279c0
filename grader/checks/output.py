"""The model returns one row of class scores for each image.

The prediction is one tensor of shape (N, classes), its numbers are finite, and (with learned tensors drawn at random)
it differs from image to image. This check is always made, whatever the rules say.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x).mean((2, 3))
```

A map for each class is not a row of scores:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        return self.conv(x)  # error: the output has shape (N, 10, 26, 26), expected (N, 10)
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import msgspec

from grader.checks._subject import MODES, Subject, span_of, times
from grader.facts import Facts, Operand, Step
from grader.finding import CheckResult, Finding
from grader.graph import Arg, Items, Mode, Ref, Symbol

ID = "output"
IMPLICIT_DIM = "Without dim the axis is chosen from the number of axes, and torch warns that this will go away."


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This check has no options."""


def check(subject: Subject, options: Options) -> CheckResult:
    evaluated, trained = ({each.message: each for each in of_mode(subject, mode)} for mode in MODES)
    alone = [*_of_one(evaluated, trained, "in evaluation mode"), *_of_one(trained, evaluated, "in training mode")]
    found = (*(finding for message, finding in evaluated.items() if message in trained), *alone)
    errors = [finding for finding in found if finding.level == "error"]
    if errors:
        return CheckResult(ID, "fail", errors[0].message, found)
    return CheckResult(ID, "pass", f"one row of {subject.classes} scores for each image", found)


def of_mode(subject: Subject, mode: Mode) -> list[Finding]:
    """Return all that there is to say of one mode."""
    return [*faults(subject, subject.facts[mode]), *softmax_faults(subject.facts[mode])]


def _of_one(found: Mapping[str, Finding], other: Mapping[str, Finding], mode: str) -> Iterator[Finding]:
    """Yield what is so in one mode alone, and says so."""
    for message, finding in found.items():
        if message not in other:
            yield replace(finding, message=f"{mode} {message}")


def faults(subject: Subject, facts: Facts) -> list[Finding]:
    """Return what is wrong with the prediction of one mode."""
    returned = subject.graph.program(facts.mode).output
    if facts.primary is None and isinstance(returned, str):  # the name of its class
        what = f"an object of class {returned}"
        message = f"the model returns {what}, expected one tensor of shape (N, {subject.classes})"
        return [_error(message, subject, facts, "Return the scores alone.")]
    if facts.primary is None:
        fix = "Return the scores from forward: does it end with a return statement?"
        return [_error("the model returns no tensor", subject, facts, fix)]
    found = []
    if not isinstance(returned, Ref):
        message = f"the model returns {_container(returned)}, expected one tensor of shape (N, {subject.classes})"
        found.append(_error(message, subject, facts, "Return the scores alone."))
    shape = facts.primary.shape
    if shape != (facts.batch, subject.classes):
        shown = shape_of(shape, facts.batch)
        fix = _shape_fix(shape, facts.batch, subject.classes)
        found.append(_error(f"the output has shape {shown}, expected (N, {subject.classes})", subject, facts, fix))
    if not facts.finite:
        message = "the output has numbers that are not finite (NaN or infinity)"
        found.append(
            _error(
                message, subject, facts, "Look for a division by zero, a logarithm of 0 or a root of a negative number."
            )
        )
    elif not subject.experiments.follows_input(facts.mode):
        fix = "Let forward use its argument all the way to what it returns."
        found.append(_error("the output is the same for every image", subject, facts, fix))
    return found


def _container(returned: Arg) -> str:
    items = returned.items if isinstance(returned, Items) else ()
    if items[:1] == (Symbol("dict"),):
        return "a dict"
    return f"a tuple of {len(items)}"


def shape_of(shape: tuple[int, ...], batch: int) -> str:
    """Return a shape with the batch as N: (N, 10), (9N, 10)."""
    if not shape:
        return "()"
    first = (
        "N" if shape[0] == batch else f"{shape[0] // batch}N" if shape[0] and shape[0] % batch == 0 else str(shape[0])
    )
    return f"({', '.join([first, *map(str, shape[1:])])}{',' if len(shape) == 1 else ''})"


def _shape_fix(shape: tuple[int, ...], batch: int, classes: int) -> str:
    if len(shape) == 1:
        return "Keep the images apart: flatten(1), or view(x.size(0), -1)."
    if shape and shape[0] != batch and shape[0] % batch == 0:
        return f"view(-1, {classes}) folded positions into the batch: pool the map to 1×1 first, then use flatten(1)."
    if len(shape) == 2 and shape[0] == batch:
        return f"Make the last layer return {classes} channels, one for each class."
    if len(shape) == 4 and shape[2:] == (1, 1):
        return "Add .flatten(1) at the end."
    if len(shape) == 4:
        return f"Average over the {times(shape[2:])} map: nn.AdaptiveAvgPool2d(1), then .flatten(1)."
    return f"Return one row of {classes} scores for each image."


def softmax_faults(facts: Facts) -> list[Finding]:
    """Return a warning for a softmax whose axis is left open, and an error for one over the batch."""
    found = []
    for step in facts.live_steps("softmax"):
        if step.short not in ("log_softmax", "softmax") or not _is_last(facts, step):
            continue
        dim = step.argument("dim")
        if dim is None:
            fix = f"Write F.{step.short}(x, dim=1)."
            span = span_of(step)
            edits = ((span, ", dim=1"),) if span is not None else ()
            found.append(Finding(ID, "warning", f"{step.short} has no dim", IMPLICIT_DIM, fix, span, edits=edits))
        elif len(step.shapes[0]) == 2 and dim in (0, -2):
            message = f"{step.short} runs over the images of the batch, not over the classes"
            why = "The scores of one image then depend on which other images are in its batch."
            found.append(Finding(ID, "error", message, why, f"Write F.{step.short}(x, dim=1).", span_of(step)))
    return found


def _is_last(facts: Facts, step: Step) -> bool:
    """Tell whether only views lie between a node and the prediction."""
    operand: Operand | None = facts.primary
    while operand is not None and operand.writers:
        last = facts.steps[operand.writers[-1]]
        if last.index == step.index:
            return True
        if last.kind not in ("reshape", "copy", "permute"):
            return False
        operand = next((given for given in last.operands if given.from_input), None)
    return False


def _error(message: str, subject: Subject, facts: Facts, fix: str) -> Finding:
    operand = facts.primary
    last = facts.steps[operand.writers[-1]] if operand is not None and operand.writers else None
    why = "Training and grading need exactly one score for each class and image."
    return Finding(ID, "error", message, why, fix, span_of(last) or subject.graph.span)
