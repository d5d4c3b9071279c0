"""The images: read, checked, split, and made into what a model is fed."""

from __future__ import annotations

from grader.training.data.embedded import load
from grader.training.data.images import (
    HELD_OUT,
    Data,
    DataError,
    Images,
    Normalise,
    drawn,
    moved,
    moved_by,
    normalised,
    per_channel,
    scaled,
    standardised,
)
from grader.training.data.opened import opened

__all__ = [
    "HELD_OUT",
    "Data",
    "DataError",
    "Images",
    "Normalise",
    "drawn",
    "load",
    "moved",
    "moved_by",
    "normalised",
    "opened",
    "per_channel",
    "scaled",
    "standardised",
]
