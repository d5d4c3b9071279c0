"""Everything the prediction depends on passes through the mean over the whole map.

Global average pooling turns the last H×W map of every channel into one number, its mean. What the network has found
then counts wherever it stands, and no weights are tied to positions. The check finds the last maps on every path to
the prediction and disturbs them: noise whose mean over the map is zero must change nothing, other means must change
the prediction. It does not matter how the mean is written: adaptive or plain average pooling, `mean`, `sum` and a
division, `einsum`, in one stage or several.

Max pooling, a window smaller than the map, flattening, picking one position, and pooling a map that is 1×1 already are
something else. What was 1×1 once is no map, however it is spread again: the check looks for the maps before it. A map
that is the same everywhere, such as its maximum at each position, has nothing left to average. A slice leaves a part of
its map out; slices that are added, and together begin and end where the map does, are a convolution by hand. Where few
places of a map were chosen before the mean, by a grid or by fixed numbers, the rule is undecided. A gate or a sum may
bring in what was pooled in another way, as channel attention does, but not carry all that the prediction depends on.

## Examples

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        return self.pool(self.conv(x)).flatten(1)
```

A window of 3×3 on a map of 26×26 leaves an 8×8 map:

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.fc = nn.Linear(640, 10)

    def forward(self, x):
        x = F.avg_pool2d(self.conv(x), 3)
        return self.fc(x.flatten(1))  # error: no global average pooling: flatten keeps all 8×8 positions apart
```

```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, x):
        x = F.adaptive_max_pool2d(self.conv(x), 1)  # error: max pooling over the 26×26 map is not its mean
        return x.flatten(1)
```
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from grader.checks._cuts import cut
from grader.checks._heard import choosing, few_places
from grader.checks._products import is_offset
from grader.checks._subject import MODES, Averaging, Edge, Subject, span_of, times
from grader.facts import Facts, Operand, Step
from grader.finding import CheckResult, Finding, Span

ID = "global-average-pool"
WHY = "A mean over the whole map makes the prediction independent of where something stands, without any weights."


ELEMENTWISE = frozenset(("arithmetic", "activation", "dropout", "norm", "batch-norm", "copy"))


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """This check has no options."""


MEANS = frozenset(("mean", "sum", "nanmean", "nansum", "adaptive_avg_pool2d", "avg_pool2d"))


def check(subject: Subject, options: Options) -> CheckResult:
    sizes: list[str] = []
    for mode in MODES:
        facts = subject.facts[mode]
        edges = tuple(last_maps(facts))
        if facts.primary is not None and facts.primary.is_map:
            shape = times([facts.primary.shape[axis] for axis in facts.primary.axes])
            return failed(f"no global average pooling: the output still is a {shape} map", subject, facts, None)
        averaging = subject.experiments.averages(mode, edges) if edges else Averaging(False, False)
        if not averaging.pooled:
            return explain(subject, facts, edges, averaging)
        if subject.experiments.flat(mode, edges):
            step = facts.steps[max((*edges[-1].operand.writers, 0))]
            return failed(_copies(edges[-1]), subject, facts, step)
        given = tuple(last_maps(facts.given))
        entries = tuple(entering(facts.given))
        if entries and subject.experiments.bypassed(mode, entries):
            return failed(_beside(entries[-1]), subject, facts, entries[-1].step)
        chosen = few_places(subject, facts, edges)
        if chosen is not None:
            return choosing(ID, chosen)
        hidden = next((edge for edge in given if len(given) > 1 and is_silent(subject, facts, edge)), None)
        if hidden is not None:
            return undecided(hidden)
        sizes = [map_size(edge.operand) for edge in edges]
    shown = " and ".join(dict.fromkeys(sizes))
    return CheckResult(ID, "pass", f"the mean over the whole {shown} map is all that is used")


def is_silent(subject: Subject, facts: Facts, edge: Edge) -> bool:
    """Tell whether a path that takes no mean of its map has shown no effect: it may have one on other images."""
    if edge.step.kind == "avg-pool" or edge.step.short in MEANS:
        return False
    return not subject.experiments.averages(facts.mode, (edge,)).used


def undecided(edge: Edge) -> CheckResult:
    message = f"{edge.step.short} takes more than the mean of a {map_size(edge.operand)} map to the prediction"
    why = "It had no effect on the images that were tried; something keeps it from the prediction, and may not always."
    found = Finding(ID, "warning", message, why, "Delete it.", span_of(edge.step))
    return CheckResult(ID, "error", f"can't be told: {message}, without an effect so far", (found,))


def last_maps(facts: Facts) -> Iterator[Edge]:
    """Yield, over all paths, the maps after which no map comes: together they are all that the prediction sees."""
    stack = list(facts.primary.writers) if facts.primary is not None else []
    seen: set[int] = set()
    while stack:
        index = stack.pop()
        step = facts.steps[index]
        if index in seen or not step.from_input:  # `zeros_like` takes a map's shape alone
            continue
        seen.add(index)
        for operand in step.operands:
            if not operand.from_input:
                continue
            if operand.is_map:
                yield from cut(facts, operand) or (Edge(step, operand),)
                stack.extend(added_to(facts, operand))
            else:
                stack.extend(operand.writers)


def added_to(facts: Facts, operand: Operand) -> Iterator[int]:
    """Yield the makers of activations without positions that were added to a map: these bypass its convolutions."""
    stack = list(operand.writers)
    seen: set[int] = set()
    while stack:
        step = facts.steps[stack.pop()]
        if step.index in seen or step.kind not in ELEMENTWISE or not step.makes_map:
            continue
        seen.add(step.index)
        for given in step.operands:
            if given.from_input and given.is_map:
                stack.extend(given.writers)
            elif given.from_input and is_offset(step) and is_spread(given, operand):
                yield from given.writers


def entering(facts: Facts) -> Iterator[Edge]:
    """Yield where activations without positions enter a map: gates, and what is added or joined at all positions."""
    for step in facts.steps:
        if step.index not in facts.live or not is_spread_out(step):
            continue
        given = [operand for operand in step.used if operand.from_input]
        if not all(operand.single for operand in given):
            yield from (Edge(step, operand) for operand in given if operand.single)


def is_spread_out(step: Step) -> bool:
    return any(len(shape) > 2 and math.prod(shape[2:]) > 1 for shape in step.shapes)


def is_spread(given: Operand, onto: Operand) -> bool:
    """Tell whether an operand has one number for all positions of a map that it is added to."""
    aligned = [axis - len(onto.shape) for axis in onto.axes if len(onto.shape) - axis <= len(given.shape)]
    return all(given.shape[axis] == 1 for axis in aligned)


def map_size(operand: Operand) -> str:
    return times([operand.shape[axis] for axis in operand.axes])


def explain(subject: Subject, facts: Facts, edges: tuple[Edge, ...], averaging: Averaging) -> CheckResult:
    """Return the failed result with what was found in place of a mean."""
    if not edges:
        return failed("no global average pooling: the image does not reach the prediction", subject, facts, None)
    if not averaging.culprits:
        return failed("global average pooling has no effect on the prediction", subject, facts, edges[0].step)
    culprit = max(averaging.culprits, key=lambda edge: edge.step.index)
    describe = DESCRIPTIONS.get(culprit.step.kind, _other)
    return failed(describe(culprit), subject, facts, culprit.step, pooled_late(facts, culprit))


def failed(
    message: str, subject: Subject, facts: Facts, step: Step | None, related: tuple[tuple[Span, str], ...] = ()
) -> CheckResult:
    """Return the failed result, with the way out for this model."""
    last = facts.steps[facts.primary.writers[-1]] if facts.primary is not None and facts.primary.writers else None
    span = span_of(step) or span_of(last) or subject.graph.span
    fix = f"End with a convolution to {subject.classes} channels, then nn.AdaptiveAvgPool2d(1) and flatten(1)."
    found = Finding(ID, "error", message, WHY, fix, span, related=related)
    if step is not None:
        edits = whole_map(subject, step)
        advice = "Let the pooling cover the whole map, whatever its size: nn.AdaptiveAvgPool2d(1)." if edits else fix
        found = replace(found, fix=advice, related=(*subject.made_here(step), *related), edits=edits)
    return CheckResult(ID, "fail", message, (found,))


def whole_map(subject: Subject, step: Step) -> tuple[tuple[Span, str], ...]:
    """Return the change that makes a pooling of a part of the map one of all of it: its result is 1×1 already."""
    layer = subject.sole_layer_of(step)
    pools = step.kind in ("avg-pool", "max-pool") and bool(step.shapes) and step.shapes[0][2:] == (1, 1)
    if not pools or layer is None or layer.span is None:
        return ()
    return ((layer.span, "nn.AdaptiveAvgPool2d(1)"),)


def pooled_late(facts: Facts, culprit: Edge) -> tuple[tuple[Span, str], ...]:
    """Return the place of an average pooling that comes after the map has shrunk to 1×1."""
    late = [
        step.node.span
        for step in facts.live_steps("avg-pool")
        if step.index > culprit.step.index and step.operands and not step.operands[0].is_map
    ]
    return tuple((span, "this pooling gets a 1×1 map") for span in late[:1] if span is not None)


def _beside(edge: Edge) -> str:
    return f"global average pooling sees nothing but what {edge.step.short} spreads over its map: that has no positions"


def _copies(edge: Edge) -> str:
    return f"global average pooling averages copies: its {map_size(edge.operand)} map is the same everywhere"


def _average(edge: Edge) -> str:
    step, operand = edge.step, edge.operand
    extents = [operand.shape[axis] for axis in operand.axes]
    kernel = step.argument("kernel_size")
    sizes = (
        [kernel] * len(extents) if isinstance(kernel, int) else [item for item in getattr(kernel, "items", ()) if item]
    )
    if sizes and all(isinstance(size, int) for size in sizes):
        covered = 1
        for size, extent in zip(sizes, extents, strict=False):
            covered *= min(size, extent)
        total = operand.shape[operand.axes[0]]
        for extent in extents[1:]:
            total *= extent
        return (
            f"average pooling over {times(sizes)} sees {covered} of the {total} positions of the {times(extents)} map"
        )
    return f"average pooling does not cover the {times(extents)} map evenly"


def _flat(edge: Edge) -> str:
    return f"no global average pooling: {edge.step.short} keeps all {map_size(edge.operand)} positions apart"


def _max(edge: Edge) -> str:
    return f"max pooling over the {map_size(edge.operand)} map is not its mean"


def _conv(edge: Edge) -> str:
    return f"a convolution with learned weights maps the whole {map_size(edge.operand)} map, not its mean"


def _index(edge: Edge) -> str:
    return f"no global average pooling: only part of the {map_size(edge.operand)} map is used"


def _dense(edge: Edge) -> str:
    return f"no global average pooling: {edge.step.short} weights the {map_size(edge.operand)} positions one by one"


def _reduce(edge: Edge) -> str:
    if edge.step.short in MEANS:  # of one axis
        return _other(edge)
    return f"{edge.step.short} over the {map_size(edge.operand)} map is not its mean"


def _other(edge: Edge) -> str:
    more = f"more is left of the {map_size(edge.operand)} map than its mean"
    return f"no global average pooling: after {edge.step.short} {more}"


DESCRIPTIONS: dict[str, Callable[[Edge], str]] = {
    "avg-pool": _average,
    "max-pool": _max,
    "reshape": _flat,
    "conv": _conv,
    "index": _index,
    "dense": _dense,
    "reduce": _reduce,
}
