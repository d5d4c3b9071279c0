"""What four arrays say of a data set, with everything about them checked; pixels are read on demand."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from grader.datasets.arrays import Array, DatasetError, integers
from grader.datasets.forms import KEYS

PIXELS_CAP = 256 * 1024 * 1024  # bytes of all images
IMAGES_CAP = 2_000_000
CLASSES_CAP = 10_000
EXTENTS = (2, 1024)  # of an image, in pixels
CHANNELS = (1, 2, 3, 4)
LEAST_TRAINING = 20  # images: a part of them is held out

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Outline:
    """A data set in numbers: the shape (C, H, W) of an image, the classes, and how many images there are."""

    shape: Shape
    classes: int
    training: int
    test: int


@dataclass(frozen=True, slots=True)
class Contents:
    """A data set whose labels were read. `last` says that the channels of its images come last."""

    outline: Outline
    training: tuple[Array, array[int]]
    test: tuple[Array, array[int]]
    last: bool


def contents(arrays: Mapping[str, Array], shape: Shape | None = None) -> Contents:
    """Read the labels of a data set and check all that can be checked without its pixels.

    `shape` is what the images are expected to be; it decides where their channels stand, where that is open.

    Raises:
        DatasetError: the arrays are no data set, or too large a one.
    """
    images, labels, test_images, test_labels = (arrays[key] for key in KEYS)
    for found in (images, test_images):
        if found.dtype != "|u1":
            raise DatasetError(f"{found.name}: its elements are of type {found.dtype!r}, expected uint8 pixels")
    _check_numbers(images, labels, "training", LEAST_TRAINING)
    _check_numbers(test_images, test_labels, "test", 1)
    if images.shape[1:] != test_images.shape[1:]:
        one, other = (_times(found.shape[1:]) for found in (images, test_images))
        raise DatasetError(f"{test_images.name}: its images are {other}, those of {images.name} {one}")
    found_shape, last = _layout(images, shape)
    _check_extents(images, found_shape)
    pixels = (images.shape[0] + test_images.shape[0]) * found_shape[0] * found_shape[1] * found_shape[2]
    if pixels > PIXELS_CAP:
        limit = f"{PIXELS_CAP // 1024**2} MiB"
        raise DatasetError(f"{images.name}: {pixels / 1024**2:,.0f} MiB of pixels, the limit is {limit}: use a part")
    known, tested = integers(labels), integers(test_labels)
    classes = _classes(labels, known)
    strange = [label for label in (min(tested), max(tested)) if not 0 <= label < classes]
    if strange:
        known_ones = f"those of the training images are 0 to {classes - 1}"
        raise DatasetError(f"{test_labels.name}: the label {strange[0]}, {known_ones}")
    outline = Outline(found_shape, classes, images.shape[0], test_images.shape[0])
    return Contents(outline, (images, known), (test_images, tested), last)


def _check_numbers(images: Array, labels: Array, kind: str, least: int) -> None:
    if len(images.shape) not in (3, 4):
        expected = "(N, H, W), (N, H, W, C) or (N, C, H, W)"
        raise DatasetError(f"{images.name}: an array of shape {images.shape}, expected {expected}")
    if len(labels.shape) != 1:
        raise DatasetError(f"{labels.name}: an array of shape {labels.shape}, expected one label an image, (N,)")
    if images.shape[0] != labels.shape[0]:
        raise DatasetError(f"{labels.name}: {labels.shape[0]:,} labels for {images.shape[0]:,} images")
    if not least <= images.shape[0] <= IMAGES_CAP:
        bounds = f"at least {least}" if images.shape[0] < least else f"at most {IMAGES_CAP:,}"
        raise DatasetError(f"{images.name}: {images.shape[0]:,} {kind} images, expected {bounds}")


def _layout(images: Array, shape: Shape | None) -> tuple[Shape, bool]:
    """Return the shape (C, H, W) of an image, and whether its channels come last."""
    if len(images.shape) == 3:
        return (1, images.shape[1], images.shape[2]), False
    one, two, three = images.shape[1:]
    choices: list[tuple[Shape, bool]] = []
    if one in CHANNELS:
        choices.append(((one, two, three), False))
    if three in CHANNELS:
        choices.append(((three, one, two), True))
    fitting = [choice for choice in choices if choice[0] == shape] or choices
    if not fitting:
        raise DatasetError(f"{images.name}: images of {_times((one, two, three))}, neither end is 1 to 4 channels")
    if len(fitting) > 1:
        what = f"images of {_times((one, two, three))}, whose channels could be at either end"
        raise DatasetError(f"{images.name}: {what}: give the input shape")
    return fitting[0]


def _check_extents(images: Array, shape: Shape) -> None:
    low, high = EXTENTS
    if not all(low <= extent <= high for extent in shape[1:]):
        found = _times(shape[1:])
        raise DatasetError(f"{images.name}: images of {found} pixels, expected {low} to {high:,} on each side")


def _classes(labels: Array, numbers: array[int]) -> int:
    low, high = min(numbers), max(numbers)
    if low < 0:
        raise DatasetError(f"{labels.name}: the label {low}, expected classes from 0 up")
    if not 2 <= high + 1 <= CLASSES_CAP:
        raise DatasetError(f"{labels.name}: labels up to {high:,}, expected 2 to {CLASSES_CAP:,} classes from 0 up")
    return high + 1


def _times(extents: tuple[int, ...]) -> str:
    return "×".join(map(str, extents))
