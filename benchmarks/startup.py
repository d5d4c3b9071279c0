"""Time a whole run of `s5-grade MODEL` as a multiple of `python -c "import torch"`.

    python benchmarks/startup.py [--runs 7] [MODEL]

The two commands run in turn, so that a busy machine slows both of a pair alike; the medians are of seconds and of each
pair's ratio. One pair beforehand fills the file cache and does not count.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def seconds(command: list[str]) -> float:
    """Run a command to its end and return its wall time; a command that fails ends the benchmark."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    elapsed = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return elapsed


def grader() -> str:
    """Return the path of the `s5-grade` that belongs to this interpreter."""
    found = shutil.which("s5-grade", path=str(Path(sys.executable).parent))
    return found or sys.exit("s5-grade is not installed beside this interpreter: pip install -e .")


def table(pairs: list[tuple[float, float]]) -> str:
    """Return the pairs of seconds, (import torch, s5-grade), with their ratios and medians, as lines of text."""
    rows = [(str(number), torch, grade, grade / torch) for number, (torch, grade) in enumerate(pairs, 1)]
    middle = (median(torch for torch, _ in pairs), median(grade for _, grade in pairs))
    rows.append(("median", *middle, median(grade / torch for torch, grade in pairs)))
    lines = [f"{name:>6}  {torch:14.2f}  {grade:11.2f}  {ratio:6.2f}" for name, torch, grade, ratio in rows]
    return "\n".join([f"{'run':>6}  {'import torch, s':>14}  {'s5-grade, s':>11}  {'ratio':>6}", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=ROOT / "reference_model" / "model.py")
    parser.add_argument("--runs", type=int, default=7, help="pairs of runs that count")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")

    baseline = [sys.executable, "-c", "import torch"]
    grade = [grader(), str(options.model)]
    pairs = [(seconds(baseline), seconds(grade)) for _ in range(options.runs + 1)]
    print(table(pairs[1:]))


if __name__ == "__main__":
    main()
