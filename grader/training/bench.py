"""The bench: all that stays the same while one model is trained, and the count of a state's errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from grader.graph import Mode
from grader.protocol import Progress
from grader.replay import Around, Replay, Values, prediction
from grader.training.budget import Budget
from grader.training.calibrate import Calibration
from grader.training.data import Data, Images, Normalise, per_channel, scaled, standardised
from grader.training.device.recorder import Recorder

EVALUATION_BATCH = 250  # divides the 5,000 and the 10,000 images; small enough for the allocator to reuse its memory


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
    """All that stays the same while one model is trained.

    With a `recorder` the steps are left to the device, which is looked at once in so many of them; without one the loss
    of each is looked at before the next.
    """

    replay: Replay
    data: Data
    normalise: Normalise
    classes: int
    calibration: Calibration
    budget: Budget
    report: Callable[[Progress], None]
    recorder: Recorder | None = None

    @cached_property
    def channels(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each channel, where the images are: a copy would make the device wait."""
        return per_channel(self.normalise, self.data.training.pixels.device)

    def feed(self, images: Images) -> Tensor:
        return standardised(scaled(images.pixels), *self.channels)

    def scores(self, mode: Mode, images: Tensor, state: Values, around: Around | None = None) -> Tensor:
        """Run the model on a batch, and return its scores in single precision; for `around` see `Replay.run`.

        Raises:
            NoScores: it does not return one row of scores for each image.
            ReplayError: the graph does not run.
        """
        found = prediction(self.replay.run(mode, images, state, around), self.classes)
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
        right = torch.zeros((), dtype=torch.int64, device=images.labels.device)
        for batch in images.batches(EVALUATION_BATCH):
            self.budget.check()
            with torch.no_grad():
                scores = self.scores("eval", self.feed(batch), state)
            right += ((scores.argmax(1) == batch.labels) & ~scores.isnan().any(1)).sum()
        return len(images) - int(right)

    def accuracy(self, images: Images, state: Values) -> float:
        """Return the percentage of images that a state gets right in evaluation mode."""
        return 100 * (len(images) - self.errors(images, state)) / len(images)


def backward(loss: Tensor) -> None:
    """Compute the gradients.

    Raises:
        NoGradient: torch can't, for example because a tensor that they need was overwritten.
    """
    try:
        loss.backward()
    except (RuntimeError, NotImplementedError) as error:
        raise NoGradient(str(error).strip().splitlines()[0][:300]) from None
