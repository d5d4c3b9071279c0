"""What training on a GPU takes: from its start to the confirmation, step by step and from CUDA graphs, one and many.

    python benchmarks/gpu.py [MODEL] [--device cuda] [--seeds 1 8 64] [--epochs 2] [--images 55000] [--models 31]

1. The whole training as `s5-grade MODEL --train --device cuda` does it, the first in its process and a second one.
2. The short stage with a look at each loss, with a look at every twentieth, and from recorded steps; then recorded
   steps of several seeds at once. Seconds include the recording, and the looks at the test images.
3. For the first models of the panel, whether a step could be recorded and its replay came to the same.

It is laid out for less than 150 s on a large card. `--device cpu --epochs 1 --images 2000 --models 2` tries the script
elsewhere, where nothing is recorded. `pytest tests/test_gpu.py` tests what is measured here.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from pace import NORMALISE, replay_of
from torch import Tensor

from grader.checks.accuracy import Stage
from grader.protocol import Device, TrainRequest
from grader.replay import Replay
from grader.training import train
from grader.training.bench import Bench
from grader.training.budget import Budget
from grader.training.calibrate import Calibration
from grader.training.claims import Claim
from grader.training.data import Data, load
from grader.training.device.guard import prepare
from grader.training.device.lanes import Lane, has_room
from grader.training.device.recorder import Act, Graphs, Recorder
from grader.training.device.step import Step
from grader.training.scores import LOSSES
from grader.training.stages import Stages
from grader.training.trial import Trial
from grader.training.turns import Turns, together

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference_model" / "model.py"
PANEL = sorted((ROOT / "benchmarks" / "panel").glob("*.py"))
TARGET = 99.0
IMAGES = 55_000  # to learn from


class StepByStep:
    """Records nothing, on any device."""

    def numbers(self) -> Tensor:
        return torch.empty(0)

    def rewind(self, numbers: Tensor) -> None: ...

    def unwaiting(self) -> AbstractContextManager[None]:
        raise RuntimeError("recording was not asked for")

    def record(self, act: Act) -> Act:
        raise RuntimeError("recording was not asked for")


class Timed(Graphs):
    """Records, and adds up how long that takes."""

    seconds = 0.0

    def record(self, act: Act) -> Act:
        began = time.perf_counter()
        try:
            return super().record(act)
        finally:
            self.seconds += time.perf_counter() - began


@dataclass(frozen=True)
class Setup:
    """What all measurements have in common."""

    replay: Replay
    data: Data
    stage: Stage
    device: torch.device

    def bench(self, recorder: Recorder | None) -> Bench:
        budget = Budget(time.perf_counter, None)
        calibration = Calibration(self.replay.graph)
        return Bench(self.replay, self.data, NORMALISE, 10, calibration, budget, lambda progress: None, recorder)

    def trials(self, recorder: Recorder | None, seeds: Sequence[int]) -> list[Trial]:
        claim = Claim("model", TARGET, len(self.data.test), (1,))
        bench = self.bench(recorder)
        return [Trial(bench, {"short": self.stage}, (), claim, seed, self.device) for seed in seeds]


@dataclass
class Crowd:
    """How many trainings ran at once, at most."""

    most: int = 1

    def has_room(self, running: int) -> bool:
        room = has_room(running)
        self.most = max(self.most, running + 1) if room else self.most
        return room


def whole(setup: Setup, path: Path, data: Data | None) -> str:
    """Train as the command does, which reads the images too where none are given, and say what came of it."""
    recipe = {"epochs": setup.stage.epochs, "medium": None, "long": None}
    request = TrainRequest(TARGET, recipe, 1, None, 1, msgspec.convert(setup.device.type, Device))
    report = train(setup.replay, request, NORMALISE, 10, data=data)
    how = report.environment.get("arithmetic", "")
    return f"{path.name}: {report.outcome}, {report.errors} errors, {report.seconds:.2f} s ({how}) {report.reason}"


def measured(setup: Setup, name: str, recorder: Recorder | None, seeds: Sequence[int]) -> str:
    """Train with some seeds at once, and return a row of the table."""
    on_a_gpu = setup.device.type == "cuda"
    if on_a_gpu:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    crowd = Crowd()
    began = time.perf_counter()
    trials = setup.trials(recorder, seeds)
    works: Iterator[Turns[None]] = (trial.train() for trial in trials)
    if on_a_gpu:
        together((Lane(setup.device).carry(work) for work in works), crowd.has_room)
    else:
        together(works, lambda running: False)
    seconds = time.perf_counter() - began
    runs = [trial.stages.runs["short"] for trial in trials]
    images = sum(run.step * run.batch for run in runs)
    rows = runs[0].rows
    last = rows[-1].seconds - (rows[-2].seconds if len(rows) > 1 else 0.0)
    confirmed = sum(trial.looks.confirmed for trial in trials)
    recording = f"{recorder.seconds:.2f}" if isinstance(recorder, Timed) else ""
    memory = f"{torch.cuda.max_memory_reserved() / 2**30:.2f}" if on_a_gpu else ""
    cells = [
        f"{name} ({runs[0].shown})",
        f"{len(seeds)}, {crowd.most} at once",
        f"{seconds:.2f}",
        recording,
        f"{last:.2f}",
        f"{images / seconds:,.0f}",
        memory,
        f"{confirmed} of {len(seeds)}",
    ]
    return f"| {' | '.join(cells)} |"


def recorded(setup: Setup, path: Path, recorder: Recorder) -> str:
    """Say how a model's steps are taken, and how long the first of them took, with a recording of them."""
    setup = Setup(replay_of(path), setup.data, setup.stage, setup.device)
    bench = setup.bench(recorder)
    stages = Stages(bench, (), TARGET, 1, setup.device)
    with Lane(setup.device).entered() if setup.device.type == "cuda" else nullcontext():
        examined = stages.examine()
        state = stages.start()
        learned = [state[key].requires_grad_() for key in examined.learned]
        began = time.perf_counter()
        step = Step(bench, setup.stage, LOSSES[examined.kind], state, learned, rows=3, batch=setup.stage.batch)
        step.begin(torch.arange(3 * setup.stage.batch).view(3, -1), [0.01] * 3, 1, torch.Generator())
        prepared = prepare(step, recorder)
        step.tally.read()
    return f"{path.stem}: {prepared.shown}, {time.perf_counter() - began:.2f} s"


