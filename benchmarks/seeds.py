"""How the reference model fares with many seeds: which stage confirms it, and with how many errors.

    python benchmarks/seeds.py [MODEL] [--seeds 20] [--results FILE]

Each seed is one training as `s5-grade MODEL --train --seed N` does it, in processes of one template. What ends is
written at once, a line of JSON, to `--results`; seeds that stand there are not trained again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

from grader.grade import grade_in
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings

HERE = Path(__file__).resolve().parent


def row_of(template: Template, path: Path, seed: int) -> dict[str, Any]:
    training = grade_in(template, path, read_rules(), Settings(train=True, seed=seed)).training
    if training is None:
        sys.exit(f"{path} cannot be trained: s5-grade {path}")
    stage = training.curve[-1].stage if training.curve else ""
    return {
        "seed": seed,
        "outcome": training.outcome,
        "stage": stage,
        "errors": training.errors,
        "epochs": training.epochs,
        "seconds": round(training.seconds, 1),
    }


def benchmark(path: Path, seeds: int, results: Path) -> None:
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    rows = {row["seed"]: row for row in map(json.loads, lines)}
    with Template.start(sandbox="auto", gpu=False) as template:
        for seed in sorted({*range(1, seeds + 1)} - {*rows}):
            rows[seed] = row_of(template, path, seed)
            with results.open("a", encoding="utf-8") as file:
                print(json.dumps(rows[seed]), file=file)
    errors = [row["errors"] for row in rows.values()]
    short = [row for row in rows.values() if row["outcome"] == "confirmed" and row["stage"] == "short"]
    confirmed = [row for row in rows.values() if row["outcome"] == "confirmed"]
    print(f"{path.name}: {len(confirmed)} of {len(rows)} confirmed, {len(short)} in the short stage")
    accuracies = [100 - number / 100 for number in errors]
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
    print(f"test accuracy: mean {mean:.3f} %, standard deviation {spread:.3f} points, worst {min(accuracies):.2f} %")
    seconds = sorted(row["seconds"] for row in rows.values())
    print(f"seconds: least {seconds[0]}, median {statistics.median(seconds)}, most {seconds[-1]}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = HERE.parent / "reference_model" / "model.py"
    parser.add_argument("model", nargs="?", type=Path, default=model)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--results", type=Path, default=HERE / "results" / "seeds.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    options = parse()
    benchmark(options.model, options.seeds, options.results)
