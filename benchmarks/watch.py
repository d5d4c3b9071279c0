"""Time from a save to the whole report on the screen of `s5-grade --watch`, in milliseconds.

    python benchmarks/watch.py [--saves 10]

One process watches one file. Each model is saved again and again, as an editor does it (another file takes its place),
each time with another line at the end, so that it is graded each time. The time ends when the last line of the report
has come out of the process. The yardstick in the same run is `python -c "import torch"`: what every start from
nothing pays before it begins.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "reference_model" / "model.py"
FIRST_TRY = ROOT / "examples" / "first_try.py"
LAST_LINE = re.compile(rb"( points|was not graded)\.\n$")


def models() -> dict[str, bytes]:
    """Return what is saved, by name: models as they are, and in the middle of being worked on."""
    first_try = FIRST_TRY.read_bytes()
    return {
        "reference model": REFERENCE.read_bytes(),
        "first try": first_try,
        "first try with dropout": first_try.replace(b"nn.Dropout(0)", b"nn.Dropout(0.05)"),
        "first try, a bracket missing": first_try.replace(b"super().__init__()", b"super().__init__("),
    }


@contextmanager
def watching(path: Path) -> Iterator[IO[bytes]]:
    """Watch a file, and give what comes out of the process."""
    command = [sys.executable, "-m", "grader.cli", "--watch", "--format", "text", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout
        process.send_signal(signal.SIGINT)


def wait_for_report(output: IO[bytes]) -> None:
    for line in output:
        if LAST_LINE.search(line):
            return
    sys.exit("the watching process has ended")


def save(path: Path, data: bytes) -> None:
    beside = path.with_name(".saving")
    beside.write_bytes(data)
    beside.replace(path)


def milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def import_torch() -> None:
    subprocess.run([sys.executable, "-c", "import torch"], check=True)


def benchmark(saves: int) -> dict[str, list[float]]:
    """Return the milliseconds of each save, by what was saved, and those of the yardstick."""
    import_torch()  # fills the file cache
    times = {"import torch": [milliseconds(import_torch) for _ in range(3)]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.py")
        path.write_bytes(REFERENCE.read_bytes())
        with watching(path) as output:
            wait_for_report(output)
            for name, data in models().items():
                times[name] = []
                for number in range(saves + 1):  # the first of each does not count
                    time.sleep(0.1 + 0.01 * (number % 5))  # at no fixed moment between two looks

                    def saved(data: bytes = data, number: int = number) -> None:
                        save(path, data + b"\n# %d\n" % number)
                        wait_for_report(output)

                    times[name].append(milliseconds(saved))
                del times[name][0]
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--saves", type=int, default=10, help="of each model, that count")
    options = parser.parse_args()
    if options.saves < 1:
        parser.error("--saves must be at least 1")
    times = benchmark(options.saves)
    yardstick = median(times["import torch"])
    print(f"{options.saves} saves each, milliseconds{'':8} min  median     max  median / import torch")
    for name, row in times.items():
        print(f"{name:32}{min(row):8.0f}{median(row):8.0f}{max(row):8.0f}{median(row) / yardstick:23.2f}")


if __name__ == "__main__":
    main()
