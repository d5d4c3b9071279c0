"""The stages of a recipe on one model: attempts that fail are begun again, hopeless ones end early."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from grader.checks.accuracy import Stage, guessing
from grader.protocol import StageName
from grader.replay import Values
from grader.training.bench import Bench, NotFinite, TooEarly
from grader.training.examine import Examined, examine
from grader.training.giving_up import held_out, hopeless
from grader.training.loop import SURPRISING, Run
from grader.training.start import knowing, permuted, redrawn
from grader.training.turns import Turns

# Each at a third of the learning rate of the one before.
ATTEMPTS: dict[StageName, int] = {"short": 2, "medium": 2, "long": 3}
FLAT_AFTER = 0.2  # of a stage's epochs: one that guesses still is begun again
NEAR = 2  # times as many held-out errors as the target allows: twice the epochs at best halve the errors
REDRAWN = (
    "the model was right before it can have learned: trained from random initial weights instead,"
    " its constants out of order"
)


class Flat(Exception):
    """A run does no better than guessing."""


class Knows(Exception):
    """A model is right whatever its weights are."""


class Stages:
    """All runs of one model. `runs` holds the last attempt of each stage, `notes` what went otherwise than planned."""

    def __init__(
        self,
        bench: Bench,
        weights: Sequence[int],
        target: float,
        seed: int,
        device: torch.device,
        after_epoch: Callable[[Run], bool] = lambda run: False,
        notes: list[str] | None = None,
    ) -> None:
        """`weights` are the ids of tensors that are no parameters, but work as weights.

        `after_epoch` is told of each epoch that ended, and answers whether the stage may end with it; `notes` is a list
        to add to.
        """
        self.bench = bench
        self.weights = {*(info.id for info in bench.replay.graph.of_role("parameter")), *weights}
        self.shuffled = self.weights | knowing(bench.replay.state(), self.weights)
        self.target = target
        self.seed = seed
        self.device = device
        self.after_epoch = after_epoch
        self.runs: dict[StageName, Run] = {}
        self.notes: list[str] = [] if notes is None else notes
        self._factor = 1.0  # of the learning rates
        self._redrawn = False

    def start(self) -> Values:
        """Return initial weights: the submitted ones out of order, or random ones, and every constant out of order."""
        state = self.bench.replay.state()
        if self._redrawn:
            state = redrawn(permuted(state, state.keys() - self.weights, self.seed), self.weights, self.seed)
        else:
            state = permuted(state, self.shuffled, self.seed)
        return {key: tensor.to(self.device) for key, tensor in state.items()}

    def examine(self) -> Examined:
        """Find out what the model is like before it learns; one that is right already gets random weights.

        Raises:
            Knows: it is right with those too.
        """
        examined = examine(self.bench, self.start(), self.seed)
        if examined.accuracy > SURPRISING:
            self._redraw()
            examined = examine(self.bench, self.start(), self.seed)
        if examined.accuracy > SURPRISING:
            raise Knows
        return examined

    def train(self, name: StageName, stage: Stage, examined: Examined) -> Turns[Run | None]:
        """Return a run of a stage that came to its end; None where the loss did not stay finite in any attempt."""
        for left in reversed(range(ATTEMPTS[name])):
            run = yield from self._attempt(name, stage, examined, patient=not left)
            if run is not None:
                return run
            self._factor /= 3
        return None

    def is_near(self) -> bool:
        """Tell whether the short stage came near enough to the target for a medium one; say so where it did not."""
        rows = self.runs["short"].rows if "short" in self.runs else []
        wrong = 100 - max(map(held_out, rows), default=0.0)
        allowed = 100 - self.target
        if wrong <= NEAR * allowed:
            return True
        far = f"{wrong:.1f} % of the held-out images were wrong after the short one"
        self.notes.append(f"the medium stage was left out: {far}, more than twice the {allowed:g} % allowed")
        return False

    def _attempt(self, name: StageName, stage: Stage, examined: Examined, *, patient: bool) -> Turns[Run | None]:
        """Return a run; None, with a note, where it is of no use. A patient one may guess as long as it likes."""
        try:
            try:
                return (yield from self._follow(self._begin(name, stage, examined), patient))
            except TooEarly:
                self._redraw()
                return (yield from self._follow(self._begin(name, stage, examined), patient))
        except (Flat, NotFinite) as error:
            run = self.runs[name]
            what = "did no better than guessing" if isinstance(error, Flat) else "had a loss that was not finite"
            where = f"step {run.step:,} of {run.steps:,}"
            self.notes.append(f"the {name} stage at a peak learning rate of {run.peak_lr:.2g} {what} at {where}")
            return None

    def _redraw(self) -> None:
        self._redrawn = True
        self.notes.append(REDRAWN)

    def _begin(self, name: StageName, stage: Stage, examined: Examined) -> Run:
        state = self.start()
        for key in examined.learned:
            state[key].requires_grad_()
        torch.manual_seed(self.seed)
        peak_lr = stage.peak_lr * self._factor
        learned = [state[key] for key in examined.learned]
        run = Run(self.bench, name, stage, peak_lr, examined.kind, state, learned, trusted=self._redrawn)
        self.runs[name] = run
        return run

    def _follow(self, run: Run, patient: bool) -> Turns[Run]:
        """Train a run to its end, or until it is of no use to go on."""
        epochs = run.stage.epochs
        for row in run.epochs(self.seed):
            if row is None:
                yield
                continue
            guesses = max(held_out(row), row.train_accuracy) < guessing(self.bench.classes)
            if not patient and row.epoch == math.ceil(FLAT_AFTER * epochs) and guesses:
                raise Flat
            if self.after_epoch(run):
                break
            if evidence := hopeless(run.rows, epochs, self.target):
                self.notes.append(f"the {run.name} stage was given up after epoch {row.epoch} of {epochs}: {evidence}")
                break
        return run
