"""Every convolution has a kernel of an allowed size.

Small kernels in a row see as much as a large one, with fewer weights and more activations between them: two of 3×3 see
5×5 positions with 18 weights for each pair of channels, one of 5×5 has 25. The check looks at the convolutions that the
prediction depends on, transposed ones too, and at each side of their kernels. Pooling windows are no kernels. Where
`unfold` lays patches of another size beside each other for learned weights, the rule is undecided.

## Options

- `allowed`: a list of the sizes that a side may have: with `[1, 3]`, kernels of 1×1, 3×3, 1×3 and 3×1.
- `at_most`: no side may be larger than this.

One of them is needed.

## Examples

```python
# options: {"allowed": [1, 3]}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 10, 1)

    def forward(self, x):
        return self.conv2(self.conv1(x)).mean((2, 3))
```

```python
# options: {"allowed": [1, 3]}
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 7)
        self.conv2 = nn.Conv2d(8, 10, 2)

    def forward(self, x):
        x = self.conv1(x)  # error: a 7×7 kernel, allowed are 1 and 3
        x = self.conv2(x)  # error: a 2×2 kernel, allowed are 1 and 3
        return x.mean((2, 3))
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec

from grader.checks._layers import Convolution, convolutions, distinct, listed
from grader.checks._subject import MODES, Subject, span_of, times
from grader.facts import Facts, Step, integers
from grader.finding import CheckResult, Finding
from grader.kinds import Kind

ID = "kernel-size"
WHY = "Small kernels in a row see as much as a large one, with fewer weights and an activation more."

MOVES: frozenset[Kind] = frozenset(("reshape", "permute", "copy", "index", "join"))  # kinds that change no number
WEIGHS: frozenset[Kind] = frozenset(("conv", "dense", "arithmetic"))

Side = Annotated[int, msgspec.Meta(ge=1, le=1024)]


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`allowed`: the sizes that a side may have; `at_most`: the largest that it may have; one of them is needed."""

    allowed: Annotated[tuple[Side, ...], msgspec.Meta(min_length=1)] | None = None
    at_most: Side | None = None

    def __post_init__(self) -> None:
        if self.allowed is None and self.at_most is None:
            raise ValueError("expected 'allowed', such as [1, 3], or 'at_most'")
        if self.allowed is not None and not any(map(self.allows, self.allowed)):
            raise ValueError(f"no size of {list(self.allowed)} is at most {self.at_most}")

    def allows(self, side: int) -> bool:
        return (self.allowed is None or side in self.allowed) and side <= (self.at_most or side)

    @property
    def shown(self) -> str:
        if self.allowed is None:
            return f"allowed are up to {self.at_most}"
        sizes = [str(size) for size in sorted(set(self.allowed)) if self.allows(size)]
        return f"allowed {'is' if len(sizes) == 1 else 'are'} {listed(sizes)}"


def check(subject: Subject, options: Options) -> CheckResult:
    layers = [layer for mode in MODES for layer in convolutions(subject.facts[mode].given)]
    wrong = [layer for layer in layers if not all(map(options.allows, layer.kernel))]
    findings = distinct(finding(subject, layer, options) for layer in wrong)
    largest = max((side for layer in layers for side in layer.kernel), default=0)
    if findings:
        others = f", and {len(findings) - 1} more" if len(findings) > 1 else ""
        return CheckResult(ID, "fail", findings[0].message + others, findings, largest, options.at_most)
    doubts = distinct(doubt(step, options) for mode in MODES for step in patches(subject, subject.facts[mode], options))
    if doubts:
        return CheckResult(ID, "error", f"can't be told: {doubts[0].message}", doubts, largest, options.at_most)
    sizes = listed(dict.fromkeys(times(layer.kernel) for layer in layers)) or "no convolutions"
    return CheckResult(ID, "pass", f"kernels: {sizes}", measured=largest, limit=options.at_most)


def patches(subject: Subject, facts: Facts, options: Options) -> Iterator[Step]:
    """Yield where patches of a size that is not allowed are laid out for learned weights: a convolution by hand."""
    for step in facts.live_steps("unfold", "index"):
        other = step.short == "unfold" and step.from_input and not all(map(options.allows, sides(step)))
        if other and meets_weights(subject, facts, step):
            yield step


def sides(step: Step) -> tuple[int, ...]:
    """Return the sides of the patches that a node lays out; the method does so along one axis."""
    if step.kind == "index":
        return integers(step.node.kwargs.get("size", step.node.args[2] if len(step.node.args) > 2 else None))
    return integers(step.node.kwargs.get("kernel_size", step.node.args[1] if len(step.node.args) > 1 else None))


def meets_weights(subject: Subject, facts: Facts, start: Step) -> bool:
    """Tell whether what a node returns is moved at most before learned weights meet it."""
    stack, seen = [start], {start.index}
    while stack:
        for reader in facts.readers.get(stack.pop().index, ()):
            if reader.index in seen:
                continue
            seen.add(reader.index)
            weights = [given for given in reader.operands if not given.from_input and given.size > 1]
            if reader.kind in WEIGHS and any(subject.learned(facts, given) for given in weights):
                return True
            if reader.kind in MOVES:
                stack.append(reader)
    return False


def doubt(step: Step, options: Options) -> Finding:
    message = f"unfold lays patches of {times(sides(step))} beside each other for learned weights, {options.shown}"
    why = "Weights for each position of a patch work as a kernel of its size does."
    return Finding(ID, "warning", message, why, "Use nn.Conv2d with a kernel of an allowed size.", span_of(step))


def finding(subject: Subject, layer: Convolution, options: Options) -> Finding:
    side = max(layer.kernel)
    sizes = [size for size in range(1, side + max(options.allowed or (0,)) + 1) if options.allows(size)]
    smaller = [size for size in sizes if 1 < size < side]
    nearest = min(sizes, key=lambda size: abs(size - side))
    return Finding(
        ID,
        "error",
        f"a {times(layer.kernel)} kernel, {options.shown}",
        WHY if smaller else "These rules allow kernels of a few sizes alone.",
        fix(layer, smaller[-1]) if smaller else f"Choose {square(nearest, layer)}.",
        span_of(layer.step),
        f"{layer.weight.size:,} weights",
        subject.made_here(layer.step),
    )


def fix(layer: Convolution, small: int) -> str:
    """Return how many smaller convolutions see as much, and what they take."""
    side, axes = max(layer.kernel), len(layer.kernel)
    count, rest = divmod(side - 1, small - 1)
    if rest:
        return f"Choose {square(small, layer)}."
    row = f"{count} convolutions of {square(small, layer)} in a row see {square(side, layer)} positions too"
    return f"{row}: {count * small**axes} weights for each pair of channels, not {side**axes}."


def square(side: int, layer: Convolution) -> str:
    return times([side] * len(layer.kernel))
