"""The model, trained from scratch by the grader, reaches the target on the test images.

The grader trains the captured graph itself: its own loop, on its own copy of MNIST or on the data set that the rules
name. Code of the submission does not run, so it does not matter how the student trained the model, or whether. The
initial weights are the submitted ones, shuffled along the axes of each tensor: the initialisation is kept, and weights
that were trained before are worthless.

What is stated is exact: 'this trained model makes at most 100 errors on the 10,000 test images'. A model that passes
under the short recipe is done. One that does not is trained again, first for twice as long, then under the long recipe,
before it fails. Where nothing can be said, because the budget ended or the gradient can't be computed, the rule is an
error and not a failure.

The curve, and the decision to go on, come from 5,000 training images that the model never learns from. The test images
are looked at once, when a stage ends that may have reached the target, and decide nothing but the verdict.

## What is claimed

A course chooses with `claim` what the rule is about:

- `model`, the default: this trained model makes at most so many errors on the test images as the target allows.
- `mean`: models trained from different seeds reach the target on average. The lower bound of Student's t over `seeds`
  seeds, one-sided, 95 %, must be at least the target. The seeds are those from `--seed` on, chosen before anything is
  known; each one that ran is reported, and one that can't be finished leaves the claim open.
- `population`: this trained model is right on at least the target's share of all images of this kind. The lower bound
  of Clopper and Pearson, one-sided, 95 %, must be at least the target: for 99 % at most 83 errors on 10,000 images.

`mean` and `population` are about chance, and a second look at the test images would change the chances: of the stages
only the last one is trained.

`sustained: 3` asks for the target after each of the last 3 epochs of a stage. `best: true` accepts the best epoch: the
test images are looked at after each one and choose it, which flatters. Reports call it the optimistic measure that it
is. Both are for `claim: model`.

## Options

- `target`: percent of the test images that must be classified correctly.
- `claim`, `seeds`, `sustained`, `best`: what is claimed, as above. `seeds` are 5 where `claim: mean` names no number.
- `recipe`: how the model is trained. `epochs`, `batch`, and `peak_lr`, the highest learning rate, are those of the
  short stage. The learning rate rises linearly during the first `rise` of the steps and falls linearly to zero.
  `optimizer` is `sgd`, stochastic gradient descent with Nesterov's momentum, or `adam`, which the long stage takes: it
  trains models that the other hardly moves. `momentum` and `weight_decay` are theirs. `rotate` (degrees)
  and `shift` (pixels) bound how far each training image is turned and moved at random. `medium` and `long` hold the
  same for the stages that follow; `null` leaves one out. A medium stage that is no longer than the short one, and a
  stage that is shorter than `sustained`, are left out too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from grader.checks._subject import Subject, times
from grader.checks.receptive_field import look
from grader.finding import CheckResult, Finding
from grader.protocol import ClaimKind, EpochRow, StageName, TrainingReport

ID = "accuracy"
NOT_TRAINED = "not trained (add --train)"
SEEDS = 5  # with three, the bound lies a third further below the mean
ALL = 100.0  # percent
GAP = 0.5  # points by which an overfitted model does better on the images that it learned from
PART = 5 / 7  # of an image's side that what it shows fills: MNIST's digits were scaled to 20 of 28 pixels
HELD_BACK = 2.0  # points by which a model does worse while dropout acts, where it is too strong
MARGIN = "Leave yourself a margin: a few more channels in the widest layers, or one more convolution."


Optimizer = Literal["sgd", "adam"]


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One run of training, from the initial weights to a learning rate of zero."""

    epochs: Annotated[int, Meta(ge=1, le=200)] = 2
    batch: Annotated[int, Meta(ge=8, le=1024)] = 128
    peak_lr: Annotated[float, Meta(gt=0, le=10)] = 0.3
    rise: Annotated[float, Meta(ge=0, lt=1)] = 0.25
    momentum: Annotated[float, Meta(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Meta(ge=0, lt=1)] = 5e-4
    optimizer: Optimizer = "sgd"
    rotate: Annotated[float, Meta(ge=0, le=45)] = 0.0
    shift: Annotated[float, Meta(ge=0, le=8)] = 0.0


class MediumStage(Stage, frozen=True, forbid_unknown_fields=True):
    """The run for a model that the short one leaves near its target."""

    epochs: Annotated[int, Meta(ge=1, le=200)] = 6
    peak_lr: Annotated[float, Meta(gt=0, le=10)] = 0.2
    rotate: Annotated[float, Meta(ge=0, le=45)] = 5.0
    shift: Annotated[float, Meta(ge=0, le=8)] = 0.5


class LongStage(Stage, frozen=True, forbid_unknown_fields=True):
    """The run that a model is given before it fails."""

    epochs: Annotated[int, Meta(ge=1, le=200)] = 20
    peak_lr: Annotated[float, Meta(gt=0, le=10)] = 0.01
    weight_decay: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    optimizer: Optimizer = "adam"
    rotate: Annotated[float, Meta(ge=0, le=45)] = 7.0


class Recipe(Stage, frozen=True, forbid_unknown_fields=True):
    """The short stage, and those that follow where it misses the target."""

    medium: MediumStage | None = MediumStage()
    long: LongStage | None = LongStage()


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`target`: percent of the test images; `claim` to `best`: what is claimed; `recipe`: how the model is trained."""

    target: Annotated[float, Meta(gt=0, le=100)] = 99.0
    claim: ClaimKind = "model"
    seeds: Annotated[int, Meta(ge=3, le=20)] | None = None
    sustained: Annotated[int, Meta(ge=1, le=200)] | None = None
    best: bool = False
    recipe: Recipe = Recipe()

    def __post_init__(self) -> None:
        for is_wrong, message in _CONTRADICTIONS:
            if is_wrong(self):
                raise ValueError(message)

    @property
    def planned(self) -> int:
        """With how many seeds the model is trained."""
        return (self.seeds or SEEDS) if self.claim == "mean" else 1

    @property
    def stages(self) -> dict[StageName, Stage]:
        """The stages that a model may go through, in order."""
        recipe = self.recipe
        named: dict[StageName, Stage | None] = {"short": recipe, "medium": recipe.medium, "long": recipe.long}
        if recipe.medium is not None and recipe.medium.epochs <= recipe.epochs:
            named["medium"] = None
        least = self.sustained or 1
        found = {name: stage for name, stage in named.items() if stage is not None and stage.epochs >= least}
        return found if self.claim == "model" else dict(list(found.items())[-1:])


# Options that can't stand together, and what to say of them.
_CONTRADICTIONS: tuple[tuple[Callable[[Options], bool], str], ...] = (
    (
        lambda options: options.target <= 1,
        "'target' is in percent, and any model reaches this one: write 99 for 99 %",
    ),
    (
        lambda options: options.seeds is not None and options.claim != "mean",
        "'seeds' is for 'claim: mean'; other claims are about one training",
    ),
    (
        lambda options: options.sustained is not None and options.best,
        "'sustained' asks for each of the last epochs and 'best' for any epoch: choose one",
    ),
    (
        lambda options: (options.sustained is not None or options.best) and options.claim != "model",
        "'sustained' and 'best' are for 'claim: model': the other claims look at the test images once",
    ),
    (
        lambda options: options.claim == "population" and options.target == ALL,
        "'claim: population' needs a target below 100: no number of images proves that a model never errs",
    ),
    (
        lambda options: not options.stages,
        "'sustained' asks for more epochs than any stage of the recipe has",
    ),
)


def check(subject: Subject, options: Options) -> CheckResult:
    report = subject.training
    if report is None:
        return CheckResult(ID, "skipped", NOT_TRAINED, limit=options.target)
    if report.outcome == "open" and report.errors is None:
        return CheckResult(ID, "error", f"accuracy could not be confirmed: {report.reason}", limit=report.target)
    message = headline(report)
    if report.outcome == "confirmed":
        return CheckResult(ID, "pass", message, measured=report.accuracy, limit=report.target)
    why, fix = advice(subject, report)
    if report.outcome == "open":
        reason = f"accuracy could not be confirmed: {report.reason}"
        found = Finding(ID, "warning", message, why, fix, subject.graph.span)
        return CheckResult(ID, "error", reason, (found,), report.accuracy, report.target)
    finding = Finding(ID, "error", message, why, fix, subject.graph.span)
    return CheckResult(ID, "fail", message, (finding,), report.accuracy, report.target)


def headline(report: TrainingReport) -> str:
    """Return the result with its numbers: '99.21 % (79 errors in 10,000), target is 99.00 %'."""
    proven = "" if report.bound is None else f", at least {rounded_down(report.bound)} % with 95 % confidence"
    return f"{report.accuracy or 0.0:.2f} % {_measure(report)}{proven}, target is {report.target:.2f} %"


def _measure(report: TrainingReport) -> str:
    """Return what an accuracy is that of."""
    if report.claim_kind == "mean":
        counts = ", ".join("?" if seed.errors is None else f"{seed.errors:,}" for seed in report.seeds)
        ran = len(report.seeds)
        over = f"{ran}" if ran == report.planned else f"{ran} of {report.planned}"
        return f"on average over {over} seeds ({counts} errors in {report.images:,})"
    errors = report.errors or 0
    counted = f"({errors:,} error{'' if errors == 1 else 's'} in {report.images:,})"
    if report.best:
        return f"after the best epoch {counted}, an optimistic measure"
    return f"{counted} in the worst of the last {report.sustained} epochs" if report.sustained > 1 else counted


def rounded_down(percent: float) -> str:
    """Return a lower bound to two places: rounded up it would claim too much."""
    return f"{math.floor(percent * 100 + 1e-9) / 100:.2f}"


def advice(subject: Subject, report: TrainingReport) -> tuple[str, str]:
    """Return why a model missed the target, as far as its curve tells, and what to try."""
    if not report.curve:
        why = "No gradient reaches a parameter, so training can't change what the model predicts."
        return why, "Look for detach(), .data or torch.no_grad() in forward, and for requires_grad=False."
    if report.bound is not None and (report.accuracy or 0.0) >= report.target:
        why = "It is above the target, but by so little that chance can explain it: the claim asks for a margin."
        return why, MARGIN
    last = report.curve[-1]
    held_out = best(report.curve)
    if held_out < guessing(subject.classes):
        why = "It never did better than guessing: the signal, or the gradient, dies on its way through the layers."
        return why, "Put batch normalisation after each convolution, and nothing between the last layer and the scores."
    if held_out >= report.target:
        why = f"It came close: {held_out:.2f} % of the images that were held out, yet the test images decide."
        return why, MARGIN
    if last.train_accuracy < held_out - HELD_BACK:
        why = f"It is right on {held_out:.2f} % of new images, but on {last.train_accuracy:.2f} % while dropout acts."
        return why, "Lower the dropout rate, 0.05 is often enough: a model this small has little to spare."
    if last.train_accuracy > held_out + GAP:
        why = f"It is right on {last.train_accuracy:.2f} % of the images it learns from, on {held_out:.2f} % of others."
        return why, "Let it generalise: more dropout, batch normalisation, fewer parameters where the map is large."
    why = f"It is right on only {last.train_accuracy:.2f} % of the images that it learns from: it can't express more."
    sight, fix = room(subject)
    return f"{why}{sight}", fix


def guessing(classes: int) -> float:
    """Return the percentage of images below which a model does hardly better than one that always names one class."""
    chance = 100 / classes
    return min(2 * chance, chance + (100 - chance) / 9)


def room(subject: Subject) -> tuple[str, str]:
    """Return what a position of the last map sees, where that is less than what an image shows, and what to do.

    A model that sees enough lacks width instead.
    """
    seen = look(subject.facts["eval"], frozenset())
    pixels = round(PART * min(subject.input_shape[1:]))
    if not 0 < seen.least < pixels:
        return "", "Give it room: more channels, and pooling later."
    sight = f" A position of its last map sees {times(seen.sides)} of the {times(subject.input_shape[1:])} pixels."
    count = seen.further(pixels)
    more = f"{count} more 3×3 convolutions" if count > 1 else "one more 3×3 convolution"
    return sight, (
        f"Let it see all that an image shows, some {pixels} pixels: {more} on the last map, each with batch"
        " normalisation and an activation. A second pooling by 2 before them halves that number."
    )


def best(curve: Sequence[EpochRow]) -> float:
    """Return the highest accuracy on held-out images, in percent."""
    return max((row.held_out_accuracy for row in curve if row.held_out_accuracy is not None), default=0.0)
