"""The images that a model is tried on: the same numbers on every side that is told of the same probe."""

from __future__ import annotations

import torch
from torch import Tensor

from grader.digits import SIDE, pixels
from grader.protocol import Probe


def probe_images(probe: Probe, place: int, shape: tuple[int, int, int]) -> Tensor:
    """Return the batch at a place of the probe, (N, C, H, W): noise first, then digits, as a model may tell them apart.

    Noise is standard normal and follows the probe's seed.
    """
    size = probe.batches[place]
    if place and probe.digits:
        return digits(probe, shape)[:size]
    return noise(size, shape, probe.seed + size)


def noise(size: int, shape: tuple[int, int, int], seed: int) -> Tensor:
    """Return standard normal images of shape (size, C, H, W), the same for the same seed on every side."""
    return torch.randn((size, *shape), generator=torch.Generator().manual_seed(seed))


def digits(probe: Probe, shape: tuple[int, int, int]) -> Tensor:
    """Return the probe's digits, or those of the package where it has none, as (N, C, H, W) and normalised."""
    given = torch.frombuffer(bytearray(probe.digits or pixels()), dtype=torch.uint8)
    found = given.reshape(-1, 1, SIDE, SIDE).float() / 255
    channels, *extents = shape
    if list(found.shape[2:]) != extents:
        found = torch.nn.functional.interpolate(found, extents)
    mean, std = (torch.tensor(numbers).reshape(-1, 1, 1) for numbers in probe.normalise)
    return (found.expand(-1, channels, -1, -1) - mean) / std
