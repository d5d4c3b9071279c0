"""The loop: one stage of training on a graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from grader.checks.accuracy import Stage
from grader.protocol import EpochRow, Progress, StageName
from grader.replay import Around, ReplayError, Values
from grader.training.bench import Bench, NotFinite, Stopped, TooEarly, backward
from grader.training.data import Images, moved, normalised, scaled
from grader.training.descent import forget, rule_of
from grader.training.device.guard import Prepared, prepare
from grader.training.device.recorder import Recorder
from grader.training.device.step import Step
from grader.training.pace import PLAIN, Agreed, Masks, Shortcuts, Way, agree, ways
from grader.training.scores import LOSSES, Kind

REPORT_EVERY = 0.25  # seconds between two reports of progress
FIRST_STEPS = 20  # of the first epoch
SURPRISING = (
    80.0  # percent right before anything can have been learned; 20 honest models had 9 to 58 in the first steps
)
LOOK_EVERY = FIRST_STEPS  # steps that a device takes by itself


def rate(step: int, steps: int, peak: float, rise: float) -> float:
    """Return the learning rate of a step, counted from 0: linear up to the peak, then linear down towards zero."""
    up = max(round(rise * steps), 1)
    return peak * (step + 1) / up if step < up else peak * (steps - step) / (steps - up)


Learn = Callable[[int, Tensor, "_Tally", torch.Generator], Iterator[None]]


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
        self._steps_shown = ""  # how a device that is left to itself takes its steps

    @property
    def shown(self) -> str:
        """How this run computes, for a report."""
        return f"{self.way.shown}, {self._steps_shown}" if self._steps_shown else self.way.shown

    def epochs(self, seed: int) -> Iterator[EpochRow | None]:
        """Train, and yield the row of each epoch as it ends, and None whenever the device is busy and others may go on.

        Raises:
            Stopped: the stage can't go on.
            BudgetEnded: it may not.
            ReplayError: the graph does not run on such a batch.
        """
        generator = torch.Generator().manual_seed(seed)
        per_epoch = self.steps // self.stage.epochs
        learn = self._on_the_host(seed) if self.bench.recorder is None else self._on_the_device(self.bench.recorder)
        for epoch in range(1, self.stage.epochs + 1):
            order = torch.randperm(len(self.bench.data.training), generator=generator, device="cpu")
            tally = _Tally()
            batches = order[: per_epoch * self.batch].view(per_epoch, self.batch)  # the rest is in other epochs
            for _ in learn(epoch, batches, tally, generator):
                yield None
            self.bench.calibration.run(self.bench.replay, self._still(), self.state)
            held_out = self.bench.accuracy(self.bench.data.held_out, self.state)
            used = self.bench.budget.used
            loss = tally.loss if math.isfinite(tally.loss) else None
            self.rows.append(EpochRow(epoch, loss, tally.accuracy, held_out, used, self.name))
            yield self.rows[-1]

    def _on_the_host(self, seed: int) -> Learn:
        """Return what learns from batch after batch, and looks at the loss of each."""
        training = self.bench.data.training
        if training.pixels.device.type == "cpu":
            self.way = self._quickest(seed)
            self._around = self._shortcuts.around(Masks(seed), self.way)

        def learn(epoch: int, batches: Tensor, tally: _Tally, generator: torch.Generator) -> Iterator[None]:
            for index in batches:
                self.bench.budget.check()
                self._learn(training.at(index.to(training.labels.device)), tally, generator)
                self._report(epoch, tally)
            yield from ()

        return learn

    def _on_the_device(self, recorder: Recorder) -> Learn:
        """Return what issues many steps, and then looks at what the device has counted."""
        rows = self.steps // self.stage.epochs
        step = Step(self.bench, self.stage, self.loss, self.state, self._learned, rows, self.batch)
        prepared: Prepared | None = None  # not kept when the run has ended: a recording holds much memory

        def learn(epoch: int, batches: Tensor, tally: _Tally, generator: torch.Generator) -> Iterator[None]:
            nonlocal prepared
            begun, taken = self.step, 0
            step.begin(batches, [self._rate(begun + row) for row in range(rows)], begun + 1, generator)
            if prepared is None:
                prepared = prepare(step, recorder)
                taken, self._steps_shown = prepared.taken, prepared.shown
            for end in [*range(LOOK_EVERY, rows, LOOK_EVERY), rows]:
                self.bench.budget.check()
                for _ in range(taken, end):
                    prepared.act()
                taken = end
                yield
                tally.images = end * self.batch
                tally.sum, tally.last, tally.right, done = step.tally.read()
                self.step = begun + done
                if done < end:
                    raise NotFinite
                self._refuse_early(tally)
                self._report(epoch, tally)

        return learn

    def _learn(self, images: Images, tally: _Tally, generator: torch.Generator) -> None:
        with self.way.computing():
            fed = self.way.laid_out(self._augmented(images, generator))
            scores = self.bench.scores("train", fed, self.state, self._around)
        loss = self.loss(scores, images.labels)
        tally.add(float(loss.detach()), int((scores.argmax(1) == images.labels).sum()), len(images))
        if not math.isfinite(tally.last):
            raise NotFinite
        forget(self._learned)
        backward(loss)
        self._rule.step(self._rate(self.step))
        self.step += 1
        self._refuse_early(tally)

    def _rate(self, step: int) -> float:
        return rate(step, self.steps, self.peak_lr, self.stage.rise)

    def _refuse_early(self, tally: _Tally) -> None:
        """Raises TooEarly where the first steps found a model that is right already."""
        first_steps = self.step == FIRST_STEPS and tally.images == FIRST_STEPS * self.batch
        if first_steps and tally.accuracy > SURPRISING and not self.trusted:
            raise TooEarly

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
