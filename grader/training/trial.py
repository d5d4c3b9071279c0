"""The training of a model with one seed: its stages, one after the other, and the looks at the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import torch

from grader.checks.accuracy import Stage
from grader.protocol import EpochRow, SeedReport, StageName
from grader.training.bench import Bench
from grader.training.claims import Claim
from grader.training.examine import Examined
from grader.training.giving_up import held_out
from grader.training.looks import Looks
from grader.training.loop import Run
from grader.training.stages import Knows, Stages
from grader.training.turns import Turns

Plan = Mapping[StageName, Stage]


class Open(Exception):
    """The claim can neither be confirmed nor denied; the message says why."""


class Trial:
    """One model with one seed, as far as its training came."""

    def __init__(
        self, bench: Bench, plan: Plan, weights: Sequence[int], claim: Claim, seed: int, device: torch.device
    ) -> None:
        """`weights` are the ids of tensors that are no parameters, but work as weights."""
        self.bench = bench
        self.plan = plan
        self.claim = claim
        self.seed = seed
        self.reason = ""
        self.examined = Examined("logits", ())
        self.notes: list[str] = []  # what went otherwise than planned, and which looks came to nothing
        self.looks = Looks(bench, claim, list(plan)[-1], self.notes.append)
        self.stages = Stages(bench, weights, claim.target, seed, device, self.looks.after, self.notes)
        self._began = bench.budget.used
        self._seconds = 0.0

    def train(self) -> Turns[None]:
        """Train as far as the plan goes.

        Raises:
            Open: that shows nothing.
            BudgetEnded, Stopped, ReplayError: something stands in the way; what is known until then stays.
        """
        try:
            self.examined = self.stages.examine()
            if self.examined.learned:
                yield from self._train()
            else:
                self._judge()
        except Knows:
            raise Open(
                "it is right without having learned, whatever its weights are: it was given its answers"
            ) from None
        finally:
            self._seconds = self.bench.budget.used - self._began

    def _train(self) -> Turns[None]:
        run: Run | None = None
        for name, stage in self.plan.items():
            if name == "medium" and name != self.looks.last and not self.stages.is_near():
                continue
            run = yield from self.stages.train(name, stage, self.examined)
            if run is not None:
                self.looks.at_the_end(run)
            if self.looks.confirmed:
                return
        if run is None:
            lowest = list(self.stages.runs.values())[-1].peak_lr
            raise Open(f"the loss did not stay finite at any peak learning rate down to {lowest:.2g}")

    def _judge(self) -> None:
        """Judge a model that no gradient can change: one that is right all the same was given its answers."""
        if self.looks.once(self.stages.start()) <= self.claim.allowed:
            raise Open("it reaches the target without learning: no gradient reaches a parameter")
        self.notes.append("no gradient reaches a parameter: the model was not trained")

    @property
    def curve(self) -> list[EpochRow]:
        """All epochs of the last attempt at each stage; each knows its seed where there are several."""
        rows = [row for run in self.stages.runs.values() for row in run.rows]
        seed = self.seed if len(self.claim.seeds) > 1 else None
        return [msgspec.structs.replace(row, seed=seed) for row in rows]

    def report(self) -> SeedReport:
        errors = self.looks.errors
        accuracy = None if errors is None else self.claim.accuracy([errors])
        epochs = sum(len(run.rows) for run in self.stages.runs.values())
        return SeedReport(self.seed, errors, accuracy, epochs, self._seconds, self.looks.stage, self.reason)

    def out_of_time(self, limit: float) -> str:
        """Return how far training came when the budget ended."""
        ended = f"the budget of {limit:g} s ended"
        if not self.stages.runs:
            return f"{ended} before the test images were classified"
        run = list(self.stages.runs.values())[-1]
        stage = "" if len(self.plan) == 1 or run.name == "short" else f" of the {run.name} stage"
        if not run.rows:
            return f"{ended} at step {run.step:,} of {run.steps:,}{stage}"
        accuracy = f"held-out accuracy {held_out(run.rows[-1]):.1f} %"
        return f"{ended} after epoch {run.rows[-1].epoch} of {run.stage.epochs}{stage}, {accuracy}"
