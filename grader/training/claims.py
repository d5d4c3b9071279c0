"""What is claimed of a model: the exact statement, and when it holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from grader.protocol import ClaimKind, TrainRequest
from grader.training.interval import accuracy_interval, errors_that_prove, least_accuracy, least_mean

ROUNDING = 1e-6  # of an image, or of a percentage: 99.4 is a little more as a float


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about so many test images, shown with these seeds; see the options of the check `accuracy`."""

    kind: ClaimKind
    target: float
    images: int
    seeds: tuple[int, ...]
    sustained: int = 0
    best: bool = False
    dataset: str = ""

    @classmethod
    def of(cls, request: TrainRequest, images: int, dataset: str = "") -> Claim:
        seeds = tuple(range(request.seed, request.seed + request.seeds))
        return cls(request.claim, request.target, images, seeds, request.sustained, request.best, dataset)

    @property
    def where(self) -> str:
        """What the claim is about in words: '10,000 test images of MNIST'; their number is not known of absent ones."""
        count = f"{self.images:,} " if self.images else ""
        return f"{count}test images{f' of {self.dataset}' if self.dataset else ''}"

    @property
    def allowed(self) -> int:
        """How many errors a single model may make; -1 where not even none would do."""
        if self.kind == "population":
            return errors_that_prove(self.target, self.images)
        return math.floor(self.images * (100 - self.target) / 100 + ROUNDING)

    @property
    def statement(self) -> str:
        """The claim in words, as part of a sentence."""
        share = f"is right on at least {self.target:g} % of"
        if not self.images:
            return f"this trained model {share} the {self.where}"
        least = f"at most {self.allowed:,} error{'' if self.allowed == 1 else 's'} on the {self.where}"
        if self.kind == "population":
            how = f"{least}: " if self.allowed >= 0 else ""
            return f"this trained model {share} all such images ({how}Clopper-Pearson bound, one-sided, 95 %)"
        if self.kind == "mean":
            over = f"{self.seeds[0]} to {self.seeds[-1]}"
            where = f"the {self.where} on average over seeds"
            return f"this model, trained, {share} {where} (Student's t bound over seeds {over}, one-sided, 95 %)"
        if self.best:
            how = "the optimistic measure, as the test images were looked at after each epoch"
            return f"this trained model makes {least} after the best of its epochs ({how})"
        if self.sustained > 1:
            return f"this trained model makes {least} after each of the last {self.sustained} epochs"
        return f"this trained model makes {least}"

    def holds(self, errors: Sequence[int]) -> bool:
        """Tell whether a mean is shown by the errors of all seeds."""
        bound = self.bound(errors)
        return len(errors) == len(self.seeds) and bound is not None and bound >= self.target - ROUNDING

    def is_lost(self, errors: Sequence[int]) -> bool:
        """Tell whether the mean would miss its target even if no other seed made any error."""
        return self.kind == "mean" and sum(errors) > len(self.seeds) * self.images * (100 - self.target) / 100

    def accuracy(self, errors: Sequence[int]) -> float | None:
        """Return the accuracy in percent, of a mean over the seeds that came to a result."""
        if not errors:
            return None
        return 100 * (self.images - sum(errors) / len(errors)) / self.images

    def bound(self, errors: Sequence[int]) -> float | None:
        """Return the one-sided 95 % lower bound that the claim is about; None where there is none, or none yet."""
        if self.kind == "population" and errors:
            return least_accuracy(errors[-1], self.images)
        if self.kind == "mean" and len(errors) == len(self.seeds):
            return least_mean([100 * (self.images - count) / self.images for count in errors])
        return None

    def interval(self, errors: Sequence[int]) -> tuple[float, float] | None:
        """Return the exact 95 % interval of the accuracy; None where it is not that of one model, looked at once."""
        if not errors or self.kind == "mean" or self.best or self.sustained > 1:
            return None
        return accuracy_interval(errors[-1], self.images)
