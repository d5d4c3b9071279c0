"""The images: MNIST as it ships with the package, split, and made into what a model is fed."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

FILE = Path(__file__).parent.parent / "data" / "mnist.npz"
SHA256 = "39b9b1ffaa0ba4d8995a616551f0966941fe02a3fe79ba4a9db7373db16d53ad"
HELD_OUT = 5_000  # training images that are never learned from
SPLIT_SEED = 5  # the same images are held out for every submission and every seed

Normalise = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of each channel


class DataError(Exception):
    """The images are absent or not those that were shipped."""


@dataclass(frozen=True, slots=True)
class Images:
    """Images with their labels: `pixels` is uint8 of shape (N, C, H, W), `labels` is int64 of shape (N,)."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, index: Tensor) -> Images:
        return Images(self.pixels[index], self.labels[index])

    def first(self, count: int) -> Images:
        return Images(self.pixels[:count], self.labels[:count])

    def to(self, device: torch.device) -> Images:
        return Images(self.pixels.to(device), self.labels.to(device))

    def batches(self, size: int) -> Iterator[Images]:
        """Yield the images in order, the last batch with what is left."""
        for pixels, labels in zip(self.pixels.split(size), self.labels.split(size), strict=True):
            yield Images(pixels, labels)


@dataclass(frozen=True, slots=True)
class Data:
    """What a model learns from, what decides early, and what decides in the end."""

    training: Images
    held_out: Images
    test: Images

    def to(self, device: torch.device) -> Data:
        return Data(self.training.to(device), self.held_out.to(device), self.test.to(device))


def load(path: Path = FILE) -> Data:
    """Read the embedded MNIST: 55,000 training images, 5,000 held out, 10,000 test images.

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
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        training = _images(arrays["train_images"], arrays["train_labels"])
        test = _images(arrays["test_images"], arrays["test_labels"])
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(SPLIT_SEED), device="cpu")
    return Data(training.at(order[HELD_OUT:]), training.at(order[:HELD_OUT]), test)


def _images(pixels: np.ndarray, labels: np.ndarray) -> Images:
    return Images(torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(labels).long())


def scaled(pixels: Tensor) -> Tensor:
    """Return pixels as floats from 0 to 1."""
    return pixels.float().div_(255)


def normalised(images: Tensor, normalise: Normalise) -> Tensor:
    """Return images from 0 to 1 with the mean subtracted and divided by the standard deviation, channel by channel."""
    mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in normalise)
    return images.sub(mean).div_(std)


def moved(images: Tensor, rotate: float, shift: float, generator: torch.Generator) -> Tensor:
    """Return images from 0 to 1, each turned by up to `rotate` degrees and moved by up to `shift` pixels at random."""
    count, _, height, width = images.shape
    draws = torch.rand((3, count, 1, 1), generator=generator, device="cpu").to(images.device) * 2 - 1
    angle = draws[0] * math.radians(rotate)
    columns = torch.linspace(-1, 1, width, device=images.device) + draws[1] * (2 * shift / (width - 1))
    rows = torch.linspace(-1, 1, height, device=images.device).view(-1, 1) + draws[2] * (2 * shift / (height - 1))
    across = angle.cos() * columns - angle.sin() * rows
    down = angle.sin() * columns + angle.cos() * rows
    return functional.grid_sample(images, torch.stack((across, down), 3), align_corners=True)
