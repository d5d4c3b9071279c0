"""What multiplied weights are: whether they differ, bend, follow the image, and reach a sum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.checks._subject import Route
from grader.experiments.compare import ROUNDING, UNEVEN, distance, uneven
from grader.experiments.overrides import Override, likened, noted, ones, scale_alone, stilled, swap
from grader.experiments.runs import BATCH, DRAWN, DRAWS, MOVED, Runs
from grader.graph import Mode
from grader.leaves import scattered
from grader.replay import Values

PICKS = 8  # numbers that stand for all that a node draws, each in a run of its own
STEADY = 0.01  # of what weights differ by: what an image may change of them
STEADY_IN = (DRAWN, MOVED)  # a gate may be shut for all images by the weights of one draw
STRAIGHT = 0.05  # of what an activation returns: a smaller part bends nothing


class Weights(Runs):
    """Experiments that look at what nodes are given, and what is left of weights where a later node sums."""

    def varies(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        found: list[Tensor] = []
        self.run(mode, DRAWN, {index: noted(operand, found)})
        return any(uneven(tensor, axes) for tensor in found)

    def steady(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        return all(self._steady(mode, draw, index, operand, axes) for draw in STEADY_IN)

    def _steady(self, mode: Mode, draw: int, index: int, operand: int, axes: Sequence[int]) -> bool:
        found: list[Tensor] = []
        for skip in (0, BATCH):
            self.run(mode, draw, {index: noted(operand, found)}, self.images(draw, skip))
        inside = [axis for axis in axes if found and axis < found[0].dim()]
        if len(found) < len((0, BATCH)) or not inside or not found[0].numel():
            return False
        one, other = (tensor.double() for tensor in found)
        spread = float((one.amax(inside) - one.amin(inside)).max())
        return spread > 0 and distance(one, other) <= STEADY * spread

    def bent(self, mode: Mode, indexes: Sequence[int]) -> frozenset[int]:
        told: dict[int, bool] = {}
        self.run(mode, DRAWN, {index: likened(index, _is_straight, told) for index in indexes})
        return frozenset(index for index in indexes if not told.get(index, False))

    def carried(self, mode: Mode, route: Route) -> bool:
        found: list[Tensor] = []

        def filled(fills: Mapping[int, float]) -> Override:
            def override(op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
                for key, number in fills.items():
                    new = torch.full_like(values[key], number)
                    args, kwargs = swap(args, values[key], new), swap(kwargs, values[key], new)
                return op.run(*args, **kwargs)

            return override

        ways: list[dict[int, Override]] = [{index: filled(fills) for index, fills in route.fills.items()}]
        ways[0].update({index: scale_alone(key) for index, key in route.scales.items()})
        if route.weights:
            even = {index: filled({**route.fills[index], key: 1.0}) for index, key in route.weights.items()}
            ways.append({**ways[0], **even, **dict.fromkeys(route.scales, ones)})

        def differ(stilled: Mapping[int, Override]) -> bool:
            found.clear()
            for overrides in ways:
                self.run(mode, DRAWN, {**overrides, **stilled, route.sink: noted(route.summed, found)})
            if len(found) < len(ways):
                return False
            weights, rounding = (found[0], ROUNDING) if len(ways) == 1 else (_quotient(*found), UNEVEN)
            return uneven(weights, route.axes, rounding) and _mixes(found[0], route.axes)

        return differ({}) and any(map(differ, self.stilled(mode)))

    def stilled(self, mode: Mode) -> Iterator[dict[int, Override]]:
        """Yield overrides that let nothing differ by chance: one number of those that a node draws stands for all.

        One number alone would not do: it may hide what a mask covers.
        """
        noise = self.facts[mode].live_steps("random", "dropout")
        draws = any(step.kind == "random" for step in noise)
        generator = torch.Generator().manual_seed(self.seed)
        for pick in torch.rand(PICKS if draws else 1, generator=generator).tolist():
            yield {step.index: stilled(pick) for step in noise}

    def scattered(self, mode: Mode, index: int) -> int:
        draw = next((draw for draw in DRAWS if self.baseline(mode, draw) is not None), None)
        values = {} if draw is None else self._values[mode, draw]
        made = [values[key] for key in self.facts[mode].steps[index].node.outputs if key in values]
        return max((scattered(tensor) for tensor in made if tensor.is_floating_point()), default=0)

    def drawn(self, key: int) -> bool:
        return scattered(self.replay.tensors[key]) > 0


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
    return not rest or uneven(weights, rest)


def _quotient(weighted: Tensor, plain: Tensor) -> Tensor:
    """Return what weights do beside a way that weighs positions itself."""
    return weighted / plain.where(plain != 0, 1)
