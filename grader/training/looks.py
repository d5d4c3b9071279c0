"""The looks at the test images: when a claim asks for them, and what they showed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from grader.protocol import EpochRow, StageName
from grader.replay import Values
from grader.training.bench import Bench
from grader.training.claims import Claim
from grader.training.interval import most_accuracy
from grader.training.loop import Run

DOUBT = 0.001  # the chance that a model which reaches the target errs on as many held-out images, below which it can't


class Looks:
    """The looks of one training, stage by stage; `counts` are the errors that the last stage looked at made."""

    def __init__(self, bench: Bench, claim: Claim, last: StageName, note: Callable[[str], None]) -> None:
        """`last` is the stage after which a verdict is due, so that nothing keeps it from being looked at."""
        self.bench = bench
        self.claim = claim
        self.last = last
        self.counts: list[int] = []
        self.stage: StageName | None = None
        self.note = note
        self._run: Run | None = None

    @property
    def errors(self) -> int | None:
        """The errors that count: of several epochs the most, or the least where the best epoch may be chosen."""
        if not self.counts:
            return None
        return min(self.counts) if self.claim.best else max(self.counts)

    @property
    def confirmed(self) -> bool:
        """Whether a model made few enough errors, as often as the claim asks for."""
        enough = self.claim.best or len(self.counts) == max(self.claim.sustained, 1)
        return self.errors is not None and enough and self.errors <= self.claim.allowed

    def after(self, run: Run) -> bool:
        """Look if it is time, and tell whether the stage has shown what it can, so that no epoch need follow."""
        row = run.rows[-1]
        if not self.claim.best and row.epoch <= run.stage.epochs - max(self.claim.sustained, 1):
            return False
        known = self._run is run
        if not (known or self.claim.best or run.name == self.last or self._may_confirm(row)):
            return True
        few = self._look(run) <= self.claim.allowed
        return few if self.claim.best else not few

    def at_the_end(self, run: Run) -> None:
        """Look at a last stage that was given up, lest a verdict lacks its number; say what another one came to."""
        if self._run is not run and run.name == self.last:
            self._look(run)
        if self._run is run and run.name != self.last and not self.confirmed:
            when = "the best epoch of" if self.claim.best else f"epoch {run.rows[-1].epoch} of"
            errors = f"{self.errors:,} of the test images were wrong, {self.claim.allowed:,} may be"
            self.note(f"after {when} the {run.name} stage {errors}")

    def once(self, state: Values) -> int:
        """Look at a model that does not learn, and return its errors."""
        self.counts = [self.bench.errors(self.bench.data.test, state)]
        return self.counts[0]

    def _look(self, run: Run) -> int:
        errors = self.bench.errors(self.bench.data.test, run.state)
        if self._run is not run:
            self._run, self.counts, self.stage = run, [], run.name
        self.counts.append(errors)
        run.rows[-1] = msgspec.structs.replace(run.rows[-1], test_errors=errors)
        return errors

    def _may_confirm(self, row: EpochRow) -> bool:
        """Tell whether a model that reaches the target can, by chance, do as badly on the held-out images."""
        images = len(self.bench.data.held_out)
        wrong = round(images * (100 - (row.held_out_accuracy or 0.0)) / 100)
        if most_accuracy(wrong, images, DOUBT) >= self.claim.target:
            return True
        share = f"{wrong:,} of the {images:,} held-out images were wrong"
        unseen = f"too many for {self.claim.target:g} %: the test images were not looked at"
        self.note(f"after the {row.stage} stage {share}, {unseen}")
        return False
