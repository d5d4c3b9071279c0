"""Whether the prediction depends on something: nodes, numbers, the image, the others of its batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from grader import rows
from grader.checks._subject import Replacement
from grader.experiments.compare import all_identical, differ
from grader.experiments.overrides import REPLACEMENTS, Override, likened, redrawn
from grader.experiments.runs import BATCH, DRAWN, DRAWS, FINE, MOVED, REACHED, SUBMITTED, Runs
from grader.facts import Facts
from grader.graph import Mode
from grader.replay import Replay, Values

LARGE = 128  # images in a batch of a training
LATE = 100_000  # batches that a counter has counted late in one
REDRAWS = 32  # masks that are tried of a dropout that drops next to nothing


class Effects(Runs):
    """Experiments that change something and look at the prediction."""

    def __init__(
        self, replay: Replay, facts: Mapping[Mode, Facts], samples: Tensor, originals: Tensor, seed: int
    ) -> None:
        """Take `samples` that nobody could foresee, and `originals` of which none was changed."""
        super().__init__(replay, facts, samples, seed)
        self.originals = originals
        self._plain_late: dict[tuple[Mode, int], Tensor | None] = {}
        self._shown: set[tuple[Mode, frozenset[tuple[int, Replacement]]]] = set()  # what mattered with drawn weights
        self._alike: dict[Mode, bool] = {}

    def blocked(self) -> str:
        for mode, facts in self.facts.items():
            if facts.primary is None:
                return "the model returns no tensor"
            if not facts.primary.shape:
                return "the model returns one number for all images"
            if all(self.baseline(mode, draw) is None for draw in DRAWS):
                return "the output is not finite"
        return ""

    def matters(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        overrides = {index: REPLACEMENTS[how] for index, how in replaced.items()}
        for draw in (*DRAWS, FINE):
            before = self.baseline(mode, draw)
            after = self.run(mode, draw, overrides)
            if before is not None and after is not None and differ(before, after):
                if draw in (DRAWN, FINE):
                    self._shown.add((mode, frozenset(replaced.items())))
                return True
        return "redrawn" in replaced.values() and self.stirs(mode, DRAWN, tuple(replaced))

    def stirs(self, mode: Mode, draw: int, indexes: Sequence[int]) -> bool:
        """Tell whether nodes that draw rarely anything but zeros or ones change the prediction in one of many tries."""
        before = self.run(mode, draw, {}, self.samples.clone())
        tries = (dict.fromkeys(indexes, redrawn(number)) for number in range(1, REDRAWS))
        after = (self.run(mode, draw, overrides, self.samples.clone()) for overrides in tries)
        return before is not None and any(found is not None and differ(before, found) for found in after)

    def opens(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        if self.replay.graph.custom_gradient:
            return True  # what it lets through is not known
        overrides = {index: REPLACEMENTS[how] for index, how in replaced.items()}
        for draw in (SUBMITTED, *REACHED):
            before, after = self.baseline(mode, draw), self.run(mode, draw, overrides)
            if before is None or after is None or differ(before, after):
                return True
            if "redrawn" in replaced.values() and self.stirs(mode, draw, tuple(replaced)):
                return True
        return False

    def handing_on(self, mode: Mode, indexes: Sequence[int]) -> frozenset[int]:
        told: dict[int, bool] = {}
        looks = {index: likened(index, torch.equal, told) for index in indexes}
        tried = [self.run(mode, draw, looks) for draw in DRAWS if indexes]
        changing = {index for index, is_same in told.items() if not is_same}
        return frozenset(indexes) - changing if any(found is not None for found in tried) else frozenset()

    def endures(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        if (mode, frozenset(replaced.items())) in self._shown and self.is_alike(mode):
            return True
        overrides = {index: REPLACEMENTS[how] for index, how in replaced.items()}
        told = False
        for draw in (DRAWN, MOVED, FINE):
            before = self._late(mode, draw, {})
            after = self._late(mode, draw, overrides)
            if before is not None and after is not None:
                told = True
                if differ(before, after):
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
            for key, step in self.counted.items():
                state[key] = state[key] + LATE * step
            times = -(-LARGE // len(self.originals))
            images = self.originals.repeat(times, 1, 1, 1)[:LARGE]
            found = self.run(mode, draw, overrides, images.double() if draw == FINE else images, state=state)
            if overrides:
                return found
            self._plain_late[mode, draw] = found
        return self._plain_late[mode, draw]

    @cached_property
    def counted(self) -> Values:
        """What a batch of a training adds to tensors that are not learned, where that is the same for all images."""
        start = self.state(SUBMITTED)
        kept = [key for key, tensor in start.items() if key not in self.learned and tensor.dtype != torch.bool]
        steps: list[Values] = []
        for skip in (0, BATCH):
            state = {key: tensor.clone() for key, tensor in start.items()}
            self.run("train", SUBMITTED, {}, self.images(SUBMITTED, skip), state=state)
            steps.append({key: state[key] - start[key] for key in kept if state[key].shape == start[key].shape})
        one, other = steps
        return {key: step for key, step in one.items() if bool(step.any()) and torch.equal(step, other.get(key, -step))}

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
        return differ(before, changed)

    def hears(self, key: int, numbers: Tensor) -> bool:
        """Tell whether the prediction changes with other numbers in one tensor of the graph."""
        for mode in self.facts:
            for draw in DRAWS:
                before = self.baseline(mode, draw)
                state = {other: tensor.clone() for other, tensor in self.state(draw).items()}
                after = self.run(mode, draw, {}, state={**state, key: numbers.clone()})
                if before is not None and (after is None or differ(before, after)):
                    return True
        return False

    def follows_input(self, mode: Mode) -> bool:
        changed = False
        for draw in DRAWS:
            before = self.baseline(mode, draw)
            if before is None:
                continue
            turned = before.flip(0) if self.is_certain(mode) else None
            for other in (turned, self.baseline(mode, draw, BATCH)):
                if other is not None:
                    changed = changed or not torch.equal(before, other)
                    if differ(before, other):
                        return True
        before, after = self.baseline(mode, FINE), self.baseline(mode, FINE, BATCH)
        # What float32 shows at all may be rounding: it is none if it is as large where rounding is far smaller.
        return changed and before is not None and after is not None and differ(before, after, effect=0.0)

    def followers(self, mode: Mode) -> frozenset[int]:
        """Return the indexes of the nodes whose results change with the image; to be given it is not enough."""
        steps = self.facts[mode].steps
        given = {step.index for step in steps if step.from_input}
        if not any(sum(operand.from_input for operand in step.operands) > 1 for step in steps):
            return frozenset(given)  # one path alone: where it stopped to follow, so would the prediction
        found: set[int] = set()
        for draw in (DRAWN, SUBMITTED):
            one, other = self.results(mode, draw, 0), self.results(mode, draw, BATCH)
            found |= {index for index in given - found if not all_identical(one.get(index), other.get(index))}
            if found == given:
                break
        return frozenset(found)
