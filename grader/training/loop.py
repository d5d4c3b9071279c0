"""The loop: one stage of training on a graph, and the count of a state's errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grader.checks.accuracy import Stage
from grader.graph import Mode
from grader.protocol import EpochRow, Progress, StageName
from grader.replay import Around, Replay, ReplayError, Values, prediction
from grader.training.budget import Budget
from grader.training.calibrate import Calibration
from grader.training.data import Data, Images, Normalise, moved, normalised, scaled
from grader.training.descent import forget, rule_of
from grader.training.pace import PLAIN, Agreed, Masks, Shortcuts, Way, agree, ways
from grader.training.scores import LOSSES, Kind

EVALUATION_BATCH = 250  # divides the 5,000 and the 10,000 images; small enough for the allocator to reuse its memory
REPORT_EVERY = 0.25  # seconds between two reports of progress
FIRST_STEPS = 20  # of the first epoch
SURPRISING = (
    80.0  # percent right before anything can have been learned; 20 honest models had 9 to 58 in the first steps
)


class Stopped(Exception):
    """A stage can't go on."""


class NotFinite(Stopped):
    """The loss became infinite or no number."""


class TooEarly(Stopped):
    """The model is right before it can have learned."""


class NoScores(Stopped):
    """The model does not return one row of scores for each image; the message says what it returns."""


class NoGradient(Stopped):
    """The gradient can't be computed."""


@dataclass(frozen=True)
class Bench:
    """All that stays the same while one model is trained."""

    replay: Replay
    data: Data
    normalise: Normalise
    classes: int
    calibration: Calibration
    budget: Budget
    report: Callable[[Progress], None]

    def feed(self, images: Images) -> Tensor:
        return normalised(scaled(images.pixels), self.normalise)

    def scores(self, mode: Mode, images: Tensor, state: Values, around: Around | None = None) -> Tensor:
        """Run the model on a batch, and return its scores in single precision; for `around` see `Replay.run`.

        Raises:
            NoScores: it does not return one row of scores for each image.
            ReplayError: the graph does not run.
        """
        found = prediction(self.replay.run(mode, images, state, around))
        expected = (len(images), self.classes)
        if found is None or found.shape != expected:
            shown = "no tensor" if found is None else f"of shape {tuple(found.shape)}"
            raise NoScores(f"on {len(images)} images the output is {shown}, expected {expected}")
        if not found.is_floating_point():
            raise NoScores(f"the output holds {str(found.dtype).removeprefix('torch.')} numbers, expected scores")
        return found.float()

    def errors(self, images: Images, state: Values) -> int:
        """Return how many images a state gets wrong in evaluation mode; a row that holds NaN is wrong.

        Raises:
            BudgetEnded: before all were classified.
            NoScores, ReplayError: as for `scores`.
        """
        wrong = 0
        for batch in images.batches(EVALUATION_BATCH):
            self.budget.check()
            with torch.no_grad():
                scores = self.scores("eval", self.feed(batch), state)
            right = (scores.argmax(1) == batch.labels) & ~scores.isnan().any(1)
            wrong += len(batch) - int(right.sum())
        return wrong

    def accuracy(self, images: Images, state: Values) -> float:
        """Return the percentage of images that a state gets right in evaluation mode."""
        return 100 * (len(images) - self.errors(images, state)) / len(images)


def rate(step: int, steps: int, peak: float, rise: float) -> float:
    """Return the learning rate of a step, counted from 0: linear up to the peak, then linear down towards zero."""
    up = max(round(rise * steps), 1)
    return peak * (step + 1) / up if step < up else peak * (steps - step) / (steps - up)


