"""What each way of computing brings to a training step, and how far the fastest is from the machine's arithmetic.

    python benchmarks/pace.py [MODEL] [--steps 60] [--threads 1]

All ways take turns on the same batches of 128 digits, twenty steps at a time, so that a busy machine slows them alike;
the table shows the first quartile of the steps, in milliseconds, the share of the plain step, and images a second. The
arithmetic is that of the model's multiplications and additions, three times a forward for a step; beside it stands a
product of two large matrices in the same precision, measured in the same run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import safetensors.torch
import torch

from grader.checks.accuracy import Stage
from grader.cost import Limits
from grader.grade import examine_in
from grader.observe import observe
from grader.replay import Replay
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings
from grader.training.bench import Bench
from grader.training.budget import Budget
from grader.training.calibrate import Calibration
from grader.training.data import load
from grader.training.loop import Run, _Tally
from grader.training.pace import PLAIN, Masks, Way
from grader.training.stages import Stages

BATCH = 128
IN_A_ROW = 20  # steps
NORMALISE = ((0.1307,), (0.3081,))
WAYS: dict[str, tuple[Way, bool]] = {  # the way, and whether masks are drawn in bulk
    "plain": (PLAIN, False),
    "masks in bulk": (PLAIN, True),
    "channels last": (Way(channels_last=True), False),
    "bfloat16": (Way(bfloat16=True), False),
    "masks, channels last": (Way(channels_last=True), True),
    "masks, bfloat16": (Way(bfloat16=True), True),
    "all three": (Way(channels_last=True, bfloat16=True), True),
}


def replay_of(path: Path) -> Replay:
    with Template.start(sandbox="auto", gpu=False) as template:
        exported = examine_in(template, path, read_rules(), Settings(export=True)).exported
    if exported is None:
        sys.exit(f"{path} cannot be graded: s5-grade {path}")
    tensors = {int(key): tensor for key, tensor in safetensors.torch.load(exported.tensors).items()}
    return Replay(exported.graph, tensors)


def steps_of(replay: Replay) -> dict[str, Callable[[int], None]]:
    """Return, for each way, what does one step on the batch of a number."""
    data = load()
    order = torch.randperm(len(data.training), generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    found: dict[str, Callable[[int], None]] = {}
    for name, (way, bulk) in WAYS.items():
        budget = Budget(time.monotonic, None)
        bench = Bench(replay, data, NORMALISE, 10, Calibration(replay.graph), budget, lambda progress: None)
        stages = Stages(bench, (), 99.0, 1, torch.device("cpu"))
        run: Run = stages._begin("short", Stage(batch=BATCH), stages.examine())
        run.way = way
        run._around = run._shortcuts.around(Masks(1), way) if bulk else None
        tally = _Tally()

        def step(number: int, run: Run = run, tally: _Tally = tally) -> None:
            index = order[number * BATCH : (number + 1) * BATCH]
            run._learn(data.training.at(index), tally, generator)

        found[name] = step
    return found


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def product(dtype: torch.dtype, size: int = 2048) -> float:
    """Return operations a second of a product of two square matrices, the best of five."""
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    return float(2 * size**3 / min(seconds(lambda: left @ right) for _ in range(5)))


def multiplications(replay: Replay) -> int:
    """Return those of one forward of one image."""
    images = torch.randn(4, 1, 28, 28)
    facts, _ = observe(replay, "train", images, Limits())
    return sum(step.macs for step in facts.steps if step.kind in ("conv", "dense")) // len(images)


def benchmark(path: Path, count: int, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    replay = replay_of(path)
    steps = steps_of(replay)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for start in range(0, count, IN_A_ROW):
        for name, step in steps.items():
            for number in range(start, start + IN_A_ROW + 2):
                took = 1000 * seconds(partial(step, number))
                if number >= start + 2:  # the first steps find memory as another way left it
                    times[name].append(took)
    quartiles = {name: statistics.quantiles(found, n=4)[0] for name, found in times.items()}
    print(f"{path.name}, batches of {BATCH}, {count} steps each, threads: {threads}\n")
    print("| way | ms a step | of plain | images a second |\n|---|---|---|---|")
    for name, quartile in quartiles.items():
        share = f"{100 * quartile / quartiles['plain']:.0f} %"
        print(f"| {name} | {quartile:.1f} | {share} | {1000 * BATCH / quartile:,.0f} |")
    work = 6 * multiplications(replay) * BATCH  # a multiplication and an addition, forward and twice backward
    print(f"\n{work / BATCH / 1e6:.2f} million operations an image in a step")
    for name, dtype in (("plain", torch.float32), ("all three", torch.bfloat16)):
        reached, possible = 1000 * work / quartiles[name], product(dtype)
        shown = f"{reached / 1e9:.1f} of {possible / 1e9:,.0f} thousand million operations a second"
        print(f"{name}: {shown}, {100 * reached / possible:.0f} % of a large product in {str(dtype).partition('.')[2]}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = Path(__file__).resolve().parents[1] / "reference_model" / "model.py"
    parser.add_argument("model", nargs="?", type=Path, default=default)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    benchmark(options.model, options.steps, options.threads)
