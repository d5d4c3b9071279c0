"""Time of capture and checks in a process that has imported everything, in milliseconds.

    python benchmarks/warm.py [MODEL] [--runs 20]

One process does what worker and executor do, without the forks: load the submission, capture its graph, run it once
untraced, decode, prove, observe, and make the five checks. The yardstick in the same run is one plain forward of the
model in each mode.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import msgspec
import torch

from grader import executor
from grader.pictures import noise
from grader.protocol import CaptureJob, CheckRequest, GradeJob, Probe
from grader.worker import capture, environment, main
from grader.worker.load import load

CHECKS = (
    CheckRequest("parameters", {"below": 20_000}),
    *(CheckRequest(check) for check in ("batch-norm", "dropout", "global-average-pool", "linear", "output")),
)
PROBE = Probe(7, (4, 36))


class Answers:
    """A channel that asks what the trusted side asks."""

    def __init__(self, *questions: bytes) -> None:
        self.questions = list(questions)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def receive(self, cap: int) -> bytes | None:
        return self.questions.pop(0) if self.questions else None


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def benchmark(path: Path, runs: int) -> None:
    torch.set_num_threads(1)
    environment.prepare()
    job = CaptureJob({path.name: path.read_bytes()}, path.name, None, {}, (1, 28, 28), 10, 1)
    plain = Answers(msgspec.msgpack.encode(PROBE))
    main.run_plain(job, plain)
    untraced = plain.sent[-1][1:]
    model = load(job).model

    def captured() -> bytes:
        return main.traced(job)

    def checked(data: bytes) -> None:
        grade_job = GradeJob(data, untraced, PROBE, (1, 28, 28), 10, ((0.1307,), (0.3081,)), CHECKS)
        executor.grade(grade_job, lambda progress: None)

    def forwards() -> None:
        for mode in capture.MODES:
            capture.forward(model, mode, noise(3, (1, 28, 28), 1), 1, job)

    data = captured()
    checked(data)
    rows = {
        "two plain forwards": [milliseconds(forwards) for _ in range(runs)],
        "load and capture": [milliseconds(captured) for _ in range(runs)],
        "decode, prove, check": [milliseconds(lambda: checked(data)) for _ in range(runs)],
    }
    rows["capture and checks"] = [
        a + b for a, b in zip(rows["load and capture"], rows["decode, prove, check"], strict=True)
    ]
    print(f"{path.name}, {runs} runs, milliseconds{'':8} min  median     max")
    for name, times in rows.items():
        print(f"{name:40}{min(times):7.1f} {statistics.median(times):7.1f} {max(times):7.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=Path("reference_model/model.py"))
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    if not options.model.exists():
        sys.exit(f"{options.model}: no such file")
    benchmark(options.model, options.runs)
