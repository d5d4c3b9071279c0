"""How fast a class is graded, how much memory that takes, and whether both stay the same as it grows.

    python benchmarks/class_rate.py [--count 1000] [--sample 20] [--jobs 2] [--seed 1]

`count` generated submissions (benchmarks/submissions.py: good, failing, broken and hostile mixed) are graded by one
`s5-grade class`, static rules only. The yardstick in the same run: a `sample` of the same files, each by an `s5-grade
FILE` of its own, as many at a time. Printed: total time, rate, CPU time, that of a submission and the memory of all
processes together (proportional set size, which counts shared pages once) in each tenth of the run, and the ratio of
the rates. CPU time is that of the front, the template and all that it has waited for, as last seen within half a second
of the end; it shows growth where a busy machine's clock can't.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import submissions
from cpu_time import descendants

PROGRAM = Path(sys.executable).with_name("s5-grade")
LOOK_SECONDS = 0.5
MIB = 1024 * 1024
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass
class Watched:
    """What this process has started, while it grades into a gradebook.

    Look by look: the memory of it all in MiB, its CPU seconds so far, and how many results the gradebook has.
    """

    book: Path
    memory: list[float] = field(default_factory=list)
    cpus: list[float] = field(default_factory=list)
    results: list[int] = field(default_factory=list)

    def until(self, ended: threading.Event) -> None:
        while not ended.wait(LOOK_SECONDS):
            members = [pid for pid, _ in descendants()]
            self.memory.append(sum(map(proportional, members)) / MIB)
            self.cpus.append(max([*self.cpus[-1:], sum(map(cpu_seconds, members))]))  # one may end between two looks
            self.results.append(count_of(self.book))

    @property
    def cpu(self) -> float:
        """CPU seconds in all."""
        return self.cpus[-1] if self.cpus else 0.0

    def memories(self) -> list[float]:
        """Return the median memory of each tenth of the run, in MiB."""
        return [statistics.median(self.memory[start:end]) for start, end in tenths(len(self.memory))]

    def costs(self) -> list[float]:
        """Return the CPU milliseconds of a submission in each tenth of the run."""
        ends = [(start, end - 1) for start, end in tenths(len(self.cpus))]
        return [
            1000 * (self.cpus[end] - self.cpus[start]) / (self.results[end] - self.results[start])
            for start, end in ends
            if self.results[end] > self.results[start]
        ]


def tenths(count: int) -> list[tuple[int, int]]:
    """Return where each tenth of so many looks begins and ends, without those that are empty."""
    return [(start, end) for start, end in pairwise(count * tenth // 10 for tenth in range(11)) if end > start]


def count_of(book: Path) -> int:
    """Return how many results a gradebook has; 0 while there is none."""
    try:
        with closing(sqlite3.connect(f"file:{book}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def proportional(pid: int) -> int:
    """Return the proportional set size of a process in bytes, 0 where it is gone or nobody may look."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(row.split()[1]) * 1024 for row in rows if row.startswith("Pss:"))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of those that it has waited for; see man 5 proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def class_run(folder: Path, jobs: int, *options: str) -> tuple[float, Watched, Counter[str]]:
    """Grade a class; return the seconds, what was watched, and how many of each verdict there are."""
    book, table = folder.parent / "gradebook.sqlite", folder.parent / "grades.jsonl"
    command = [str(PROGRAM), "class", str(folder), "--gradebook", str(book), "--jobs", str(jobs), "--jsonl", str(table)]
    began = time.perf_counter()
    process = subprocess.Popen([*command, *options], env=ONE_THREAD, stdout=subprocess.DEVNULL)
    watched, ended = Watched(book), threading.Event()
    watcher = threading.Thread(target=watched.until, args=(ended,))
    watcher.start()
    process.wait()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    verdicts = Counter(json.loads(line)["verdict"] for line in table.read_text().splitlines())
    return seconds, watched, verdicts


def one_by_one(files: list[Path], jobs: int) -> float:
    """Return how many submissions a second are graded by a process each, so many at a time."""

    def single(file: Path) -> None:
        command = [str(PROGRAM), str(file), "--format", "json", "--sandbox", "strict"]
        subprocess.run(command, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    began = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(single, files))
    return len(files) / (time.perf_counter() - began)


def benchmark(count: int, sample: int, jobs: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "submissions")
        submissions.write(folder, count, seed)
        seconds, watched, verdicts = class_run(folder, jobs)
        files = sorted(folder.glob("*/model.py"))
        alone = one_by_one(files[:: max(1, count // sample)][:sample], jobs) if sample else 0.0
    rate, cpu = count / seconds, watched.cpu
    print(f"{count:,} submissions in {seconds:.1f} s, {jobs} at a time: {rate:.1f} a second")
    print(f"each {1000 * seconds / count:.1f} ms, CPU time {1000 * cpu / count:.1f} ms, load {os.getloadavg()[0]:.1f}")
    print("verdicts: " + ", ".join(f"{number:,} {verdict}" for verdict, number in sorted(verdicts.items())))
    print("CPU time of each in each tenth of the run, ms: " + " ".join(f"{cost:.0f}" for cost in watched.costs()))
    print("memory in each tenth of the run, MiB: " + " ".join(f"{used:.0f}" for used in watched.memories()))
    print(f"peak {max(watched.memory, default=0):.0f} MiB")
    if sample:
        print(f"a process each, {jobs} at a time: {alone:.2f} a second; the class is {rate / alone:.1f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--sample", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    benchmark(given.count, given.sample, given.jobs, given.seed)
