"""A class graded on this machine and on a cluster that loses a worker on the way comes to the same reports.

    python benchmarks/class_cluster.py [--count 60] [--workers 3] [--seed 1]

The same generated submissions (benchmarks/submissions.py) are graded by the engine of this machine, as many at a time
as there are workers, and by workers of a Dask cluster, each a process with one thread on this machine. When a third of
the results is there, one worker is killed with signal 9. Printed: the seconds of both, and how many reports differ; the
exit code is 1 where any does. Seconds say what a cluster costs, not what it gains: all of it runs on the same cores.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import submissions

from grader.classroom.cluster import Cluster
from grader.classroom.engine import Local
from grader.classroom.types import Course, Engine, Job
from grader.manifest import Submission
from grader.report import Report
from grader.rules import read_rules
from grader.settings import Settings

COURSE = Course(read_rules(None), Settings(timeout=20))
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def jobs(count: int, seed: int) -> Iterator[Job]:
    for name, data in submissions.generate(count, seed):
        yield Job(name, Submission(f"{name}/model.py", name, "model.py", {"model.py": data}))


def graded(engine: Engine, count: int, seed: int, victim: subprocess.Popen[bytes] | None = None) -> dict[str, Report]:
    """Grade the class; kill a process when a third of it is done."""
    found: dict[str, Report] = {}
    for done in engine.grade(jobs(count, seed)):
        found[done.key] = done.report
        if victim is not None and len(found) == count // 3:
            victim.send_signal(signal.SIGKILL)
    return found


def dask(stack: ExitStack, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a process of the cluster, which ends with the stack."""
    line = [sys.executable, "-m", "dask", *arguments, "--host", "127.0.0.1", "--no-dashboard"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(line, env=ONE_THREAD, stdout=log, stderr=log)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process


def benchmark(count: int, workers: int, seed: int) -> list[str]:
    """Return the names of the submissions whose reports differ."""
    began = time.perf_counter()
    with Local(COURSE, workers, "strict") as engine:
        here = graded(engine, count, seed)
    print(f"{count} submissions, {engine.shown}: {time.perf_counter() - began:.1f} s", flush=True)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        file = folder / "scheduler.json"
        dask(stack, folder, "scheduler", "--port", "0", "--scheduler-file", str(file))
        alone = ("worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", "--memory-limit", "0")
        started = [dask(stack, folder, *alone, "--local-directory", scratch) for _ in range(workers)]
        while not file.exists():
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        began = time.perf_counter()
        with Cluster(COURSE, address, "strict") as cluster:
            shown = cluster.shown
            there = graded(cluster, count, seed, started[0])
        print(f"{count} submissions, {shown}, one killed: {time.perf_counter() - began:.1f} s", flush=True)
    differing = [name for name in here if here[name] != there.get(name)]
    print(f"{len(there)} reports, {len(differing)} differ")
    return differing


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(bool(benchmark(given.count, given.workers, given.seed)))
