"""A data set from the bytes of its files: decoded, compared with what the rules say of it, and measured."""

from __future__ import annotations

import hashlib
import io
from array import array

import torch
from torch import Tensor

from grader.datasets import Contents, DatasetError, Outline, arrays_of, contents
from grader.datasets.arrays import Array
from grader.datasets.contents import Shape
from grader.protocol import DataFiles, DataReport
from grader.training.data.images import Data, DataError, Images, Normalise, split

LEAST_DEVIATION = 1 / 255  # of a channel that is the same everywhere: it is shifted, and hardly scaled
DECIMALS = 4  # of a computed mean, as such numbers are written
PART = 1000  # images that are counted at a time


def opened(files: DataFiles, normalise: Normalise) -> Data:
    """Read the data set that came with a job; without numbers in `normalise` those of its training images are told.

    Raises:
        DataError: it could not be handed over, is damaged, or not what the rules say.
    """
    if files.problem:
        raise DataError(files.problem)
    given = {file.role: (file.name, io.BytesIO(file.data)) for file in files.files}
    try:
        found = contents(arrays_of(files.form, given), files.shape)
        training, test = images_of(found)
    except DatasetError as error:
        raise DataError(str(error)) from None
    outline = found.outline
    if (outline.shape, outline.classes) != (files.shape, files.classes):
        one, other = (f"{list(shape)} in {classes} classes" for shape, classes in (_of(outline), _of(files)))
        raise DataError(f"{files.title}: its images are {one}, the rules say {other}")
    sha256 = digest(training, test)
    if files.sha256 and sha256 != files.sha256:
        what = f"the SHA-256 of its contents is {sha256[:12]}…, expected {files.sha256[:12]}…"
        raise DataError(f"{files.title}: other images than those of that name, {what}: fetch it again")
    computed = not normalise[0]
    mean, std = measured(training.pixels) if computed else normalise
    learned, held_out = split(training)
    counts = (len(learned), len(held_out), len(test))
    about = DataReport(files.title, sha256, *counts, files.shape, files.classes, mean, std, computed)
    return Data(learned, held_out, test, about)


def images_of(found: Contents) -> tuple[Images, Images]:
    """Return the training and the test images. Raises DatasetError where their pixels can't be read."""
    training, test = (_images(found, *half) for half in (found.training, found.test))
    return training, test


def digest(training: Images, test: Images) -> str:
    """Return the SHA-256 of images and labels, whatever the files were that they came from.

    It is that of the training images, their labels, the test images, their labels: each a line with its shape, then its
    bytes in C order, images as (N, C, H, W) and labels as little-endian integers of 8 bytes.
    """
    found = hashlib.sha256()
    for part in (training.pixels, training.labels, test.pixels, test.labels):
        found.update(f"{' '.join(map(str, part.shape))}\n".encode())
        numbers = part.numpy()
        found.update(numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).data)
    return found.hexdigest()


def measured(pixels: Tensor) -> Normalise:
    """Return mean and standard deviation of each channel, of pixels from 0 to 1, from exact counts."""
    counts = torch.zeros((pixels.shape[1], 256), dtype=torch.int64, device="cpu")
    for part in pixels.split(PART):
        for channel in range(len(counts)):
            counts[channel] += torch.bincount(part[:, channel].flatten(), minlength=256)
    weights = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64, device="cpu") / 255
    means = weights @ values
    deviations = ((weights @ values.square()) - means.square()).clamp_min(LEAST_DEVIATION**2).sqrt()
    mean, std = (tuple(round(value, DECIMALS) for value in numbers.tolist()) for numbers in (means, deviations))
    return mean, std


def _images(found: Contents, images: Array, labels: array[int]) -> Images:
    pixels = torch.frombuffer(images.read(), dtype=torch.uint8).view(images.shape)
    if found.last:
        pixels = pixels.permute(0, 3, 1, 2).contiguous()
    return Images(pixels.view(-1, *found.outline.shape), torch.tensor(labels, dtype=torch.int64, device="cpu"))


def _of(what: Outline | DataFiles) -> tuple[Shape, int]:
    return what.shape, what.classes
