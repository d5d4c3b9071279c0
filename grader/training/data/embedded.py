"""MNIST as it ships with the package."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from grader.datasets import KNOWN, DatasetError, arrays_of, contents
from grader.protocol import DataReport
from grader.training.data.images import Data, DataError, Normalise, split
from grader.training.data.opened import images_of

FILE = Path(__file__).parents[2] / "data" / "mnist.npz"
SHA256 = "39b9b1ffaa0ba4d8995a616551f0966941fe02a3fe79ba4a9db7373db16d53ad"
MNIST = KNOWN["mnist"]
NORMALISE = (MNIST.mean, MNIST.std)


def load(path: Path = FILE, normalise: Normalise = NORMALISE) -> Data:
    """Read the embedded MNIST: 55,000 training images, 5,000 held out, 10,000 test images.

    `normalise` is what the report tells of them.

    Raises:
        DataError: the file is absent or has another digest than the one that was shipped.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise DataError(f"{path.name}, the embedded MNIST, can't be read ({why}): install s5-grade again") from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        message = f"{path.name}, the embedded MNIST, is damaged: its SHA-256 is {digest[:12]}…, expected {SHA256[:12]}…"
        raise DataError(f"{message}: install s5-grade again")
    try:
        found = contents(arrays_of("npz", {"archive": (path.name, io.BytesIO(data))}), MNIST.shape)
        training, test = images_of(found)
    except DatasetError as error:
        raise DataError(str(error)) from None
    learned, held_out = split(training)
    mean, std = normalise
    counts = (len(learned), len(held_out), len(test))
    return Data(learned, held_out, test, DataReport(MNIST.title, MNIST.sha256, *counts, MNIST.shape, 10, mean, std))
