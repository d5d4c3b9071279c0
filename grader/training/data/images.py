"""Images with their labels in memory, split for training, and what a model is fed of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from grader.protocol import DataReport

HELD_OUT = 5_000  # training images that are never learned from, of a small data set a tenth
SPLIT_SEED = 5  # the same images are held out for every submission and every seed

Normalise = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of each channel


class DataError(Exception):
    """The images are absent, or not those that were asked for."""


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
    """What a model learns from, what decides early, and what decides in the end; `about` is what a report tells."""

    training: Images
    held_out: Images
    test: Images
    about: DataReport | None = None

    def to(self, device: torch.device) -> Data:
        return Data(self.training.to(device), self.held_out.to(device), self.test.to(device), self.about)

    def normalise(self, given: Normalise) -> Normalise:
        """Return the mean and the deviation of each channel: those given, or where there are none the data's own."""
        return given if given[0] or self.about is None else (self.about.mean, self.about.std)


def split(training: Images) -> tuple[Images, Images]:
    """Return the images to learn from, and those that are held out."""
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(SPLIT_SEED), device="cpu")
    count = min(HELD_OUT, len(training) // 10)
    return training.at(order[count:]), training.at(order[:count])


def scaled(pixels: Tensor) -> Tensor:
    """Return pixels as floats from 0 to 1."""
    return pixels.float().div_(255)


def normalised(images: Tensor, normalise: Normalise) -> Tensor:
    """Return images from 0 to 1 with the mean subtracted and divided by the standard deviation, channel by channel."""
    return standardised(images, *per_channel(normalise, images.device))


def per_channel(normalise: Normalise, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of each channel, of shape (C, 1, 1)."""
    mean, std = (torch.tensor(values, dtype=torch.float32, device="cpu").view(-1, 1, 1) for values in normalise)
    return mean.to(device), std.to(device)


def standardised(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return images.sub(mean).div_(std)


def moved(images: Tensor, rotate: float, shift: float, generator: torch.Generator) -> Tensor:
    """Return images from 0 to 1, each turned by up to `rotate` degrees and moved by up to `shift` pixels at random."""
    return moved_by(images, rotate, shift, drawn(len(images), generator).to(images.device))


def drawn(count: int, generator: torch.Generator) -> Tensor:
    """Return what decides how so many images are moved: numbers from 0 to 1 of shape (3, N, 1, 1)."""
    return torch.rand((3, count, 1, 1), generator=generator, device="cpu")


def moved_by(images: Tensor, rotate: float, shift: float, draws: Tensor) -> Tensor:
    """Return images from 0 to 1, turned and moved as `drawn` decided."""
    _, _, height, width = images.shape
    draws = draws * 2 - 1
    angle = draws[0] * math.radians(rotate)
    columns = torch.linspace(-1, 1, width, device=images.device) + draws[1] * (2 * shift / (width - 1))
    rows = torch.linspace(-1, 1, height, device=images.device).view(-1, 1) + draws[2] * (2 * shift / (height - 1))
    across = angle.cos() * columns - angle.sin() * rows
    down = angle.sin() * columns + angle.cos() * rows
    return functional.grid_sample(images, torch.stack((across, down), 3), align_corners=True)
