"""What grading one submission without training costs on a warm template: CPU milliseconds, by the role of the process.

    python benchmarks/static_path.py [MODEL] [--runs 30]

The real path, processes and confinement included. Each run is one submission, graded as `s5-grade class` grades it;
`wall` is its time on the clock. The last rows compare with one whole `s5-grade MODEL`, which starts a process, a
template and all. CPU time is what the kernel's scheduler counts (`/proc/PID/schedstat`, nanoseconds, Linux alone): of
a child when it has ended, of the front and the template as a difference. A child is waited for here until it has ended,
so `wall` has more in it than it costs a class.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from cpu_time import Watch

from grader.grade import grade_in
from grader.rules import read_rules
from grader.sandbox import Template
from grader.sandbox.control import Errand
from grader.sandbox.template import Child
from grader.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
WARMING = 3  # runs that don't count: by then a template has put all that it can into large pages
END_SECONDS = 5.0
ROLES = ("front", "template", "worker traced", "worker untraced", "executor")


class Measured(Template):
    """A template that notes what each of its children took, in milliseconds of CPU time."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.spent: dict[str, float] = defaultdict(float)
        self.watching = 0.0  # milliseconds of this process that the measuring takes

    @contextmanager
    def child(self, errand: Errand) -> Iterator[Child]:
        with super().child(errand) as child:
            yield child
            role = errand.role
            if role == "worker":  # the second one that is started is the first that is left
                role = "worker traced" if "worker untraced" in self.spent else "worker untraced"
            began = time.process_time()
            self.spent[role] += at_end(child._pid or 0)
            self.watching += 1000 * (time.process_time() - began)


def at_end(pid: int) -> float:
    """Wait until a process has ended, and return its CPU time; it is not reaped by then."""
    deadline = time.monotonic() + END_SECONDS
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        if time.monotonic() > deadline:
            sys.exit(f"process {pid} has not ended")
        time.sleep(0.001)
    return cpu(pid)


def cpu(pid: int) -> float:
    """Return the CPU time of a process of one thread in milliseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def process_of(template: Template) -> int:
    """Return the template's process: the parent of its children, whatever was put around it."""
    with Template.child(template, Errand("worker", 60.0)) as child:
        return int(Path(f"/proc/{child._pid}/stat").read_text().rpartition(")")[2].split()[1])


def whole(model: Path) -> tuple[float, float]:
    """Return wall and CPU milliseconds of one `s5-grade MODEL`, its template and children included."""
    with Watch() as watch:
        subprocess.run([sys.executable, "-m", "grader.cli", str(model)], stdout=subprocess.DEVNULL, check=False)
    return 1000 * watch.seconds, 1000 * watch.cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", nargs="?", type=Path, default=ROOT / "reference_model" / "model.py")
    parser.add_argument("--runs", type=int, default=30, help="runs that count")
    options = parser.parse_args()
    course, settings = read_rules(None), Settings()
    rows: dict[str, list[float]] = defaultdict(list)
    before = os.getloadavg()[0]
    with Measured.start(many=True) as template:
        assert isinstance(template, Measured)
        template.ready()
        parent = process_of(template)
        for number in range(options.runs + WARMING):
            template.spent.clear()
            template.watching = 0.0
            ours, theirs, started = time.process_time(), cpu(parent), time.perf_counter()
            report = grade_in(template, options.model, course, settings)
            took = {
                "front": 1000 * (time.process_time() - ours) - template.watching,
                "template": cpu(parent) - theirs,
                "wall": 1000 * (time.perf_counter() - started),
                **template.spent,
            }
            if number >= WARMING:
                for name, milliseconds in took.items():
                    rows[name].append(milliseconds)
    rows["all processes"] = [sum(of) for of in zip(*[rows[role] for role in ROLES], strict=True)]
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} after"
    print(f"{options.model.name}: {report.verdict}, {options.runs} runs, {load}")
    print(f"{'CPU, ms':16}{'min':>8}{'median':>8}{'max':>8}")
    for name in (*ROLES, "all processes", "wall"):
        print(f"{name:16}{min(rows[name]):8.1f}{median(rows[name]):8.1f}{max(rows[name]):8.1f}")
    wall, spent = whole(options.model)
    print(f"one whole s5-grade: {spent:.0f} ms CPU, {wall:.0f} ms wall")
    print(f"that is {spent / median(rows['all processes']):.1f} submissions on a warm template")


if __name__ == "__main__":
    main()
