"""One step of training that never waits for the device, nor for a number of Python: such a step can be recorded."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from grader.checks.accuracy import Stage
from grader.replay import Values
from grader.training.bench import Bench, backward
from grader.training.data import Images, drawn, moved_by, scaled, standardised
from grader.training.descent import forget
from grader.training.device.rules import rule_of
from grader.training.scores import Loss


class Step:
    """Learns from one batch whenever it is called, and counts, all in memory of the device.

    What differs between the steps of an epoch is laid out before it begins: the images of each batch, how they are
    moved, the numbers of the rule. A cursor that the step itself moves on says which row is due.
    """

    def __init__(
        self, bench: Bench, stage: Stage, loss: Loss, state: Values, learned: Sequence[Tensor], rows: int, batch: int
    ) -> None:
        """`rows` is the number of steps in an epoch; `learned` are those tensors of `state` that change."""
        self.bench = bench
        self.stage = stage
        self.loss = loss
        self.state = state
        self.learned = learned
        self.rule = rule_of(stage, learned)
        self.channels = bench.channels
        self.device = bench.data.training.labels.device
        self.order = torch.zeros((rows, batch), dtype=torch.int64, device=self.device)
        self.numbers = torch.zeros((rows, len(self.rule.numbers(0.0, 1))), device=self.device)
        self.moves = torch.zeros((rows if self.moving else 0, 3, batch, 1, 1), device=self.device)
        self.cursor = torch.zeros(1, dtype=torch.int64, device=self.device)
        self.tally = DeviceTally(self.device, batch)

    @property
    def moving(self) -> bool:
        """Whether the images are turned or moved."""
        return bool(self.stage.rotate or self.stage.shift)

    def begin(self, order: Tensor, rates: Sequence[float], first: int, generator: torch.Generator) -> None:
        """Lay out an epoch: the images of each batch, of shape (rows, batch), and the learning rates of its steps.

        `first` is the number of its first step, counted from 1 in the stage. `generator` decides how images are moved.
        """
        self.order.copy_(order)
        numbers = [self.rule.numbers(rate, step) for step, rate in enumerate(rates, first)]
        self.numbers.copy_(torch.tensor(numbers, device="cpu"))
        if self.moving:
            self.moves.copy_(torch.stack([drawn(order.shape[1], generator) for _ in order]))
        self.cursor.zero_()
        self.tally.begin()

    def __call__(self) -> None:
        images = self.bench.data.training.at(self._due(self.order))
        scores = self.bench.scores("train", self._fed(images), self.state)
        loss = self.loss(scores, images.labels)
        self.tally.add(loss.detach(), (scores.argmax(1) == images.labels).sum())
        forget(self.learned)
        backward(loss)
        self.rule.step(self._due(self.numbers))
        self.cursor.add_(1)

    def written(self) -> list[list[Tensor]]:
        """Return all that a step writes into: what is learned, the other tensors, the rule's, what is counted."""
        learned = {id(tensor) for tensor in self.learned}
        others = [tensor for tensor in self.state.values() if id(tensor) not in learned]
        return [list(self.learned), others, self.rule.kept, [self.cursor, *self.tally.tensors]]

    def _due(self, table: Tensor) -> Tensor:
        """Return the row of a table that is due: an index that lies on the device would be fetched from there."""
        return table.index_select(0, self.cursor).squeeze(0)

    def _fed(self, images: Images) -> Tensor:
        pixels = scaled(images.pixels)
        if self.moving:
            pixels = moved_by(pixels, self.stage.rotate, self.stage.shift, self._due(self.moves))
        return standardised(pixels, *self.channels)


class DeviceTally:
    """What is counted in one epoch: the losses, the images that were right, the steps before a loss was not finite."""

    def __init__(self, device: torch.device, batch: int) -> None:
        self.batch = batch
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)
        self.last = torch.zeros((), dtype=torch.float64, device=device)
        self.finite = torch.ones((), dtype=torch.bool, device=device)
        self.tensors = [self.sums, self.last, self.finite]

    def begin(self) -> None:
        self.sums.zero_()

    def add(self, loss: Tensor, right: Tensor) -> None:
        """Count one step, of which no more than so many images were right."""
        self.finite.logical_and_(loss.isfinite())
        self.last.copy_(loss)
        self.sums.add_(torch.stack((self.last * self.batch, right.double(), self.finite.double())))

    def read(self) -> tuple[float, float, int, int]:
        """Wait for the device, and return the sum of the losses of all images, the last loss, and the two counts."""
        total, right, steps, last = torch.cat((self.sums, self.last.view(1))).tolist()
        return total, last, int(right), int(steps)