def benchmark(options: argparse.Namespace) -> None:
    say: Callable[[str], None] = lambda line: print(line, flush=True)  # noqa: E731
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here (use --device cpu)")
    torch.set_num_threads(1)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    say(f"{card}, CUDA {torch.version.cuda}, torch {torch.__version__}\n")
    stage = Stage(epochs=options.epochs)
    replay, data = replay_of(options.model), load()
    data = Data(data.training.first(options.images), data.held_out, data.test, data.about)
    for _ in range(2):
        say(whole(Setup(replay, data, stage, device), options.model, data if options.images < IMAGES else None))
    with device if device.type == "cuda" else nullcontext():
        setup = Setup(replay, data.to(device), stage, device)
        recorder_of: Callable[[], Recorder] = (lambda: Timed(device)) if device.type == "cuda" else StepByStep
        say("\n| steps | seeds | seconds | recording | last epoch | images a second | GiB | confirmed |")
        say("|---|---|---|---|---|---|---|---|")
        say(measured(setup, "a look at each", None, [1]))
        say(measured(setup, "a look at every 20th", StepByStep(), [1]))
        for count in options.seeds:
            say(measured(setup, "recorded", recorder_of(), range(1, count + 1)))
        say("")
        for path in PANEL[: options.models]:
            say(recorded(setup, path, recorder_of()))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", type=Path, default=REFERENCE)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 8, 64])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--models", type=int, default=len(PANEL))
    return parser.parse_args()


if __name__ == "__main__":
    benchmark(parse())
