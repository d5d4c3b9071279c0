"""What of a map gets on: the means over its positions alone, or what stands where."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.checks._subject import Averaging, Edge, Layout
from grader.experiments.compare import EFFECT, UNEVEN, differ, distance, uneven
from grader.experiments.overrides import Override, end_changed, identity, kept_results, noted, place_changed, swap
from grader.experiments.runs import BATCH, COARSE, DRAWN, DRAWS, FINES, POSITIVE, Runs
from grader.facts import Step
from grader.graph import Mode, Symbol
from grader.kinds import Kind
from grader.replay import Values

SIZES = (1.0, 0.01)  # of a disturbance: a small one stays where a logarithm or a root is defined
BYPASS = 0.01  # of what another image changes: what is left to a map beside a way round it
PATCH = 1 / 3  # of a map: channels that follow the image in less of it, on average, stand for places
PLACES = 64  # of a map that are changed, one after the other
CLEAR = 0.5  # of them: so many that no other weights need to be tried
HALF = (torch.float16, torch.bfloat16)

SPREADING: frozenset[Kind] = frozenset(("norm", "batch-norm", "softmax"))  # kinds in which each number meets all others


@dataclass(frozen=True, slots=True)
class _Shown:
    """How far a prediction moves when the means of maps change, and when all but these does.

    Up to `scale` the one is no effect, up to `most` the other.
    """

    by_mean: float
    by_place: float
    scale: float
    most: float


class Maps(Runs):
    """Experiments that change maps on their way into a node."""

    def averages(self, mode: Mode, edges: Sequence[Edge]) -> Averaging:
        used = False
        for draw in DRAWS:
            for size in SIZES:
                shown = self.shown(mode, edges, draw, size)
                if shown is None:
                    continue
                if shown.by_place > shown.most:  # it may be rounding: of a mean next to zero a root makes much
                    fine = self.shown(mode, edges, FINES[draw], size)
                    if fine is None and self.baseline(mode, FINES[draw]) is not None:
                        continue
                    if fine is None or fine.by_place > fine.most:
                        used = used or shown.by_mean > shown.scale
                        return Averaging(False, used, self.culprits(mode, draw, size, edges, shown.most))
                used = used or shown.by_mean > shown.scale
                break
            if used and draw != DRAWN:
                break
        return Averaging(used, used)

    def shown(self, mode: Mode, edges: Sequence[Edge], draw: int, size: float) -> _Shown | None:
        """Return what disturbances of maps do to a prediction; None where one of the runs fails."""
        before = self.baseline(mode, draw)
        shifted = self.rerun(mode, draw, self.disturb(edges, draw, size, means=True))
        shaken = self.rerun(mode, draw, self.disturb(edges, draw, size, means=False))
        if before is None or shifted is None or shaken is None:
            return None
        by_mean, scale = distance(before, shifted), EFFECT * float(before.abs().max())
        return _Shown(by_mean, distance(before, shaken), scale, self.uneven * max(by_mean, scale))

    def flat(self, mode: Mode, edges: Sequence[Edge]) -> bool:
        for draw in DRAWS:
            values = {} if self.baseline(mode, draw) is None else self._values[mode, draw]
            kept = [(values[edge.operand.id], edge.operand.axes) for edge in edges if edge.operand.id in values]
            if any(uneven(tensor, axes, BYPASS) or not uneven(tensor, (0,), 0.0) for tensor, axes in kept):
                return False  # the same for every image is another fault
        return True

    def heard(self, mode: Mode, edge: Edge) -> float:
        generator = torch.Generator().manual_seed(self.seed)
        extents = [edge.operand.shape[axis] for axis in edge.operand.axes]
        picked = torch.randperm(math.prod(extents), generator=generator)[:PLACES]
        share = 0.0
        for draw in DRAWS:
            before = self.baseline(mode, draw)
            if before is None or share > CLEAR:
                continue
            overrides = [{edge.step.index: place_changed(edge, place, self.seed)} for place in picked.tolist()]
            after = [self.rerun(mode, draw, override) for override in overrides]
            changes = [distance(before, each) for each in after if each is not None]
            squares = sum(change * change for change in changes)
            share = max(share, sum(changes) ** 2 / (len(changes) * squares) if squares else 0.0)
        return share

    def culprits(self, mode: Mode, draw: int, size: float, edges: Sequence[Edge], most: float) -> tuple[Edge, ...]:
        """Return the edges through which more than the means gets, each tried alone."""
        before = self.baseline(mode, draw)
        found = []
        for edge in edges:
            shaken = self.rerun(mode, draw, self.disturb([edge], draw, size, means=False))
            if before is not None and shaken is not None and distance(before, shaken) > most:
                found.append(edge)
        return tuple(found) or tuple(edges)

    @cached_property
    def uneven(self) -> float:
        """The share of an effect that is put down to rounding: more where a graph computes in half precision."""
        kept = any(tensor.dtype in HALF for tensor in self.replay.tensors.values())
        cast = any(step.short in ("half", "bfloat16") or names_half(step) for step in self.facts["train"].steps)
        return 0.03 if kept or cast else UNEVEN

    def disturb(self, edges: Sequence[Edge], draw: int, size: float, *, means: bool) -> dict[int, Override]:
        """Return overrides that add to each map either one number per channel, or noise whose mean is zero."""
        return {index: self._disturbed(inside, draw, size, means) for index, inside in by_node(edges).items()}

    def _disturbed(self, edges: Sequence[Edge], draw: int, size: float, means: bool) -> Override:
        def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            for edge in edges:
                old = values[edge.operand.id]
                generator = torch.Generator().manual_seed(self.seed + 13 * edge.operand.id + COARSE.get(draw, draw))
                new = _disturb(old, edge.operand.axes, generator, size, means)
                if edge.step.wrote:
                    old.copy_(new)
                    continue
                args, kwargs = swap(args, old, new), swap(kwargs, old, new)
            return op.run(*args, **kwargs)

        return override

    def bypassed(self, mode: Mode, edges: Sequence[Edge]) -> bool:
        before = self.baseline(mode, DRAWN)
        held: dict[tuple[int, int], Tensor] = {}

        def kept(edges: Sequence[Edge]) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                held.update({(edge.step.index, edge.operand.id): values[edge.operand.id].clone() for edge in edges})
                return op.run(*args, **kwargs)

            return override

        def swapped(edges: Sequence[Edge]) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                for edge in edges:
                    old = values[edge.operand.id]
                    new = held[edge.step.index, edge.operand.id]
                    args, kwargs = swap(args, old, new), swap(kwargs, old, new)
                return op.run(*args, **kwargs)

            return override

        grouped = by_node(edges)
        other = self.run(mode, DRAWN, {index: kept(own) for index, own in grouped.items()}, self.images(DRAWN, BATCH))
        if before is None or other is None or not differ(before, other):
            return False
        followed = self.rerun(mode, DRAWN, {index: swapped(own) for index, own in grouped.items()})
        return followed is not None and distance(followed, other) <= BYPASS * distance(before, other)

    def patchy(self, mode: Mode, index: int, operand: int) -> bool:
        found: list[Tensor] = []
        for draw in (POSITIVE, DRAWN):
            found.clear()
            for skip in (0, BATCH):
                self.run(mode, draw, {index: noted(operand, found)}, self.images(POSITIVE, skip))
            if len(found) > 1 and all(bool(torch.isfinite(tensor).all()) for tensor in found):
                break
        else:
            return False
        changed = (found[0] != found[1]).any(0).flatten(1)  # channel by position
        followed = changed.any(0).sum()
        return bool(changed.sum() < PATCH * followed * changed.any(1).sum())

    def gathers(self, mode: Mode, index: int, operand: int, layout: Layout, axes: Sequence[int]) -> bool:
        draw = next((draw for draw in DRAWS if self.baseline(mode, draw) is not None), None)
        if draw is None:
            return True  # nothing shows that it does not
        kept = self._values[mode, draw]
        held: dict[int, Override] = {
            step.index: identity if step.index in layout.way else kept_results(step, kept)
            for step in self.facts[mode].steps
            if not step.wrote and (step.index not in layout.way or step.kind in SPREADING)
        }
        found: list[Tensor] = []

        def given(changed: Mapping[int, Override]) -> Tensor | None:
            found.clear()
            self.run(mode, draw, {**held, **changed, index: noted(operand, found)})
            return found[0].double() if found else None

        before = given({})
        wrote = any(self.facts[mode].steps[index].wrote for index in layout.way)
        for edge in layout.edges:
            for axis in (axis for axis in edge.operand.axes if edge.operand.shape[axis] > 1):
                ends = [given({edge.step.index: end_changed(edge, axis, last, wrote)}) for last in (False, True)]
                if _meet(axes, before, *ends):
                    return True
        return False


def by_node(edges: Sequence[Edge]) -> dict[int, list[Edge]]:
    found: dict[int, list[Edge]] = {}
    for edge in edges:
        found.setdefault(edge.step.index, []).append(edge)
    return found


def names_half(step: Step) -> bool:
    given = (*step.node.args, *step.node.kwargs.values())
    return any(isinstance(item, Symbol) and item.name in ("float16", "bfloat16") for item in given)


def _disturb(old: Tensor, axes: Sequence[int], generator: torch.Generator, size: float, means: bool) -> Tensor:
    if not old.is_floating_point():
        return old
    scale = size * (float(old.std()) + 0.1)
    shape = [1 if axis in axes else extent for axis, extent in enumerate(old.shape)]
    if means:
        return old + scale * torch.randn(shape, generator=generator)
    noise = torch.randn(old.shape, generator=generator, dtype=torch.float64)
    for _ in range(2):  # once more for what rounding leaves
        noise = noise - noise.mean(tuple(axes), keepdim=True)
    return old + (scale * noise).to(old.dtype)


def _meet(axes: Sequence[int], before: Tensor | None, *after: Tensor | None) -> bool:
    """Tell whether there is a position, of an image and all along these axes, that each of several changes reached."""
    if before is None:
        return False
    reached = [(before != each).sum(tuple(axes)) > 0 for each in after if each is not None]
    return len(reached) == len(after) and bool(torch.stack(reached).all(0).any())
