"""When hopeless runs may be given up: what a rule would have stopped, of runs that reached their target and of others.

    python benchmarks/giving_up.py [--train] [--results FILE …] [--target 99]

`--train` trains the models of `benchmarks/hopeless/`, which can't reach 99 %, without giving any up, so that each curve
goes to its end; what ends is written at once to the first file of `--results`, and is not trained again. Then, over all
curves of these files and of the panel's (`panel.py`):

1. the margin: at each share of a stage, the worst ratio of wrong held-out images to what the target allows that a run
   had which ended at the target or near it;
2. for the rule in use and its alternatives: how many of these runs it would have stopped, which must be none, by what
   factor the worst of them stayed below it, how many of the others it would have stopped, and what that saves.

A run is one stage. It ended near where it made at most a third more errors than the target allows, on the test images
if they were looked at, else on the held-out ones.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import msgspec
from pace import replay_of
from panel import Model, read_model

from grader.checks.accuracy import Recipe
from grader.protocol import EpochRow, TrainRequest
from grader.training import stages, train
from grader.training.decision import NEAR_MISS
from grader.training.giving_up import LIMITS, Limits, held_out, hopeless

HERE = Path(__file__).resolve().parent
HOPELESS = HERE / "hopeless"
RESULTS = (HERE / "results" / "hopeless.jsonl", HERE / "results" / "panel.jsonl")
TARGET = 99.0
TEST_IMAGES = 10_000
SHARES = (0.1, 0.25, 0.35, 0.5, 0.65, 0.75, 0.9)  # of a stage's epochs
AFTER = (0.25, 0.35, 0.5, 0.65)
TIMES = (3.0, 5.0, 8.0, 12.0, 20.0)
NORMALISE = ((0.1307,), (0.3081,))


class Trained(msgspec.Struct, frozen=True, tag_field="by", tag="grader"):
    """What the grader's training of a model came to: the fields that the panel's rows have too."""

    model: str
    seed: int
    sha256: str
    outcome: str
    errors: int | None
    notes: tuple[str, ...]
    curve: tuple[EpochRow, ...]


def train_whole(model: Model, seed: int) -> Trained:
    """Train a model as the default rules do, but for giving up."""
    recipe = msgspec.to_builtins(Recipe())
    request = TrainRequest(TARGET, recipe, seed, budget=None, threads=1)
    with patch.object(stages, "hopeless", return_value=""):
        report = train(replay_of(model.path), request, NORMALISE, classes=10)
    return Trained(model.name, seed, model.sha256, report.outcome, report.errors, report.notes, report.curve)


def read(paths: Sequence[Path]) -> list[Trained]:
    """Return all trainings of these files."""
    lines = (line for path in paths if path.exists() for line in path.read_bytes().splitlines())
    return [found for found in map(decoded, lines) if found is not None]


def decoded(line: bytes) -> Trained | None:
    """Return the training in a line; None where it was cut short, or is of another kind."""
    try:
        return msgspec.json.decode(line, type=Trained)
    except msgspec.DecodeError:
        return None


def add_hopeless(path: Path, known: Sequence[Trained]) -> None:
    """Train the models of the folder that are not known yet, and write down each."""
    done = {row.sha256 for row in known}
    for file in sorted(HOPELESS.glob("*.py")):
        model = read_model(file.stem, file)
        if model.sha256 not in done:
            row = train_whole(model, 1)
            with path.open("ab") as results:
                results.write(msgspec.json.encode(row) + b"\n")
            print(f"{model.name}: {row.outcome}, {row.errors} errors", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Run:
    """One stage of a training that came to its end, for a target that allows so many percent of errors."""

    name: str
    rows: tuple[EpochRow, ...]
    target: float

    @property
    def is_near(self) -> bool:
        """Whether it ended at the target or near it: on the test images if they were looked at."""
        last = self.rows[-1]
        wrong = 100 - held_out(last) if last.test_errors is None else 100 * last.test_errors / TEST_IMAGES
        return wrong <= NEAR_MISS * (100 - self.target)

    def behind(self, share: float) -> float:
        """Return how many times more errors than the target allows it had at best after this share of its epochs.

        Of the held-out images and those it learned from, those count on which it was better: the rule asks for both.
        """
        rows = self.rows[: max(math.ceil(share * len(self.rows)), 1)]
        return (100 - max(max(held_out(row), row.train_accuracy) for row in rows)) / (100 - self.target)

    def kept(self, limits: Limits) -> int:
        """Return the number of epochs after which a rule would have given it up, all of them where it would not."""
        epochs = range(1, len(self.rows))
        stops = (k for k in epochs if hopeless(self.rows[:k], len(self.rows), self.target, limits))
        return next(stops, len(self.rows))


def runs_of(trainings: Iterable[Trained], target: float) -> list[Run]:
    """Return the stages that are long enough to be given up, each once; of one that was given up no end is known."""
    found: dict[tuple[float | None, ...], Run] = {}
    for training in trainings:
        stopped = {note.split()[1] for note in training.notes if "stage was given up after" in note}
        for stage, group in itertools.groupby(training.curve, key=lambda row: row.stage):
            rows = tuple(group)
            if stage not in stopped and len(rows) > LIMITS.patience + 1:
                name = f"{training.model.replace('_', ' ')}, {stage}"
                found[tuple(row.loss for row in rows)] = Run(name, rows, target)
    return list(found.values())


def margins(near: Sequence[Run], far: Sequence[Run]) -> str:
    """Return, at each share of a stage, how far behind runs were that ended near the target, and those that did not."""
    lines = ["| epochs gone | ended near: worst | which | ended far: best | which |", "|---|---|---|---|---|"]
    for share in SHARES:
        worst = max(near, key=lambda run: run.behind(share))
        best = min(far, key=lambda run: run.behind(share))
        cells = (f"{worst.behind(share):.1f} ×", worst.name, f"{best.behind(share):.1f} ×", best.name)
        lines.append(f"| {share:.0%} | {' | '.join(cells)} |")
    return "\n".join(lines)


def alternatives() -> Iterator[Limits]:
    """Yield the rule in use first, then those that differ from it in a few ways."""
    yield LIMITS
    for after, times, progress in itertools.product(AFTER, TIMES, (LIMITS.progress, 0.0)):
        limits = replace(LIMITS, after=after, times=times, floor=min(LIMITS.floor, times), progress=progress)
        if limits != LIMITS:
            yield limits


def compare(near: Sequence[Run], far: Sequence[Run]) -> str:
    """Return what each rule would have stopped, and saved."""
    lines = ["| after | times | falls | stops near | margin | stops far | saves |", "|---|---|---|---|---|---|---|"]
    whole = sum(len(run.rows) for run in far)
    for limits in alternatives():
        lost, stopped = (sum(run.kept(limits) < len(run.rows) for run in runs) for runs in (near, far))
        kept = [run.rows[: run.kept(limits)] for run in far]
        seconds = sum(run.rows[-1].seconds - rows[-1].seconds for run, rows in zip(far, kept, strict=True))
        cells = (
            f"{limits.after:.0%}",
            f"{limits.times:g} ×",
            f"less than {1 - limits.progress:.0%}" if limits.progress else "whatever",
            f"{lost} of {len(near)}",
            f"{limits.times / max(run.behind(limits.after) for run in near):.1f}",
            f"{stopped} of {len(far)}",
            f"{1 - sum(map(len, kept)) / whole:.0%} of the epochs, {seconds:,.0f} s",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", action="store_true", help="train the models of benchmarks/hopeless/ first")
    parser.add_argument("--results", type=Path, nargs="+", default=list(RESULTS), metavar="FILE")
    parser.add_argument("--target", type=float, default=TARGET, help="as if the target were this, in percent")
    options = parser.parse_args()
    if options.train:
        add_hopeless(options.results[0], read(options.results))
    runs = runs_of(read(options.results), options.target)
    near, far = ([run for run in runs if run.is_near == wanted] for wanted in (True, False))
    if not near or not far:
        sys.exit(f"{len(near)} runs that ended near the target and {len(far)} that did not are too few")
    print(f"{len(near)} runs ended near the target of {options.target:g} %, {len(far)} did not.\n")
    print(margins(near, far), end="\n\n")
    print(compare(near, far))


if __name__ == "__main__":
    main()
