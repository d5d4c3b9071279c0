"""What a tape holds: calls and the tensors between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from grader.finding import Span

Raw = Any  # an argument with its tensors replaced by Values


@dataclass(eq=False, slots=True)
class Value:
    """A tensor as the tape knows it. `content` is kept of tensors that came from nowhere, as first seen.

    `learned` tells that it is a parameter, of a layer that no module registers.
    """

    leaf: int | None = None
    content: Tensor | None = None
    span: Span | None = None
    record: Record | None = None
    learned: bool = False


@dataclass(eq=False, slots=True)
class Record:
    """One torch call."""

    op: str
    args: tuple[Raw, ...]
    kwargs: dict[str, Raw]
    outputs: tuple[Value, ...]
    module: str
    grad: bool
    span: Span | None
    random: tuple[Tensor, ...] | None = None


@dataclass(slots=True)
class Trace:
    """What one forward did."""

    records: list[Record]
    output: Raw
    updates: list[tuple[int, Value]] = field(default_factory=list)


def values_in(raw: Raw) -> Iterator[Value]:
    """Yield the values in an argument, in order."""
    if isinstance(raw, Value):
        yield raw
    elif isinstance(raw, (tuple, list)):
        for item in raw:
            yield from values_in(item)
    elif isinstance(raw, dict):
        for item in raw.values():
            yield from values_in(item)
    elif isinstance(raw, slice):
        yield from values_in([raw.start, raw.stop, raw.step])
