"""The stages of a recipe on one model: attempts that fail are begun again, hopeless ones end early."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from grader.checks.accuracy import FLAT, Stage
from grader.protocol import EpochRow, StageName
from grader.replay import Values
from grader.training.examine import Examined, examine
from grader.training.loop import SURPRISING, Bench, NotFinite, Run, TooEarly
from grader.training.start import permuted, redrawn

ATTEMPTS: dict[StageName, int] = {"short": 2, "long": 3}  # each at a third of the learning rate of the one before
FLAT_AFTER = 0.2  # of a stage's epochs: one that guesses still is begun again
HOPELESS_AFTER = 0.5  # of a stage's epochs
HOPELESS = 8  # times as many held-out errors as the target allows
PATIENCE = 3  # epochs in which the held-out errors must fall ...
PROGRESS = 0.9  # ... to this part of what they were

REDRAWN = "the model was right before it can have learned: trained from random initial weights instead"


class Flat(Exception):
    """A run does no better than guessing."""


class Stages:
    """All runs of one model. `runs` holds the last attempt of each stage, `notes` what went otherwise than planned."""

    def __init__(self, bench: Bench, weights: Sequence[int], target: float, seed: int, device: torch.device) -> None:
        """`weights` are the ids of tensors that are no parameters, but work as weights."""
        self.bench = bench
        self.weights = {*(info.id for info in bench.replay.graph.of_role("parameter")), *weights}
        self.target = target
        self.seed = seed
        self.device = device
        self.runs: dict[StageName, Run] = {}
        self.notes: list[str] = []
        self._factor = 1.0  # of the learning rates
        self._redrawn = False

    def start(self) -> Values:
        """Return initial weights: the submitted ones out of order, or random ones of the same scale."""
        make = redrawn if self._redrawn else permuted
        state = make(self.bench.replay.state(), self.weights, self.seed)
        return {key: tensor.to(self.device) for key, tensor in state.items()}

    def examine(self) -> Examined:
        """Find out what the model is like before it learns; one that is right already gets random weights."""
        examined = examine(self.bench, self.start(), self.seed)
        if examined.accuracy > SURPRISING:
            self._redraw()
        return examined

    def train(self, name: StageName, stage: Stage, examined: Examined) -> Run | None:
        """Return a run of a stage that came to its end; None where the loss did not stay finite in any attempt."""
        for left in reversed(range(ATTEMPTS[name])):
            run = self._attempt(name, stage, examined, patient=not left)
            if run is not None:
                return run
            self._factor /= 3
        return None

    def _attempt(self, name: StageName, stage: Stage, examined: Examined, *, patient: bool) -> Run | None:
        """Return a run; None, with a note, where it is of no use. A patient one may guess as long as it likes."""
        try:
            try:
                return self._follow(self._begin(name, stage, examined), patient)
            except TooEarly:
                self._redraw()
                return self._follow(self._begin(name, stage, examined), patient)
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

    def _follow(self, run: Run, patient: bool) -> Run:
        """Train a run to its end, or until it is of no use to go on."""
        epochs = run.stage.epochs
        for row in run.epochs(self.seed):
            if not patient and row.epoch == math.ceil(FLAT_AFTER * epochs) and held_out(row) < FLAT:
                raise Flat
            if HOPELESS_AFTER * epochs <= row.epoch < epochs and hopeless(run.rows, self.target):
                self.notes.append(f"the {run.name} stage was given up after epoch {row.epoch} of {epochs}")
                break
        return run


def hopeless(rows: Sequence[EpochRow], target: float) -> bool:
    """Tell whether a run is so far from its target, and so slow, that the rest of its epochs can't take it there."""
    wrong = [100 - held_out(row) for row in rows]
    far = min(wrong) > HOPELESS * (100 - target)
    return far and len(wrong) > PATIENCE and min(wrong[-PATIENCE:]) > PROGRESS * min(wrong[:-PATIENCE])


def held_out(row: EpochRow) -> float:
    return row.held_out_accuracy or 0.0
