"""Time what confinement costs one submission: captures of a model by confined and by unconfined workers, in turn.

    python benchmarks/confinement.py [--runs 30] [MODEL]

Every row is a template with some layers, warm; a run captures the model once with each of them, so that a busy machine
slows all alike. `extra` is the median of the differences to the unconfined capture of the same run. Both workers of a
submission are in it. What bubblewrap costs, it costs at the template's start: the second table has that.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from grader.protocol import CaptureJob
from grader.sandbox import Captured, Template, capture
from grader.sandbox.control import LayerName

ROOT = Path(__file__).resolve().parents[1]
ROWS: dict[str, tuple[LayerName, ...]] = {
    "none": (),
    "limits": ("limits",),
    "privileges": ("privileges",),
    "landlock": ("landlock",),
    "seccomp": ("seccomp",),
    "all but bubblewrap": ("limits", "privileges", "landlock", "seccomp"),
    "all": ("limits", "privileges", "landlock", "seccomp", "bubblewrap"),
}


def milliseconds(template: Template, job: CaptureJob) -> float:
    """Return how long one capture takes; one that fails ends the benchmark."""
    started = time.perf_counter()
    outcome = capture(template, job, (4, 36), 60)
    elapsed = time.perf_counter() - started
    if not isinstance(outcome, Captured):
        sys.exit(f"the model was not captured: {outcome}")
    return 1000 * elapsed


def start_up(layers: Sequence[LayerName]) -> float:
    """Return the milliseconds until a template without libraries stands ready."""
    started = time.perf_counter()
    with Template.start(layers=layers, preload=(), roles={}) as template:
        template.ready()
        return 1000 * (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=ROOT / "reference_model" / "model.py")
    parser.add_argument("--runs", type=int, default=30, help="runs that count, after one that does not")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")

    job = CaptureJob({"model.py": options.model.read_bytes()}, "model.py", None, {}, (1, 28, 28), 10, 1)
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    with ExitStack() as stack:
        templates = {name: stack.enter_context(Template.start(layers=layers)) for name, layers in ROWS.items()}
        for _ in range(options.runs + 1):
            for name, template in templates.items():
                times[name].append(milliseconds(template, job))
        levels = {name: template.standing.level if template.standing else "" for name, template in templates.items()}
    counted = {name: of[1:] for name, of in times.items()}
    print(f"{'layers':20}  {'level':8}  {'capture, ms':>11}  {'extra, ms':>9}  {'most, ms':>8}")
    for name, of in counted.items():
        extra = [one - other for one, other in zip(of, counted["none"], strict=True)]
        print(f"{name:20}  {levels[name]:8}  {median(of):11.1f}  {median(extra):9.1f}  {max(extra):8.1f}")

    pairs = [(start_up(ROWS["all but bubblewrap"]), start_up(ROWS["all"])) for _ in range(options.runs + 1)][1:]
    print(f"\nstart of a template without libraries: {median(plain for plain, _ in pairs):.1f} ms")
    print(f"inside bubblewrap, extra: {median(inside - plain for plain, inside in pairs):.1f} ms")


if __name__ == "__main__":
    main()
