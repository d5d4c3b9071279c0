"""A data set as torchvision reads it, written to stdout as an .npz archive: the whole of a process of its own."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any, NoReturn

import numpy as np

WAY_OUT = "give the data set as an .npz file instead (docs/data.md says how)"


def main(name: str, root: str) -> NoReturn:
    """Write the archive, or one line on stderr that says why there is none."""
    sys.tracebacklimit = 0
    output, sys.stdout = os.fdopen(os.dup(1), "wb"), sys.stderr  # what a library prints is no part of the archive
    try:
        archive = exported(name, root)
    except Unread as error:
        sys.exit(str(error))
    with output:
        output.write(archive)
    sys.exit(0)


class Unread(Exception):
    """torchvision did not read the data set; the message says why and what to do."""


def exported(name: str, root: str) -> bytes:
    """Return a data set as an .npz archive.

    Raises:
        Unread: torchvision can't be imported, or did not find the files.
    """
    try:
        datasets: Any = importlib.import_module("torchvision.datasets")
    except Exception as error:  # a build for another torch fails in its own ways
        raise Unread(f"torchvision can't be imported ({_first_line(error)}): {WAY_OUT}") from None
    arrays: dict[str, Any] = {}
    for half, train in (("train", True), ("test", False)):
        try:
            found = getattr(datasets, name)(root=root, train=train, download=False)
        except Exception as error:
            raise Unread(f"torchvision can't read it in {root} ({_first_line(error)}): {WAY_OUT}") from None
        arrays[f"{half}_images"] = np.asarray(found.data, dtype=np.uint8)
        arrays[f"{half}_labels"] = np.asarray(found.targets, dtype=np.int64)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
