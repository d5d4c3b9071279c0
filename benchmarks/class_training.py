"""A class that is trained as well: how full the cores are, and the time against the sum of single runs.

    python benchmarks/class_training.py [--count 20] [--jobs 2] [--seed 1] [--target 98] [--no-single]

`count` generated submissions that keep all rules are graded by one `s5-grade class --train`. Then each is graded by an
`s5-grade FILE --train` of its own, one after the other. Printed: both times, the CPU time of the class as a share of
what the cores had, and how many were confirmed. The target is lower than the assignment's: most of these models reach
it in the short stage, and what is measured is the engine, not how long they take to learn the rest.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import class_rate
import submissions
import yaml

RULES = Path(__file__).resolve().parents[1] / "rules.yaml"


def write(folder: Path, count: int, seed: int) -> list[Path]:
    """Write submissions that keep all rules; return their files."""
    chance = random.Random(seed)
    files = []
    for number in range(count):
        file = folder / f"student{number:02}" / "model.py"
        file.parent.mkdir(parents=True)
        file.write_text(f'"""Number {number}."""\n\n{submissions.good(chance)}')
        files.append(file)
    return files


def rules_for(target: float) -> str:
    """Return the rules of the assignment with another target, in percent."""
    document = yaml.safe_load(RULES.read_text())
    (accuracy,) = (check for rule in document["rules"] for check in rule["checks"] if "accuracy" in check)
    accuracy["accuracy"]["target"] = target
    return yaml.safe_dump(document)


def benchmark(count: int, jobs: int, seed: int, target: float, single: bool) -> None:
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        folder, rules = Path(scratch, "submissions"), Path(scratch, "rules.yaml")
        files = write(folder, count, seed)
        rules.write_text(rules_for(target))
        seconds, watched, verdicts = class_rate.class_run(folder, jobs, "--train", "--rules", str(rules))
        share = watched.cpu / (seconds * cores)
        print(f"{count} submissions trained, {jobs} at a time: {seconds:.0f} s, {seconds / count:.1f} s each")
        print(f"CPU time {watched.cpu:.0f} s, {share:.0%} of {cores} cores; load {os.getloadavg()[0]:.1f}")
        print("verdicts: " + ", ".join(f"{number:,} {verdict}" for verdict, number in sorted(verdicts.items())))
        print(f"peak {max(watched.memory, default=0):.0f} MiB")
        if single:
            began = time.perf_counter()
            for file in files:
                command = [str(class_rate.PROGRAM), str(file), "--train", "--rules", str(rules), "--format", "json"]
                subprocess.run(command, env=class_rate.ONE_THREAD, capture_output=True, check=False)
            alone = time.perf_counter() - began
            print(f"one after the other: {alone:.0f} s; the class takes {seconds / alone:.0%} of that")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", type=float, default=98.0)
    parser.add_argument("--single", action=argparse.BooleanOptionalAction, default=True)
    given = parser.parse_args()
    benchmark(given.count, given.jobs, given.seed, given.target, given.single)
