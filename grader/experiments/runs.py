"""Runs of one graph with other learned tensors, some nodes overridden; plain ones are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.experiments.overrides import Override
from grader.facts import Facts
from grader.graph import Mode
from grader.replay import Replay, ReplayError, Values, prediction, tensors_in

BATCH = 4
DRAWS = (0, 1, 2)
DRAWN, SUBMITTED, POSITIVE = DRAWS  # what the learned tensors are; images are real ones but for the last draw
FINE = 3  # as DRAWN, in double precision: of an effect through several sigmoids in a row float32 shows nothing
# As SUBMITTED, but for the numbers that a training moves: these are drawn, as are those that get a gradient then, in so
# many steps. One step alone leaves a ReLU as it is that lets nothing through by chance, and moves what is before it.
REACHED = {4: 8, **dict.fromkeys(range(6, 14), 1)}
MOVED = 5  # as SUBMITTED, but for a small step away, as after a while of training
FINES = {DRAWN: FINE, SUBMITTED: 14, POSITIVE: 15}  # the twin of each draw, in double precision
COARSE = {fine: draw for draw, fine in FINES.items()}
STEP = 0.3  # of how large the numbers of a tensor are; of one that starts at zero they become a third of that

# Operators through which no gradient, or none that teaches, gets back.
GRADIENT_STOPS = frozenset(
    "detach data requires_grad int long bool short byte char sign floor ceil round trunc heaviside argmax argmin "
    "one_hot bucketize searchsorted argsort count_nonzero to type gt ge lt le eq ne greater less logical_not "
    "isnan".split()
)


class Runs:
    """Runs one graph. `seed` is secret from the submission: chosen after it was captured."""

    def __init__(self, replay: Replay, facts: Mapping[Mode, Facts], samples: Tensor, seed: int) -> None:
        """Take at least two batches of real, normalised images."""
        self.replay = replay
        self.facts = facts
        self.samples = samples
        self.seed = seed
        self._states: dict[int, Values] = {}
        self._plain: dict[tuple[Mode, int, int], Tensor | None] = {}
        self._values: dict[tuple[Mode, int], Values] = {}

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
                found = prediction(self.replay.run(mode, batch, state, around, start), self.replay.classes)
        except ReplayError:
            return None
        if found is None or not bool(torch.isfinite(found).all()):
            return None
        return found if found.is_floating_point() else found.double()  # to be compared: integers have no mean

    def rerun(self, mode: Mode, draw: int, overrides: Mapping[int, Override]) -> Tensor | None:
        """Run with some nodes overridden, from the first of them on where nothing is written in place after it."""
        first = min(overrides, default=0)
        if self.baseline(mode, draw) is None or any(step.wrote for step in self.facts[mode].steps[first:]):
            return self.run(mode, draw, overrides)
        return self.run(mode, draw, overrides, start=first, state=dict(self._values[mode, draw]))

    def baseline(self, mode: Mode, draw: int, skip: int = 0) -> Tensor | None:
        """Return the prediction of a plain run, from this image of the draw on; None where it is not finite."""
        self.state(draw)
        if (mode, draw, skip) not in self._plain:
            kept: Values = {}
            self._plain[mode, draw, skip] = self.run(mode, draw, {}, self.images(draw, skip), kept=kept)
            if not skip:
                self._values[mode, draw] = kept
        return self._plain[mode, draw, skip]

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

    def images(self, draw: int, skip: int = 0) -> Tensor:
        """Return a batch of images: real ones, as gates may open to these alone, or random ones."""
        if draw in COARSE:
            return self.images(COARSE[draw], skip).double()
        if draw != POSITIVE:
            return self.samples[skip : skip + BATCH].clone()  # forward may write into its input
        generator = torch.Generator().manual_seed(self.seed + skip)
        return torch.randn((BATCH, *self.samples.shape[1:]), generator=generator)

    def state(self, draw: int) -> Values:
        """Return the tensors of the graph with the learned ones drawn at random."""
        if draw in COARSE and draw not in self._states:
            self._states[draw] = {key: _fine(tensor) for key, tensor in self.state(COARSE[draw]).items()}
        if draw not in self._states:
            generator = torch.Generator().manual_seed(self.seed + 31 * draw + 1)
            tensors = self.reached(draw) if draw in REACHED else dict(self.replay.tensors)
            change = _moved if draw == MOVED else _random_like
            for key in self.learned if draw not in (SUBMITTED, *REACHED) else ():
                tensors[key] = change(tensors[key], generator, draw)
            self._states[draw] = tensors
            if draw != SUBMITTED:
                self.settle(draw)
        return self._states[draw]

    def settle(self, draw: int) -> None:
        """Give batch normalisations the statistics that belong to the drawn weights: one plain run in training mode."""
        steps = self.facts["train"].steps
        kept = {step.index: step for step in steps if step.kind == "batch-norm" and step.argument("training")}
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
        floating = tuple(key for key in trainable if self.replay.tensors[key].is_floating_point())
        if all(step.node.grad and step.plain not in GRADIENT_STOPS for step in steps):
            return floating
        state = self.replay.state()
        generator = torch.Generator().manual_seed(self.seed)
        state.update({key: _random_like(state[key], generator, DRAWN) for key in floating})
        gradients = self.gradients(state, floating)
        return floating if gradients is None else tuple(gradients)

    def gradients(self, state: Values, keys: Sequence[int]) -> Values | None:
        """Return the gradients of a prediction in training that reach these tensors; None where there can't be any."""
        wanted = [state[key].requires_grad_() for key in keys]
        try:
            with torch.enable_grad():
                found = prediction(self.replay.run("train", self.images(DRAWN), state), self.replay.classes)
            if found is None or not found.requires_grad:
                return {}
            generator = torch.Generator().manual_seed(self.seed)
            weights = torch.randn(found.shape, generator=generator, dtype=found.dtype)
            gradients = torch.autograd.grad((found * weights).sum(), wanted, allow_unused=True)
        except (ReplayError, RuntimeError):
            return None
        return {key: gradient for key, gradient in zip(keys, gradients, strict=True) if gradient is not None}

    def reached(self, draw: int) -> Values:
        """Return the tensors of the graph, with those numbers drawn that a training gets to from the submitted ones."""
        tensors = dict(self.replay.tensors)
        moved = {key: torch.zeros_like(tensors[key], dtype=torch.bool) for key in self.learned}
        for _ in range(REACHED[draw]):
            gradients = self.gradients({key: tensor.clone() for key, tensor in tensors.items()}, self.learned)
            known = {key: mask.clone() for key, mask in moved.items()}
            for key in self.learned if gradients is None else gradients:
                moved[key] |= True if gradients is None else gradients[key] != 0
            if all(torch.equal(moved[key], known[key]) for key in moved):
                break
            generator = torch.Generator().manual_seed(self.seed + draw)
            for key in self.learned:
                drawn = _random_like(tensors[key], generator, DRAWN)
                tensors[key] = torch.where(moved[key], drawn, tensors[key])
        return tensors

    def is_certain(self, mode: Mode) -> bool:
        """Tell whether nothing random acts, so that images alone make the rows of a prediction differ."""
        table = ops.table()
        facts = self.facts[mode]
        return not any(table[facts.steps[index].node.op].random for index in facts.live)


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


def _moved(tensor: Tensor, generator: torch.Generator, draw: int) -> Tensor:
    size = float(tensor.square().mean().sqrt()) if tensor.numel() else 0.0
    step = torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype)
    return tensor + STEP * (size or STEP) * step


def _fine(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor
