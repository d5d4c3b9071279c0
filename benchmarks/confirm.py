"""Time until the reference model is confirmed at 99 %, beside what its own training script takes.

    python benchmarks/confirm.py [--pairs 3] [--threads 1]

Each pair is one whole `s5-grade reference_model/model.py --train`, with a seed of its own, and one epoch of
`reference_model/train.py`, its count of the test images left out. They take turns, so that a busy machine slows both.
The epoch's time is multiplied by the epochs that the script runs, 15, and by those after which it first reached 99 % in
the run that `reference_model/log.json` records. CPU seconds are those of all processes and threads. Needs what
`pip install -e '.[reference]'` installs.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from cpu_time import Watch

from grader.grade import grade

FOLDER = Path(__file__).resolve().parents[1] / "reference_model"
TARGET = 99.0
EPOCHS = 15  # of train.py
BATCH = 128  # of train.py


@dataclass(frozen=True)
class Pair:
    """One confirmation, its errors in 10,000 images, and one epoch of the script."""

    errors: int
    confirmed: Watch
    epoch: Watch


def confirm(seed: int, threads: int) -> tuple[int, Watch]:
    """Return the errors and the cost of one confirmation; a model that is not confirmed ends the benchmark."""
    with Watch() as watch:
        training = grade(FOLDER / "model.py", train=True, seed=seed, threads=threads).training
    if training is None or training.errors is None or training.outcome != "confirmed":
        sys.exit(f"seed {seed}: the reference model was not confirmed: {training}")
    return training.errors, watch


def script_epoch(threads: int) -> Callable[[], object]:
    """Return what runs the next epoch of the training script, with its model, its data and its optimiser."""
    sys.path.insert(0, str(FOLDER))
    try:
        script = importlib.import_module("train")
    except ModuleNotFoundError as error:
        sys.exit(f"reference_model/train.py needs {error.name}: pip install -e '.[reference]'")
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    images, _ = script.load(script.DATA)
    loader = torch.utils.data.DataLoader(images, batch_size=BATCH, shuffle=True)
    model = script.Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return lambda: script.train_epoch(model, loader, optimizer)


def first_at_target(log: Path) -> int | None:
    """Return the epoch after which a recorded run of the script first reached the target, None where it never did."""
    rows = json.loads(log.read_text())
    return next((row["epoch"] for row in rows if row["test_accuracy"] >= TARGET), None)


def table(pairs: Sequence[Pair], needed: int | None) -> str:
    """Return the pairs as lines of text: both costs, and how many times as long the script takes."""
    lines = [f"{'pair':>6}  errors  {'confirmed, s':>12}  {'CPU s':>7}  {'one epoch, s':>12}  {'CPU s':>7}"]
    for number, pair in enumerate(pairs, 1):
        lines.append(f"{number:>6}  {pair.errors:>6}  {_cells(pair.confirmed)}  {_cells(pair.epoch)}")
    plans = {f"its {EPOCHS} epochs": EPOCHS, **({} if needed is None else {f"{needed} epochs, to 99 %": needed})}
    for name, epochs in plans.items():
        seconds = median(epochs * pair.epoch.seconds / pair.confirmed.seconds for pair in pairs)
        cpu = median(epochs * pair.epoch.cpu / pair.confirmed.cpu for pair in pairs)
        lines.append(f"train.py, {name}: {seconds:.2f} times as long, {cpu:.2f} times the CPU time (medians of pairs)")
    if needed is None:
        lines.append(f"train.py never reached {TARGET:g} % in the run that log.json records")
    return "\n".join(lines)


def _cells(cost: Watch) -> str:
    return f"{cost.seconds:12.1f}  {cost.cpu:7.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error("--pairs must be at least 1")

    epoch = script_epoch(options.threads)
    pairs = []
    for seed in range(1, options.pairs + 1):
        errors, confirmed = confirm(seed, options.threads)
        with Watch() as watch, redirect_stderr(io.StringIO()):  # the bar that shows its progress
            epoch()
        pairs.append(Pair(errors, confirmed, watch))
    print(table(pairs, first_at_target(FOLDER / "log.json")))


if __name__ == "__main__":
    main()
