"""The decision: what a model's runs show, as a report."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Literal

import msgspec
import torch

from grader.checks.accuracy import Recipe, Stage
from grader.protocol import Progress, StageName, TrainingReport, TrainRequest
from grader.replay import Replay, ReplayError
from grader.training.budget import Budget, BudgetEnded
from grader.training.calibrate import Calibration
from grader.training.data import Data, DataError, Normalise, load
from grader.training.examine import Examined
from grader.training.interval import accuracy_interval
from grader.training.loop import Bench, NoGradient, NoScores
from grader.training.stages import Stages, held_out

TEST_IMAGES = 10_000

Outcome = Literal["confirmed", "missed", "open"]


class Open(Exception):
    """The claim can neither be confirmed nor denied; the message says why."""


def train(
    replay: Replay,
    request: TrainRequest,
    normalise: Normalise,
    classes: int,
    weights: Sequence[int] = (),
    on_progress: Callable[[Progress], None] = lambda progress: None,
    *,
    data: Data | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> TrainingReport:
    """Train a graph from its initial weights, out of order, and report whether it reaches the target.

    `weights` are the ids of tensors that are no parameters, but work as weights: they are put out of order too. `data`
    is the embedded MNIST where none is given. The same seed, threads and machine give the same report but for the
    seconds. Whatever stands in the way becomes the reason of a report that leaves the claim open.
    """
    torch.set_flush_denormal(True)  # a convolution over denormal numbers is 40 to 100 times slower
    torch.set_num_threads(request.threads)
    case = _Case(replay, request, normalise, classes, weights, Budget(clock, request.budget))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's opinion of a submission, at each step
        return case.report(on_progress, data)


class _Case:
    """One model on its way to a report."""

    def __init__(
        self,
        replay: Replay,
        request: TrainRequest,
        normalise: Normalise,
        classes: int,
        weights: Sequence[int],
        budget: Budget,
    ) -> None:
        self.replay = replay
        self.request = request
        self.normalise = normalise
        self.classes = classes
        self.weights = weights
        self.budget = budget
        self.recipe = msgspec.convert(request.recipe, Recipe)
        self.device = torch.device(request.device)
        self.images = TEST_IMAGES
        self.errors: int | None = None
        self.stages: Stages | None = None
        self.examined = Examined("logits", ())

    @property
    def allowed(self) -> int:
        """How many errors the target allows."""
        return math.floor(self.images * (100 - self.request.target) / 100 + 1e-6)  # 99.4 is a little more as a float

    def report(self, on_progress: Callable[[Progress], None], data: Data | None) -> TrainingReport:
        """Come to an outcome, and tell all that is known then."""
        outcome, reason = self.outcome(on_progress, data)
        runs = self.stages.runs.values() if self.stages else ()
        curve = tuple(row for run in runs for row in run.rows)
        return TrainingReport(
            outcome=outcome,
            claim=f"this trained model makes at most {self.allowed:,} errors on the {self.images:,} test images",
            reason=reason,
            target=self.request.target,
            accuracy=None if self.errors is None else 100 * (self.images - self.errors) / self.images,
            errors=self.errors,
            images=self.images,
            interval=None if self.errors is None else accuracy_interval(self.errors, self.images),
            seed=self.request.seed,
            epochs=len(curve),
            seconds=self.budget.used,
            threads=self.request.threads,
            device=self.request.device,
            output=self.examined.kind,
            recipe=msgspec.to_builtins(self.recipe),
            curve=curve,
            notes=tuple(self.stages.notes) if self.stages else (),
        )

    def outcome(self, on_progress: Callable[[Progress], None], data: Data | None) -> tuple[Outcome, str]:
        try:
            self.refuse()
            with nullcontext() if self.device.type == "cpu" else self.device:  # where the graph makes new tensors
                images = (load() if data is None else data).to(self.device)
                calibration = Calibration(self.replay.graph)
                bench = Bench(self.replay, images, self.normalise, self.classes, calibration, self.budget, on_progress)
                return ("confirmed" if self.passes(bench) else "missed"), ""
        except (Open, DataError, NoScores) as error:
            return "open", str(error)
        except BudgetEnded:
            return "open", self.out_of_time()
        except NoGradient as error:
            return "open", f"the gradient can't be computed: {error}"
        except ReplayError as error:
            return "open", f"the captured graph does not run on the training images: {error}"

    def refuse(self) -> None:
        """Raises Open where training could say nothing about the submission, or can't be had."""
        places = self.replay.graph.custom_gradient
        if places:
            where = f"{places[0].file}:{places[0].line}"
            raise Open(f"the custom autograd function at {where} has its own backward, which the graph does not hold")
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise Open("there is no CUDA device here (use --device cpu)")

    def passes(self, bench: Bench) -> bool:
        """Train as far as the recipe goes, and tell whether the target was reached."""
        self.images = len(bench.data.test)
        self.stages = Stages(bench, self.weights, self.request.target, self.request.seed, self.device)
        self.examined = self.stages.examine()
        if not self.examined.learned:
            return self.knows(bench, self.stages)
        plan: dict[StageName, Stage] = {"short": self.recipe}
        if self.recipe.long is not None:
            plan["long"] = self.recipe.long
        for name, stage in plan.items():
            run = self.stages.train(name, stage, self.examined)
            if run is not None:
                self.errors = bench.errors(bench.data.test, run.state)
                if self.errors <= self.allowed:
                    return True
        if run is None:
            lowest = self.stages.runs[name].peak_lr
            raise Open(f"the loss did not stay finite at any peak learning rate down to {lowest:.2g}")
        return False

    def knows(self, bench: Bench, stages: Stages) -> bool:
        """Judge a model that no gradient can change: one that is right all the same was given its answers."""
        self.errors = bench.errors(bench.data.test, stages.start())
        if self.errors <= self.allowed:
            raise Open("it reaches the target without learning: no gradient reaches a parameter")
        stages.notes.append("no gradient reaches a parameter: the model was not trained")
        return False

    def out_of_time(self) -> str:
        """Return how far training came when the budget ended."""
        ended = f"the budget of {self.budget.limit:g} s ended"
        if self.stages is None or not self.stages.runs:
            return f"{ended} before the test images were classified"
        run = list(self.stages.runs.values())[-1]
        stage = " of the long stage" if run.name == "long" else ""
        if not run.rows:
            return f"{ended} at step {run.step:,} of {run.steps:,}{stage}"
        accuracy = f"held-out accuracy {held_out(run.rows[-1]):.1f} %"
        return f"{ended} after epoch {run.rows[-1].epoch} of {run.stage.epochs}{stage}, {accuracy}"
