"""The forms in which a data set lies on a disk, and its four arrays in each of them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import BinaryIO, Literal

from grader.datasets.arrays import DAMAGED, Array, DatasetError, damaged, exactly, idx_array, npy_array

Form = Literal["npz", "idx", "cifar-binary"]
Files = Mapping[str, tuple[str, BinaryIO]]  # by role: the name in messages, and the open file

KEYS = ("train_images", "train_labels", "test_images", "test_labels")
ARCHIVE = "archive"

# The names that the files of MNIST and its relatives go by.
IDX_NAMES = {
    "train_images": "train-images-idx3-ubyte",
    "train_labels": "train-labels-idx1-ubyte",
    "test_images": "t10k-images-idx3-ubyte",
    "test_labels": "t10k-labels-idx1-ubyte",
}

# CIFAR-10 in its binary version: rows of a label and the three planes of an image. Source: Krizhevsky's page of it.
CIFAR_TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
CIFAR_TEST = ("test_batch.bin",)
CIFAR_SHAPE = (3, 32, 32)
CIFAR_PIXELS = 3 * 32 * 32
CIFAR_ROW = 1 + CIFAR_PIXELS


def arrays_of(form: Form, files: Files) -> dict[str, Array]:
    """Return the arrays of a data set by their keys; only headers are read.

    Raises:
        DatasetError: a file is not of its form.
    """
    return _READERS[form](files)


def _of_idx(files: Files) -> dict[str, Array]:
    return {key: idx_array(*files[key]) for key in KEYS}


def _of_npz(files: Files) -> dict[str, Array]:
    name, file = files[ARCHIVE]
    try:
        archive = zipfile.ZipFile(file)
        members = {info.filename: info for info in archive.infolist()}
    except DAMAGED:
        raise DatasetError(f"{name}: not an .npz archive, as numpy.savez writes it") from None
    absent = [key for key in KEYS if f"{key}.npy" not in members]
    if absent:
        held = ", ".join(sorted(member.removesuffix(".npy") for member in members if member.isprintable())[:10])
        raise DatasetError(f"{name}: it lacks {', '.join(absent)}, it holds {held[:200] or 'nothing'}")
    found = {}
    for key in KEYS:
        if members[f"{key}.npy"].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetError(f"{name}: {key} is compressed in another way than numpy's: use numpy.savez_compressed")
        try:
            member = archive.open(members[f"{key}.npy"])
        except DAMAGED as error:
            raise damaged(name, error) from None
        found[key] = npy_array(f"{name}: {key}", member)
    return found


def _of_cifar(files: Files) -> dict[str, Array]:
    found = {}
    for half, names in (("train", CIFAR_TRAINING), ("test", CIFAR_TEST)):
        parts = [files[name] for name in names]
        counts = [_rows(*part) for part in parts]
        name, total = parts[0][0], sum(counts)
        found[f"{half}_images"] = Array(name, (total, *CIFAR_SHAPE), "|u1", partial(_cifar_pixels, parts, counts))
        found[f"{half}_labels"] = Array(name, (total,), "|u1", partial(_cifar_labels, parts, counts))
    return found


def _rows(name: str, file: BinaryIO) -> int:
    size = file.seek(0, 2)
    if size % CIFAR_ROW:
        raise DatasetError(f"{name}: {size:,} bytes are no whole number of rows of {CIFAR_ROW:,} bytes")
    return size // CIFAR_ROW


def _cifar_labels(parts: Sequence[tuple[str, BinaryIO]], counts: Sequence[int]) -> bytearray:
    labels = bytearray()
    for (name, file), count in zip(parts, counts, strict=True):
        for row in range(count):
            file.seek(row * CIFAR_ROW)
            labels += exactly(file, 1, name)
    return labels


def _cifar_pixels(parts: Sequence[tuple[str, BinaryIO]], counts: Sequence[int]) -> bytearray:
    pixels = bytearray()
    for (name, file), count in zip(parts, counts, strict=True):
        for row in range(count):
            file.seek(row * CIFAR_ROW + 1)
            pixels += exactly(file, CIFAR_PIXELS, name)
    return pixels


_READERS: dict[Form, Callable[[Files], dict[str, Array]]] = {
    "npz": _of_npz,
    "idx": _of_idx,
    "cifar-binary": _of_cifar,
}
