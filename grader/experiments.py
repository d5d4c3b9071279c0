"""The experiments behind the checks: run a graph with other learned tensors, change one thing, compare.

Learned tensors are drawn at unit scale, so that a head or a branch that starts at zero can't hide what is behind it,
and taken as submitted, so that nothing hides behind a gate that only these open.
Every random node draws from a stream of its own, so that taking one away does not shift the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from grader import ops, rows
from grader.checks._subject import Averaging, Edge, Layout, Replacement, Route
from grader.facts import Facts, Step
from grader.graph import Mode, Symbol
from grader.kinds import Kind, signature
from grader.leaves import scattered
from grader.replay import Replay, ReplayError, Values, prediction, tensors_in

BATCH = 4
LARGE = 128  # images in a batch of a training
LATE = 100_000  # batches that a counter has counted late in one

DRAWS = (0, 1, 2)
DRAWN, SUBMITTED, POSITIVE = DRAWS  # what the learned tensors are; images are real ones but for the last draw
FINE = 3  # as DRAWN, in double precision: of an effect through several sigmoids in a row float32 shows nothing
SIZES = (1.0, 0.01)  # of a disturbance: a small one stays where a logarithm or a root is defined
EFFECT = 1e-4  # of the largest output: less is rounding
REDRAWS = 32  # masks that are tried of a dropout that drops next to nothing
PICKS = 8  # numbers that stand for all that a node draws, each in a run of its own
BYPASS = 0.01  # of what another image changes: what is left to a map beside a way round it
STEADY = 0.01  # of what weights differ by: what an image may change of them
STRAIGHT = 0.05  # of what an activation returns: a smaller part bends nothing
ROUNDING = 1e-6  # of the largest of weights: what even ones may differ by
UNEVEN = 1e-3  # of what a change of the means does: less is rounding

# Operators through which no gradient, or none that teaches, gets back.
GRADIENT_STOPS = frozenset(
    "detach data requires_grad int long bool short byte char sign floor ceil round trunc heaviside argmax argmin "
    "one_hot to type gt ge lt le eq ne greater less logical_not isnan".split()
)

SPREADING: frozenset[Kind] = frozenset(("norm", "batch-norm", "softmax"))  # kinds in which each number meets all others
HALF = (torch.float16, torch.bfloat16)
Override = Callable[[ops.Op, tuple[Any, ...], dict[str, Any], Values], Any]


class Laboratory:
    """Runs experiments on one graph. `seed` is secret from the submission: chosen after it was captured."""

    def __init__(self, replay: Replay, facts: Mapping[Mode, Facts], samples: Tensor, seed: int) -> None:
        """Take at least two batches of real, normalised images."""
        self.replay = replay
        self.facts = facts
        self.samples = samples
        self.seed = seed
        self._states: dict[int, Values] = {}
        self._plain: dict[tuple[Mode, int, int], Tensor | None] = {}
        self._plain_late: dict[tuple[Mode, int], Tensor | None] = {}
        self._values: dict[tuple[Mode, int], Values] = {}
        self._shown: set[tuple[Mode, frozenset[tuple[int, Replacement]]]] = set()  # what mattered with drawn weights
        self._alike: dict[Mode, bool] = {}

    def blocked(self) -> str:
        for mode, facts in self.facts.items():
            if facts.primary is None:
                return "the model returns no tensor"
            if all(self.baseline(mode, draw) is None for draw in DRAWS):
                return "the output is not finite"
        return ""

    def matters(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        overrides = {index: REPLACEMENTS[how] for index, how in replaced.items()}
        for draw in (*DRAWS, FINE):
            before = self.baseline(mode, draw)
            after = self.run(mode, draw, overrides)
            if before is not None and after is not None and _differ(before, after):
                if draw in (DRAWN, FINE):
                    self._shown.add((mode, frozenset(replaced.items())))
                return True
        return "redrawn" in replaced.values() and self.stirs(mode, tuple(replaced))

    def stirs(self, mode: Mode, indexes: Sequence[int]) -> bool:
        """Tell whether nodes that draw rarely anything but zeros or ones change the prediction in one of many tries."""
        before = self.run(mode, DRAWN, {}, self.samples.clone())
        tries = (dict.fromkeys(indexes, _redrawn(number)) for number in range(1, REDRAWS))
        after = (self.run(mode, DRAWN, overrides, self.samples.clone()) for overrides in tries)
        return before is not None and any(found is not None and _differ(before, found) for found in after)

    def scattered(self, mode: Mode, index: int) -> int:
        draw = next((draw for draw in DRAWS if self.baseline(mode, draw) is not None), None)
        values = {} if draw is None else self._values[mode, draw]
        made = [values[key] for key in self.facts[mode].steps[index].node.outputs if key in values]
        return max((scattered(tensor) for tensor in made if tensor.is_floating_point()), default=0)

    def mixes(self, mode: Mode) -> bool:
        return any(self._hears_others(mode, draw, row) for row in range(BATCH) for draw in (*DRAWS, FINE))

    def _hears_others(self, mode: Mode, draw: int, row: int) -> bool:
        """Tell whether the prediction for one image changes when all others are exchanged."""
        images = self.images(draw, BATCH)
        images[row] = self.images(draw)[row]
        before, after = self.baseline(mode, draw), self.run(mode, draw, {}, images)
        if before is None or after is None or before.shape != after.shape:
            return False
        changed = before.clone()
        own = slice(row * len(before) // BATCH, (row + 1) * len(before) // BATCH)  # some return several rows an image
        changed[own] = after[own]
        return _differ(before, changed)

    def hears(self, key: int, numbers: Tensor) -> bool:
        """Tell whether the prediction changes with other numbers in one tensor of the graph."""
        for mode in self.facts:
            for draw in DRAWS:
                before = self.baseline(mode, draw)
                state = {other: tensor.clone() for other, tensor in self.state(draw).items()}
                after = self.run(mode, draw, {}, state={**state, key: numbers.clone()})
                if before is not None and (after is None or _differ(before, after)):
                    return True
        return False

    def endures(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        if (mode, frozenset(replaced.items())) in self._shown and self.is_alike(mode):
            return True
        overrides = {index: REPLACEMENTS[how] for index, how in replaced.items()}
        told = False
        for draw in (DRAWN, SUBMITTED, FINE):
            before = self._late(mode, draw, {})
            after = self._late(mode, draw, overrides)
            if before is not None and after is not None:
                told = True
                if _differ(before, after):
                    return True
        return not told  # a model that can't be run so shows nothing against it

    def is_alike(self, mode: Mode) -> bool:
        """Tell whether what was shown with drawn weights on a few images needs no proof on many."""
        if mode not in self._alike:
            self._alike[mode] = rows.alike(self.replay.graph, self.facts[mode], self.learned)
        return self._alike[mode]

    def _late(self, mode: Mode, draw: int, overrides: Mapping[int, Override]) -> Tensor | None:
        """Return the prediction for a batch of a training's size, with counters as they stand late in one."""
        if overrides or (mode, draw) not in self._plain_late:
            state = {key: tensor.clone() for key, tensor in self.state(draw).items()}
            for info in self.replay.graph.of_role("buffer"):
                if state[info.id].dtype in (torch.int32, torch.int64) and state[info.id].numel() == 1:
                    state[info.id] = torch.full_like(state[info.id], LATE)
            times = -(-LARGE // len(self.samples))
            images = self.samples.repeat(times, 1, 1, 1)[:LARGE]
            found = self.run(mode, draw, overrides, images.double() if draw == FINE else images, state=state)
            if overrides:
                return found
            self._plain_late[mode, draw] = found
        return self._plain_late[mode, draw]

    def averages(self, mode: Mode, edges: Sequence[Edge]) -> Averaging:
        used = False
        for draw in DRAWS:
            for size in SIZES:
                before = self.baseline(mode, draw)
                shifted = self.rerun(mode, draw, self.disturb(edges, draw, size, means=True))
                shaken = self.rerun(mode, draw, self.disturb(edges, draw, size, means=False))
                if before is None or shifted is None or shaken is None:
                    continue
                by_mean, by_place = _distance(before, shifted), _distance(before, shaken)
                scale = EFFECT * float(before.abs().max())
                used = used or by_mean > scale
                most = self.uneven * max(by_mean, scale)
                if by_place > most:
                    return Averaging(False, used, self.culprits(mode, draw, size, edges, most))
                break
            if used and draw != DRAWN:
                break
        return Averaging(used, used)

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
                    args, kwargs = _swap(args, old, new), _swap(kwargs, old, new)
                return op.run(*args, **kwargs)

            return override

        grouped = _by_node(edges)
        other = self.run(mode, DRAWN, {index: kept(own) for index, own in grouped.items()}, self.images(DRAWN, BATCH))
        if before is None or other is None or not _differ(before, other):
            return False
        followed = self.rerun(mode, DRAWN, {index: swapped(own) for index, own in grouped.items()})
        return followed is not None and _distance(followed, other) <= BYPASS * _distance(before, other)

    def culprits(self, mode: Mode, draw: int, size: float, edges: Sequence[Edge], most: float) -> tuple[Edge, ...]:
        """Return the edges through which more than the means gets, each tried alone."""
        before = self.baseline(mode, draw)
        found = []
        for edge in edges:
            shaken = self.rerun(mode, draw, self.disturb([edge], draw, size, means=False))
            if before is not None and shaken is not None and _distance(before, shaken) > most:
                found.append(edge)
        return tuple(found) or tuple(edges)

    @cached_property
    def uneven(self) -> float:
        """The share of an effect that is put down to rounding: more where a graph computes in half precision."""
        kept = any(tensor.dtype in HALF for tensor in self.replay.tensors.values())
        cast = any(step.short in ("half", "bfloat16") or _names_half(step) for step in self.facts["train"].steps)
        return 0.03 if kept or cast else UNEVEN

    def varies(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        found: list[Tensor] = []

        def look(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            found.append(values[operand].clone())
            return op.run(*args, **kwargs)

        self.run(mode, DRAWN, {index: look})
        return any(_uneven(tensor, axes) for tensor in found)

    def gathers(self, mode: Mode, index: int, operand: int, layout: Layout) -> bool:
        draw = next((draw for draw in DRAWS if self.baseline(mode, draw) is not None), None)
        if draw is None:
            return True  # nothing shows that it does not
        kept = self._values[mode, draw]
        held: dict[int, Override] = {
            step.index: _identity if step.index in layout.way else _kept(step, kept)
            for step in self.facts[mode].steps
            if not step.wrote and (step.index not in layout.way or step.kind in SPREADING)
        }
        found: list[Tensor] = []

        def look(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            found.append(values[operand].double())
            return op.run(*args, **kwargs)

        def given(changed: Mapping[int, Override]) -> Tensor | None:
            found.clear()
            self.run(mode, draw, {**held, **changed, index: look})
            return found[0] if found else None

        before = given({})
        for edge in layout.edges:
            for axis in (axis for axis in edge.operand.axes if edge.operand.shape[axis] > 1):
                ends = [given({edge.step.index: _end_changed(edge, axis, last)}) for last in (False, True)]
                if _meet(before, *ends):
                    return True
        return False

    def carried(self, mode: Mode, route: Route) -> bool:
        found: list[Tensor] = []

        def filled(fills: Mapping[int, float]) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                for key, number in fills.items():
                    new = torch.full_like(values[key], number)
                    args, kwargs = _swap(args, values[key], new), _swap(kwargs, values[key], new)
                return op.run(*args, **kwargs)

            return override

        def look(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            found.append(values[route.summed].clone())
            return op.run(*args, **kwargs)

        ways: list[dict[int, Override]] = [{index: filled(fills) for index, fills in route.fills.items()}]
        ways[0].update({index: _scale_alone(key) for index, key in route.scales.items()})
        if route.weights:
            even = {index: filled({**route.fills[index], key: 1.0}) for index, key in route.weights.items()}
            ways.append({**ways[0], **even, **dict.fromkeys(route.scales, _ones)})

        def differ(stilled: Mapping[int, Override]) -> bool:
            found.clear()
            for overrides in ways:
                self.run(mode, DRAWN, {**overrides, **stilled, route.sink: look})
            if len(found) < len(ways):
                return False
            weights, rounding = (found[0], ROUNDING) if len(ways) == 1 else (_quotient(*found), UNEVEN)
            return _uneven(weights, route.axes, rounding) and _mixes(found[0], route.axes)

        return differ({}) and any(map(differ, self.stilled(mode)))

    def steady(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        found: list[Tensor] = []

        def look(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            found.append(values[operand].double())
            return op.run(*args, **kwargs)

        for skip in (0, BATCH):
            self.run(mode, DRAWN, {index: look}, self.images(DRAWN, skip))
        inside = [axis for axis in axes if found and axis < found[0].dim()]
        if len(found) < len((0, BATCH)) or not inside or not found[0].numel():
            return False
        spread = float((found[0].amax(inside) - found[0].amin(inside)).max())
        return spread > 0 and _distance(*found) <= STEADY * spread

    def bent(self, mode: Mode, indexes: Sequence[int]) -> frozenset[int]:
        straight: set[int] = set()

        def look(index: int) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                given = next(iter(tensors_in([*args, *kwargs.values()]))).clone()
                result = op.run(*args, **kwargs)
                if all(map(partial(_is_straight, given), tensors_in(result))):
                    straight.add(index)
                return result

            return override

        self.run(mode, DRAWN, {index: look(index) for index in indexes})
        return frozenset(indexes) - straight

    def stilled(self, mode: Mode) -> Iterator[dict[int, Override]]:
        """Yield overrides that let nothing differ by chance: one number of those that a node draws stands for all.

        One number alone would not do: it may hide what a mask covers.
        """
        noise = self.facts[mode].live_steps("random", "dropout")
        draws = any(step.kind == "random" for step in noise)
        generator = torch.Generator().manual_seed(self.seed)
        for pick in torch.rand(PICKS if draws else 1, generator=generator).tolist():
            yield {step.index: _stilled(pick) for step in noise}

    def follows_input(self, mode: Mode) -> bool:
        changed = False
        for draw in DRAWS:
            before = self.baseline(mode, draw)
            if before is not None and self.is_certain(mode) and _differ(before, before.flip(0)):
                return True
            after = self.baseline(mode, draw, BATCH)
            if before is not None and after is not None:
                changed = changed or not torch.equal(before, after)
                if _differ(before, after):
                    return True
        before, after = self.baseline(mode, FINE), self.baseline(mode, FINE, BATCH)
        # What float32 shows at all may be rounding: it is none if it is as large where rounding is far smaller.
        return changed and before is not None and after is not None and _differ(before, after)

    def followers(self, mode: Mode) -> frozenset[int]:
        """Return the indexes of the nodes whose results change with the image; to be given it is not enough."""
        steps = self.facts[mode].steps
        given = {step.index for step in steps if step.from_input}
        if not any(sum(operand.from_input for operand in step.operands) > 1 for step in steps):
            return frozenset(given)  # one path alone: where it stopped to follow, so would the prediction
        found: set[int] = set()
        for draw in (DRAWN, SUBMITTED):
            one, other = self.results(mode, draw, 0), self.results(mode, draw, BATCH)
            found |= {index for index in given - found if not _all_identical(one.get(index), other.get(index))}
            if found == given:
                break
        return frozenset(found)

    def results(self, mode: Mode, draw: int, skip: int) -> dict[int, list[Tensor]]:
        """Return what each node of a plain run returned and was given, after it ran: it may have written into that."""
        found: dict[int, list[Tensor]] = {}

        def look(index: int) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                result = op.run(*args, **kwargs)
                wrote = self.facts[mode].steps[index].wrote
                written = [tensor.clone() for tensor in tensors_in([*args, *kwargs.values()])] if wrote else []
                found[index] = [*[tensor.clone() for tensor in tensors_in(result)], *written]
                return result

            return override

        looks = {step.index: look(step.index) for step in self.facts[mode].steps}
        kept: Values = {}
        self._plain[mode, draw, skip] = self.run(mode, draw, looks, self.images(draw, skip), kept=kept)
        if not skip:
            self._values[mode, draw] = kept
        return found

    def is_certain(self, mode: Mode) -> bool:
        """Tell whether nothing random acts, so that images alone make the rows of a prediction differ."""
        table = ops.table()
        facts = self.facts[mode]
        return not any(table[facts.steps[index].node.op].random for index in facts.live)

    def baseline(self, mode: Mode, draw: int, skip: int = 0) -> Tensor | None:
        """Return the prediction of a plain run, from this image of the draw on; None where it is not finite."""
        self.state(draw)
        if (mode, draw, skip) not in self._plain:
            kept: Values = {}
            self._plain[mode, draw, skip] = self.run(mode, draw, {}, self.images(draw, skip), kept=kept)
            if not skip:
                self._values[mode, draw] = kept
        return self._plain[mode, draw, skip]

    def rerun(self, mode: Mode, draw: int, overrides: Mapping[int, Override]) -> Tensor | None:
        """Run with some nodes overridden, from the first of them on where nothing is written in place after it."""
        first = min(overrides, default=0)
        if self.baseline(mode, draw) is None or any(step.wrote for step in self.facts[mode].steps[first:]):
            return self.run(mode, draw, overrides)
        return self.run(mode, draw, overrides, start=first, state=dict(self._values[mode, draw]))

    def run(
        self,
        mode: Mode,
        draw: int,
        overrides: Mapping[int, Override],
        images: Tensor | None = None,
        *,
        start: int = 0,
        state: Values | None = None,
        kept: Values | None = None,
    ) -> Tensor | None:
        """Run one program with some nodes overridden; None where it fails or gives numbers that are not finite.

        `kept` receives the values at the end; `start` and `state` take up a run whose values were kept.
        """

        def around(index: int, op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            if op.random:
                torch.default_generator.manual_seed(self.seed + 7919 * index + draw)
            override = overrides.get(index)
            result = op.run(*args, **kwargs) if override is None else override(op, args, kwargs, values)
            if kept is not None and index == last:
                kept.update(values)
            return result

        last = len(self.facts[mode].steps) - 1
        if state is None:
            state = {key: tensor.clone() for key, tensor in self.state(draw).items()}
        try:
            with torch.no_grad():
                batch = self.images(draw) if images is None else images
                found = prediction(self.replay.run(mode, batch, state, around, start))
        except ReplayError:
            return None
        if found is None or not bool(torch.isfinite(found).all()):
            return None
        return found if found.is_floating_point() else found.double()  # to be compared: integers have no mean

    def images(self, draw: int, skip: int = 0) -> Tensor:
        """Return a batch of images: real ones, as gates may open to these alone, or random ones."""
        if draw != POSITIVE:
            images = self.samples[skip : skip + BATCH].clone()  # forward may write into its input
            return images.double() if draw == FINE else images
        generator = torch.Generator().manual_seed(self.seed + skip)
        return torch.randn((BATCH, *self.samples.shape[1:]), generator=generator)

    def state(self, draw: int) -> Values:
        """Return the tensors of the graph with the learned ones drawn at random."""
        if draw == FINE and draw not in self._states:
            self._states[draw] = {key: _fine(tensor) for key, tensor in self.state(DRAWN).items()}
        if draw not in self._states:
            generator = torch.Generator().manual_seed(self.seed + 31 * draw + 1)
            tensors = dict(self.replay.tensors)
            for key in self.learned if draw != SUBMITTED else ():
                tensors[key] = _random_like(tensors[key], generator, draw)
            self._states[draw] = tensors
            if draw != SUBMITTED:
                self.settle(draw)
        return self._states[draw]

    def settle(self, draw: int) -> None:
        """Give batch normalisations the statistics that belong to the drawn weights: one plain run in training mode."""
        steps = self.facts["train"].steps
        kept = {
            step.index: step for step in steps if step.kind == "batch-norm" and step.operand("running_mean") is not None
        }
        state = self._states[draw]

        def measure(index: int) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                images = values[kept[index].operands[0].id]
                axes = [axis for axis in range(images.dim()) if axis != 1]
                for name, statistic in (("running_mean", images.mean(axes)), ("running_var", images.var(axes) + 1e-3)):
                    operand = kept[index].operand(name)
                    if operand is not None and operand.leaf is not None:
                        state[operand.leaf] = statistic
                return op.run(*args, **kwargs)

            return override

        values: Values = {}
        self._plain["train", draw, 0] = self.run("train", draw, {index: measure(index) for index in kept}, kept=values)
        self._values["train", draw] = values

    @cached_property
    def learned(self) -> tuple[int, ...]:
        """The ids of the parameters that a gradient reaches in training: others keep the values they have."""
        trainable = [info.id for info in self.replay.graph.of_role("parameter") if info.trainable]
        steps = self.facts["train"].steps
        if all(step.node.grad and step.short.rstrip("_") not in GRADIENT_STOPS for step in steps):
            return tuple(key for key in trainable if self.replay.tensors[key].is_floating_point())
        state = self.replay.state()
        generator = torch.Generator().manual_seed(self.seed)
        wanted = {}
        for info in self.replay.graph.of_role("parameter"):
            if info.trainable and state[info.id].is_floating_point():
                state[info.id] = _random_like(state[info.id], generator, DRAWN).requires_grad_()
                wanted[info.id] = state[info.id]
        try:
            with torch.enable_grad():
                found = prediction(self.replay.run("train", self.images(DRAWN), state))
            if found is None or not found.requires_grad:
                return ()
            gradients = torch.autograd.grad(found.sum(), list(wanted.values()), allow_unused=True)
        except (ReplayError, RuntimeError):
            return tuple(wanted)  # can't be differentiated: take them all
        return tuple(key for key, gradient in zip(wanted, gradients, strict=True) if gradient is not None)

    def disturb(self, edges: Sequence[Edge], draw: int, size: float, *, means: bool) -> dict[int, Override]:
        """Return overrides that add to each map either one number per channel, or noise whose mean is zero."""
        return {index: self._disturbed(inside, draw, size, means) for index, inside in _by_node(edges).items()}

    def _disturbed(self, edges: Sequence[Edge], draw: int, size: float, means: bool) -> Override:
        def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            for edge in edges:
                old = values[edge.operand.id]
                generator = torch.Generator().manual_seed(self.seed + 13 * edge.operand.id + draw)
                new = _disturb(old, edge.operand.axes, generator, size, means)
                if edge.step.wrote:
                    old.copy_(new)
                    continue
                args, kwargs = _swap(args, old, new), _swap(kwargs, old, new)
            return op.run(*args, **kwargs)

        return override


def _kept(step: Step, kept: Values) -> Override:
    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        return [kept[key].clone() for key in step.node.outputs]

    return override


def _end_changed(edge: Edge, axis: int, last: bool) -> Override:
    """Return what changes a quarter of a map, at the beginning or at the end of an axis."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        old = values[edge.operand.id]
        extent = old.shape[axis]
        width = max(extent // 4, 1)
        new = old.clone()
        new.narrow(axis, extent - width if last else 0, width).add_(float(old.double().std()) + 1)
        return op.run(*_swap(args, old, new), **_swap(kwargs, old, new))

    return override


def _meet(before: Tensor | None, *after: Tensor | None) -> bool:
    """Tell whether there is a position, of an image and its channels, that each of several changes reached."""
    if before is None:
        return False
    reached = [(before != each).any(1) for each in after if each is not None]
    return len(reached) == len(after) and bool(torch.stack(reached).all(0).any())


def _by_node(edges: Sequence[Edge]) -> dict[int, list[Edge]]:
    found: dict[int, list[Edge]] = {}
    for edge in edges:
        found.setdefault(edge.step.index, []).append(edge)
    return found


def _names_half(step: Step) -> bool:
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


def _swap(item: Any, old: Tensor, new: Tensor) -> Any:
    if item is old:
        return new
    if isinstance(item, (tuple, list)):
        return type(item)(_swap(part, old, new) for part in item)
    if isinstance(item, dict):
        return {key: _swap(part, old, new) for key, part in item.items()}
    return item


def _identity(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    given = next(iter(tensors_in([*args, *kwargs.values()])))
    return given if op.name.endswith("_") or kwargs.get("inplace") or args[3:4] == (True,) else given.clone()


def _fixed_statistics(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    """Normalise by mean 0 and variance 1, keeping the learned scale and shift."""
    named = dict(zip(signature(op.name), args, strict=False)) | kwargs
    images = named["input"]
    channels = images.shape[1]
    fixed = torch.nn.functional.batch_norm(
        images, images.new_zeros(channels), images.new_ones(channels), named.get("weight"), named.get("bias"), False
    )
    return fixed if op.short == "batch_norm" else (fixed, *list(tensors_in(op.run(*args, **kwargs)))[1:])


def _stilled(pick: float) -> Override:
    """Let a node that draws give one of its numbers everywhere, and a dropout drop nothing.

    A draw from numbers that differ, such as noise around weights, stays as it is.
    """

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        if op.kind == "dropout":
            return _identity(op, args, kwargs, values)
        given = tensors_in([*args, *kwargs.values()]) if op.reads_numbers else ()
        differs = any(_uneven(tensor, range(tensor.dim())) for tensor in given)
        result = op.run(*args, **kwargs)
        for tensor in () if differs else tensors_in(result):
            if tensor.numel():
                tensor.fill_(tensor.flatten()[int(pick * tensor.numel())].item())
        return result

    return override


def _scale_alone(key: int) -> Override:
    """Let a normalisation return its weights alone."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        result = op.run(*args, **kwargs)
        weight, first = values[key], next(iter(tensors_in(result)))
        per_channel = [1, -1, *[1] * (first.dim() - 2)]
        first.copy_(weight.view(per_channel) if op.kind == "batch-norm" else weight.expand_as(first))
        return result

    return override


def _ones(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    result = op.run(*args, **kwargs)
    next(iter(tensors_in(result))).fill_(1)
    return result


def _redrawn(number: int) -> Override:
    """Let a node draw other numbers; which ones follows from those that it would have drawn."""

    def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
        seeds = torch.randint(1 << 62, (number + 1,))
        torch.default_generator.manual_seed(int(seeds[number]))
        return op.run(*args, **kwargs)

    return override


def _zeros(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
    result = op.run(*args, **kwargs)
    for tensor in tensors_in(result):
        tensor.zero_()
    return result


REPLACEMENTS: dict[Replacement, Override] = {
    "identity": _identity,
    "fixed-statistics": _fixed_statistics,
    "zeros": _zeros,
    "redrawn": _redrawn(0),
}


def _random_like(tensor: Tensor, generator: torch.Generator, draw: int) -> Tensor:
    """Draw at unit scale: matrices so that sums over their inputs have unit variance, single numbers away from zero.

    One draw is positive, for models that take logarithms or roots of what they learn.
    """
    drawn = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    if tensor.dim() > 1 and tensor.shape[0]:
        drawn = drawn / max(tensor.numel() // tensor.shape[0], 1) ** 0.5
    else:
        drawn = drawn.sign() * (0.5 + torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype))
    return drawn.abs() if draw == POSITIVE else drawn


def _fine(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _distance(one: Tensor, other: Tensor) -> float:
    return (
        float((one - other).abs().max())
        if one.shape == other.shape and one.numel()
        else float(one.shape != other.shape)
    )


def _all_identical(one: Sequence[Tensor] | None, other: Sequence[Tensor] | None) -> bool:
    """Tell whether two runs of a node gave the same, finite numbers."""
    if one is None or other is None or len(one) != len(other):
        return False
    return all(bool(torch.isfinite(a).all()) and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def _differ(one: Tensor, other: Tensor) -> bool:
    if not one.numel():
        return False
    spread = float((one - one.mean(0, keepdim=True)).abs().max())
    rounding = 16 * torch.finfo(one.dtype).eps * float(one.abs().max()) if one.is_floating_point() else 0.0
    return _distance(one, other) > max(EFFECT * spread, rounding, 1e-12)


def _is_straight(given: Tensor, result: Tensor) -> bool:
    """Tell whether numbers are those given, scaled and shifted, but for a small part of what they differ by."""
    if given.shape != result.shape or not given.numel():
        return False
    x, y = (tensor.double().flatten() - tensor.double().mean() for tensor in (given, result))
    rest = y - x * (x @ y) / (x @ x).clamp(min=1e-30)
    return float(rest.norm()) <= STRAIGHT * float(y.norm())


def _mixes(weights: Tensor, axes: Sequence[int]) -> bool:
    """Tell a matrix from the weights of an average: it differs along an axis that stays, if one does."""
    rest = [axis for axis in range(1, weights.dim()) if axis not in axes and weights.shape[axis] > 1]
    return not rest or _uneven(weights, rest)


def _quotient(weighted: Tensor, plain: Tensor) -> Tensor:
    """Return what weights do beside a way that weighs positions itself."""
    return weighted / plain.where(plain != 0, 1)


def _uneven(tensor: Tensor, axes: Sequence[int], rounding: float = ROUNDING) -> bool:
    inside = [axis for axis in axes if -tensor.dim() <= axis < tensor.dim()]
    if not inside or not tensor.numel():
        return False
    spread = tensor.double().amax(inside) - tensor.double().amin(inside)
    return float(spread.max()) > rounding * max(float(tensor.double().abs().max()), 1e-12)