class Run:
    """One stage from one initial state, which it changes. `step` and `rows` tell how far it came."""

    def __init__(
        self,
        bench: Bench,
        name: StageName,
        stage: Stage,
        peak_lr: float,
        kind: Kind,
        state: Values,
        learned: Sequence[Tensor],
        *,
        trusted: bool,
    ) -> None:
        """`learned` are those tensors of `state` that change; one that is not `trusted` must not be right too early."""
        self.bench = bench
        self.name: StageName = name
        self.stage = stage
        self.peak_lr = peak_lr
        self.loss = LOSSES[kind]
        self.state = state
        self.trusted = trusted
        self.batch = min(stage.batch, len(bench.data.training))
        self.steps = len(bench.data.training) // self.batch * stage.epochs
        self.step = 0
        self.rows: list[EpochRow] = []
        self._reported = -math.inf
        self._learned = learned
        self._rule = rule_of(stage, learned)
        self._shortcuts = Shortcuts(bench.replay.graph)
        self._around: Around | None = None
        self.way = PLAIN

    def epochs(self, seed: int) -> Iterator[EpochRow]:
        """Train, and yield the row of each epoch as it ends.

        Raises:
            Stopped: the stage can't go on.
            BudgetEnded: it may not.
            ReplayError: the graph does not run on such a batch.
        """
        training = self.bench.data.training
        generator = torch.Generator().manual_seed(seed)
        if training.pixels.device.type == "cpu":
            self.way = self._quickest(seed)
            self._around = self._shortcuts.around(Masks(seed), self.way)
        per_epoch = self.steps // self.stage.epochs
        for epoch in range(1, self.stage.epochs + 1):
            order = torch.randperm(len(training), generator=generator, device="cpu")
            tally = _Tally()
            for index in order[: per_epoch * self.batch].view(per_epoch, self.batch):  # the rest is in other epochs
                self.bench.budget.check()
                self._learn(training.at(index.to(training.labels.device)), tally, generator)
                self._report(epoch, tally)
            self.bench.calibration.run(self.bench.replay, self._still(), self.state)
            held_out = self.bench.accuracy(self.bench.data.held_out, self.state)
            used = self.bench.budget.used
            loss = tally.loss if math.isfinite(tally.loss) else None
            self.rows.append(EpochRow(epoch, loss, tally.accuracy, held_out, used, self.name))
            yield self.rows[-1]

    def _learn(self, images: Images, tally: _Tally, generator: torch.Generator) -> None:
        with self.way.computing():
            fed = self.way.laid_out(self._augmented(images, generator))
            scores = self.bench.scores("train", fed, self.state, self._around)
        loss = self.loss(scores, images.labels)
        tally.add(float(loss.detach()), int((scores.argmax(1) == images.labels).sum()), len(images))
        if not math.isfinite(tally.last):
            raise NotFinite
        first_steps = self.step + 1 == FIRST_STEPS and tally.images == FIRST_STEPS * self.batch
        if first_steps and tally.accuracy > SURPRISING and not self.trusted:
            raise TooEarly
        forget(self._learned)
        backward(loss)
        self._rule.step(rate(self.step, self.steps, self.peak_lr, self.stage.rise))
        self.step += 1

    def _quickest(self, seed: int) -> Way:
        """Return the fastest way of computing that comes to the plain one's gradients on one batch."""
        images = self.bench.data.training.first(self.batch)
        drawn = torch.get_rng_state()  # a trial must not change what the run draws
        try:
            plain = self._gradients(PLAIN, images, seed)
            for way in ways(exact=self.name != "short") if plain else ():
                if agree(plain, self._gradients(way, images, seed), way.tolerated):
                    return way
        finally:
            torch.set_rng_state(drawn)
        return PLAIN

    def _gradients(self, way: Way, images: Images, seed: int) -> list[Tensor]:
        """Return the gradients of one batch, computed on a copy of the state; none where it can't be done this way."""
        torch.manual_seed(seed)
        state = {key: tensor.detach().clone() for key, tensor in self.state.items()}
        learned = [state[key].requires_grad_() for key, tensor in self.state.items() if tensor.requires_grad]
        try:
            with way.computing():
                fed = way.laid_out(self.bench.feed(images))
                scores = self.bench.scores("train", fed, state, self._shortcuts.around(Agreed(seed), way))
            backward(self.loss(scores, images.labels))
        except (ReplayError, Stopped):
            return []
        return [torch.zeros_like(tensor) if tensor.grad is None else tensor.grad for tensor in learned]

    def _augmented(self, images: Images, generator: torch.Generator) -> Tensor:
        if not self.stage.rotate and not self.stage.shift:
            return self.bench.feed(images)
        turned = moved(scaled(images.pixels), self.stage.rotate, self.stage.shift, generator)
        return normalised(turned, self.bench.normalise)

    def _still(self) -> Iterator[Tensor]:
        """Yield batches of training images as they are."""
        for images in self.bench.data.training.batches(self.batch):
            yield self.bench.feed(images)

    def _report(self, epoch: int, tally: _Tally) -> None:
        used = self.bench.budget.used
        if used - self._reported >= REPORT_EVERY or self.step == self.steps:
            self._reported = used
            self.bench.report(Progress(epoch, self.stage.epochs, self.step, self.steps, used, tally.last, self.name))


class _Tally:
    """What was counted in one epoch, in training mode, each image before it was learned from."""

    def __init__(self) -> None:
        self.last = 0.0
        self.sum = 0.0
        self.right = 0
        self.images = 0

    def add(self, loss: float, right: int, images: int) -> None:
        self.last = loss
        self.sum += loss * images
        self.right += right
        self.images += images

    @property
    def loss(self) -> float:
        return self.sum / self.images

    @property
    def accuracy(self) -> float:
        return 100 * self.right / self.images


def backward(loss: Tensor) -> None:
    """Compute the gradients.

    Raises:
        NoGradient: torch can't, for example because a tensor that they need was overwritten.
    """
    try:
        loss.backward()
    except (RuntimeError, NotImplementedError) as error:
        raise NoGradient(str(error).strip().splitlines()[0][:300]) from None
