"""A run over a class that is killed again and again comes to the same gradebook as one that nobody disturbs.

    python benchmarks/class_kill.py [--kills 200] [--count 60] [--seed 1]

A generated class is graded once undisturbed. Then runs over it are killed with signal 9 at random moments and begun
again, each time with what the one before has left; when a gradebook is complete, an empty one takes its place, until so
many runs were killed. After each kill: every result that was in the gradebook before is still there, with the time at
which it was made (nothing lost, nothing graded twice), and no process of the run is left. Each completed gradebook has
the same grades as the undisturbed one, but for seconds and times. The exit code is 1 where anything else was found.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import submissions
from cpu_time import Process, descendants, living

PROGRAM = Path(sys.executable).with_name("s5-grade")
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LONGEST = 1.2  # of an undisturbed run: a kill may also come after its end
GONE_SECONDS = 10.0  # that the processes of a killed run may take to end
UNCOUNTED = ("seconds", "submitted", "path")  # what two runs need not agree on


def command(folder: Path, book: Path, table: Path) -> list[str]:
    return [str(PROGRAM), "class", str(folder), "--gradebook", str(book), "--jsonl", str(table), "--timeout", "20"]


def start(folder: Path, book: Path, table: Path) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        command(folder, book, table), env=ONE_THREAD, stdout=quiet, stderr=quiet, start_new_session=True
    )


def grades(table: Path) -> list[dict[str, Any]]:
    """Return the rows of a gradebook without what differs between runs."""
    rows = [json.loads(line) for line in table.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in UNCOUNTED} for row in rows]


def results(book: Path) -> dict[str, str]:
    """Return when each result was made, by its key; what was committed is there whatever happened since."""
    if not book.exists():
        return {}
    with closing(sqlite3.connect(book)) as connection:
        try:
            return dict(connection.execute("SELECT key, recorded FROM results"))
        except sqlite3.OperationalError:  # killed before there was a table
            return {}


def kill(process: subprocess.Popen[bytes]) -> set[Process]:
    """Kill a run, and return the processes that it had: it is stopped first, so that it starts no other meanwhile."""
    process.send_signal(signal.SIGSTOP)
    found = set(descendants())
    process.kill()
    process.wait()
    return found


def left(processes: set[Process]) -> set[Process]:
    """Return the processes that are still there some seconds later."""
    deadline = time.monotonic() + GONE_SECONDS
    while (found := processes & living()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def lost(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the keys of results that are gone, or were made again."""
    return [key for key, made in before.items() if after.get(key) != made]


def benchmark(kills: int, count: int, seed: int) -> list[str]:
    """Return what went wrong."""
    chance = random.Random(seed)
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder, table = Path(scratch, "submissions"), Path(scratch, "grades.jsonl")
        submissions.write(folder, count, seed)
        began = time.monotonic()
        start(folder, Path(scratch, "undisturbed.sqlite"), table).wait()
        undisturbed, seconds = grades(table), time.monotonic() - began
        print(f"{count} submissions, undisturbed: {seconds:.1f} s", flush=True)
        killed = completed = 0
        while killed < kills:
            book = Path(scratch, f"book{completed}.sqlite")
            before = results(book)
            process = start(folder, book, table)
            try:
                process.wait(chance.uniform(0, LONGEST * seconds))
            except subprocess.TimeoutExpired:
                stayed = left(kill(process))
                killed += 1
                if stayed:
                    faults.append(f"kill {killed}: processes stayed: {sorted(stayed)}")
            if gone := lost(before, results(book)):
                faults.append(f"kill {killed}: {len(gone)} results lost or made twice")
            if process.returncode != -signal.SIGKILL:
                completed += 1
                if grades(table) != undisturbed:
                    faults.append(f"gradebook {completed} differs from the undisturbed one")
            if process.returncode == -signal.SIGKILL and killed % 10 == 0:
                print(f"{killed} kills, {completed} gradebooks completed, {len(faults)} faults", flush=True)
    print(f"{killed} kills, {completed} gradebooks completed, each the same as the undisturbed one: {not faults}")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = benchmark(given.kills, given.count, given.seed)
    print("\n".join(found))
    sys.exit(bool(found))
