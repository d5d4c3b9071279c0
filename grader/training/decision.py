"""The decision: what a model's trainings show, as a report."""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import msgspec
import torch

from grader.checks.accuracy import Options, Recipe, Stage
from grader.protocol import DataReport, Progress, StageName, TrainingReport, TrainRequest
from grader.replay import Replay, ReplayError
from grader.training.bench import Bench, NoGradient, NoScores
from grader.training.budget import Budget, BudgetEnded
from grader.training.calibrate import Calibration
from grader.training.claims import Claim
from grader.training.data import Data, DataError, Normalise, load, opened
from grader.training.device.lanes import Lane, has_room
from grader.training.device.recorder import Graphs
from grader.training.trial import Open, Trial
from grader.training.turns import Turns, together

MNIST = "MNIST"
TEST_IMAGES = 10_000

# The errors of one model differ by a tenth between seeds, and by more between recipes: of 19 models of
# `benchmarks/panel`, none that another recipe took to the target missed it by more than a third.
NEAR_MISS = 4 / 3

Outcome = Literal["confirmed", "missed", "open"]


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
    """Train a graph from its initial weights, out of order, and report whether the claim holds.

    `weights` are the ids of tensors that are no parameters, but work as weights: they are put out of order too. `data`
    is the embedded MNIST where none is given. The same seed, threads and machine give the same report but for the
    seconds. Whatever stands in the way becomes the reason of a report that leaves the claim open.
    """
    torch.set_flush_denormal(True)  # a convolution over denormal numbers is 40 to 100 times slower
    torch.set_num_threads(request.threads)
    torch.backends.cudnn.deterministic = True  # of several algorithms some add up in any order
    torch.backends.cudnn.allow_tf32 = False  # what is reported as float32 must not be rounded to 11 bits
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
        files = request.data
        self.claim = Claim.of(request, files.test, files.title) if files else Claim.of(request, TEST_IMAGES, MNIST)
        self.about: DataReport | None = None
        self.trials: list[Trial] = []
        self.notes: list[str] = []

    def report(self, on_progress: Callable[[Progress], None], data: Data | None) -> TrainingReport:
        """Come to an outcome, and tell all that is known then."""
        outcome, reason = self.outcome(on_progress, data)
        claim, errors = self.claim, self.errors
        curve = tuple(row for trial in self.trials for row in trial.curve)
        return TrainingReport(
            outcome=outcome,
            claim=claim.statement,
            reason=reason,
            target=claim.target,
            accuracy=claim.accuracy(errors),
            errors=errors[-1] if errors and claim.kind != "mean" else None,
            images=claim.images,
            interval=claim.interval(errors),
            seed=self.request.seed,
            epochs=len(curve),
            seconds=self.budget.used,
            threads=self.request.threads,
            device=self.request.device,
            output=self.trials[-1].examined.kind if self.trials else "logits",
            recipe=msgspec.to_builtins(self.recipe),
            curve=curve,
            notes=tuple(self.all_notes()),
            claim_kind=claim.kind,
            sustained=claim.sustained,
            best=claim.best,
            allowed=None if claim.kind == "mean" else claim.allowed,
            bound=claim.bound(errors),
            seeds=tuple(trial.report() for trial in self.trials),
            planned=len(claim.seeds),
            environment=environment(self.device) | self.computed(),
            data=self.about,
        )

    def computed(self) -> dict[str, str]:
        """Return in which layout and precision each stage computed, as far as one began."""
        ways = {name: run.shown for trial in self.trials for name, run in trial.stages.runs.items()}
        return {"arithmetic": "; ".join(f"{name}: {shown}" for name, shown in ways.items())} if ways else {}

    @property
    def errors(self) -> list[int]:
        """What each seed that came to a result makes of the test images."""
        return [trial.looks.errors for trial in self.trials if trial.looks.errors is not None]

    def all_notes(self) -> list[str]:
        several = len(self.claim.seeds) > 1
        own = [f"seed {trial.seed}: {note}" if several else note for trial in self.trials for note in trial.notes]
        return [*own, *self.notes]

    def outcome(self, on_progress: Callable[[Progress], None], data: Data | None) -> tuple[Outcome, str]:
        try:
            self.refuse()
            with nullcontext() if self.device.type == "cpu" else self.device:  # where the graph makes new tensors
                images = self.load() if data is None else data
                self.about = images.about
                dataset = images.about.name if images.about else ""
                self.claim = replace(self.claim, images=len(images.test), dataset=dataset)
                self.refuse_impossible()
                self.train(images.to(self.device), on_progress)
                reason = self.left_open()
                return ("open", reason) if reason else self.judged()
        except (Open, DataError) as error:
            return "open", str(error)
        except RuntimeError as error:
            return "open", self.stopped(error)

    def left_open(self) -> str:
        """Return why the claim stays open, where a seed did not come to its end, with the seed it is due to."""
        trial = next((trial for trial in self.trials if trial.reason), None)
        if trial is None or len(self.claim.seeds) == 1:
            return trial.reason if trial else ""
        before = ", ".join(f"{count:,}" for count in self.errors)
        return f"seed {trial.seed}: {trial.reason}" + (f" (errors until then: {before})" if before else "")

    def judged(self) -> tuple[Outcome, str]:
        """Return the outcome of a training that came to its end: a model that all but holds is not one that fails."""
        holds = self.claim.holds(self.errors) if self.claim.kind == "mean" else self.trials[-1].looks.confirmed
        allowed, errors = self.claim.allowed, self.errors[-1] if self.errors else 0
        if holds or self.claim.kind != "model" or errors > NEAR_MISS * allowed:
            return ("confirmed" if holds else "missed"), ""
        reason = f"{errors:,} errors are close to the {allowed:,} that the target allows"
        return "open", f"{reason}: another seed or recipe may reach it"

    def load(self) -> Data:
        """Return the images that the rules ask for. Raises DataError where they can't be had."""
        files = self.request.data
        return load(normalise=self.normalise) if files is None else opened(files, self.normalise)

    def refuse(self) -> None:
        """Raises Open where training could say nothing about the submission, or can't be had."""
        places = self.replay.graph.custom_gradient
        if places:
            where = f"{places[0].file}:{places[0].line}"
            raise Open(f"the custom autograd function at {where} has its own backward, which the graph does not hold")
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise Open("there is no CUDA device here (use --device cpu)")

    def refuse_impossible(self) -> None:
        """Raises Open where no training could show what is claimed."""
        if self.claim.kind == "population" and self.claim.allowed < 0:
            images = f"{self.claim.images:,} test images"
            raise Open(f"{images} are too few to prove {self.claim.target:g} %, even without an error")

    def train(self, data: Data, on_progress: Callable[[Progress], None]) -> None:
        """Train with one seed after the other, on a GPU several at once, until the claim is decided."""
        works = self.works(data, on_progress)
        if self.device.type == "cpu":
            together(works, lambda running: False)
        else:
            together((Lane(self.device).carry(work) for work in works), has_room)

    def works(self, data: Data, on_progress: Callable[[Progress], None]) -> Iterator[Turns[None]]:
        """Yield the training of each seed whose result could still matter."""
        calibration = Calibration(self.replay.graph)
        plan = stages_of(self.request, self.recipe)
        recorder = None if self.device.type == "cpu" else Graphs(self.device)
        runs = len(self.claim.seeds)
        for run, seed in enumerate(self.claim.seeds, 1):

            def report(progress: Progress, run: int = run) -> None:
                on_progress(msgspec.structs.replace(progress, run=run, runs=runs))

            numbers = data.normalise(self.normalise)
            bench = Bench(self.replay, data, numbers, self.classes, calibration, self.budget, report, recorder)
            self.trials.append(Trial(bench, plan, self.weights, self.claim, seed, self.device))
            yield self.work(self.trials[-1])
            if any(trial.reason for trial in self.trials):
                return
            if self.claim.is_lost(self.errors) and run < runs:
                left = f"{runs - run} more seed{'' if runs - run == 1 else 's'} could not lift the mean to the target"
                self.notes.append(f"{left} even without an error: not trained")
                return

    def work(self, trial: Trial) -> Turns[None]:
        """Train with one seed; what keeps it from its end becomes its reason."""
        try:
            yield from trial.train()
        except (Open, NoScores) as error:
            trial.reason = str(error)
        except BudgetEnded:
            trial.reason = trial.out_of_time(self.budget.limit or 0.0)
        except NoGradient as error:
            trial.reason = f"the gradient can't be computed: {error}"
        except ReplayError as error:
            trial.reason = f"the captured graph does not run on the training images: {error}"
        except RuntimeError as error:
            trial.reason = self.stopped(error)

    def stopped(self, error: RuntimeError) -> str:
        """Return what a GPU has to say; on a processor it is our own fault."""
        if self.device.type == "cpu":
            raise error
        return f"the GPU could not go on: {(str(error).strip().splitlines() or ['no reason given'])[0][:300]}"


def stages_of(request: TrainRequest, recipe: Recipe) -> dict[StageName, Stage]:
    """Return the stages that the claim allows."""
    seeds = request.seeds if request.claim == "mean" else None
    return Options(request.target, request.claim, seeds, request.sustained or None, request.best, recipe).stages


def environment(device: torch.device) -> dict[str, str]:
    """Return what decides about the last digit beside the seed and the threads."""
    found = {"torch": str(torch.__version__), "cpu": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"}
    if device.type == "cuda" and torch.cuda.is_available():
        found |= {"cuda": str(torch.version.cuda), "gpu": torch.cuda.get_device_name(device)}
    return found
