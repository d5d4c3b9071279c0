"""Lists of bounded length: what a page shows of them, and how much it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Cut(Generic[Item]):
    """The first items of a list, and the number of those left out."""

    shown: Sequence[Item]
    left: int


def cut(items: Sequence[Item], cap: int) -> Cut[Item]:
    """Return at most `cap` items."""
    return Cut(items[:cap], max(0, len(items) - cap))
