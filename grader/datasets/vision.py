"""Data sets that torchvision reads: in a process of its own that runs nothing else, from files that are there.

Some of these files are pickles, which nothing of ours loads; torchvision compares their digests first.
"""

from __future__ import annotations

import site
import subprocess
import sys
from pathlib import Path

from grader.datasets.arrays import DatasetError
from grader.datasets.contents import Outline

SECONDS = 300.0

# By the names of torchvision's classes; each takes `root`, `train` and `download`, and has `data` and `targets`. Those
# that may read a pickle without comparing its digest are not here; their IDX files can be read without torchvision.
TABLE = {
    "CIFAR10": Outline((3, 32, 32), 10, 50_000, 10_000),
    "CIFAR100": Outline((3, 32, 32), 100, 50_000, 10_000),
    "USPS": Outline((1, 16, 16), 10, 7_291, 2_007),
}

# Isolated from the environment and the current folder; ours and the user's packages come last.
_BOOTSTRAP = "import sys; sys.path += sys.argv[3:]; from grader.training.vision import main; main(*sys.argv[1:3])"


def packages() -> list[str]:
    """Return the folders that packages are imported from after those of the interpreter."""
    return [str(Path(__file__).absolute().parents[2]), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]


def exported(name: str, root: Path) -> memoryview:
    """Return a data set of torchvision as the bytes of an .npz archive.

    Raises:
        DatasetError: torchvision can't be imported, or does not find the files.
    """
    command = [sys.executable, "-I", "-c", _BOOTSTRAP, name, str(root.absolute()), *packages()]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DatasetError(f"{name}: torchvision had not read it after {SECONDS:g} s") from None
    except OSError as error:
        raise DatasetError(f"{name}: no process could be started for torchvision ({error.strerror})") from None
    if done.returncode != 0 or done.stdout[:2] != b"PK":
        told = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise DatasetError(f"{name}: {told[-1][:500] if told else f'torchvision ended with {done.returncode}'}")
    return memoryview(done.stdout)
