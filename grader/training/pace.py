"""The same training in less time: dropout masks drawn in bulk, channels last, bfloat16 where the processor has it.

What a way of computing must not change is the model. Before a run uses one, both ways compute the gradients of one
batch with the same masks, and it is taken only where they agree: a graph that can't run in another layout, or has its
own ideas of precision, is trained the plain way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from grader import ops
from grader.facts import named_arguments
from grader.graph import Graph, Node
from grader.kinds import DEFAULTS
from grader.replay import Around, Values

STEPS = 1 << 16  # in which the probability of a mask is counted
DRAWN = frozenset(("torch.nn.functional.dropout", "torch.dropout"))  # one independent draw for each number
VIEW = "torch.Tensor.view"

# How far the gradients of a batch may differ: the length of the difference over that of the plain gradient. bfloat16
# has 8 bits, so each product is off by up to 0.4 %: thirty-one models of up to ten layers were off by 1 to 19 %. With
# channels last torch's batch normalisation adds up less carefully, to 1e-5, which came to at most 4 %.
TOLERATED = {torch.float32: 0.1, torch.bfloat16: 0.3}

INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by their size in bytes

Masker = Callable[[int, Tensor, float], Tensor]


@dataclass(frozen=True, slots=True)
class Way:
    """How a training computes: whether maps keep their channels innermost, and the type that layers compute in."""

    channels_last: bool = False
    bfloat16: bool = False

    @property
    def shown(self) -> str:
        return f"{'bfloat16' if self.bfloat16 else 'float32'}{', channels last' if self.channels_last else ''}"

    @property
    def tolerated(self) -> float:
        return TOLERATED[torch.bfloat16 if self.bfloat16 else torch.float32]

    def laid_out(self, images: Tensor) -> Tensor:
        """Return images of shape (N, C, H, W) in the layout of this way, which the maps made of them then have too."""
        if not self.channels_last:
            return images
        _, channels, height, width = images.shape
        rows = images.contiguous(memory_format=torch.channels_last)
        # One channel lies in memory in both orders at once: only its strides can say which is meant.
        return rows.as_strided(rows.shape, (channels * height * width, 1, channels * width, channels))

    @contextmanager
    def computing(self) -> Iterator[None]:
        with torch.autocast("cpu", torch.bfloat16) if self.bfloat16 else nullcontext():
            yield


PLAIN = Way()


def ways(*, exact: bool) -> tuple[Way, ...]:
    """Return the ways that this processor is fast at, the fastest first; an `exact` one computes in float32."""
    fast = Way(channels_last=True)
    return (fast,) if exact or not has_bfloat16() else (replace(fast, bfloat16=True), fast)


def has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself: where it is emulated it is slower than float32."""
    known = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(bool(ask()) for ask in known if ask is not None)


class Shortcuts:
    """The nodes of a graph's training program that are run in another manner than as they stand.

    A dropout becomes a product with a mask. A view of a map that lies in memory in another order copies it.
    """

    def __init__(self, graph: Graph) -> None:
        found = ((index, drop_rate(node)) for index, node in enumerate(graph.train.nodes))
        self.rates = {index: rate for index, rate in found if rate is not None}

    def around(self, mask: Masker, way: Way) -> Around:
        """Return what `Replay.run` takes as `around`; `mask` gives the mask of a node for numbers and a rate."""

        def around(index: int, op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            rate = self.rates.get(index)
            if rate is not None:
                numbers = args[0] if args else kwargs["input"]
                return numbers * mask(index, numbers, rate)
            if op.name == VIEW and way.channels_last:
                return torch.Tensor.reshape(*args, **kwargs)
            return op.run(*args, **kwargs)

        return around


def drop_rate(node: Node) -> float | None:
    """Return the probability of a dropout that a mask can replace: one that acts, out of place, on single numbers."""
    if node.op not in DRAWN:
        return None
    given = {**DEFAULTS.get(node.op, {}), **named_arguments(node)}
    rate = given.get("p")
    plain = given.get("training") is True and not given.get("inplace", False)
    if not plain or not isinstance(rate, float) or not 0 < round(rate * STEPS) < STEPS:
        return None
    return rate


class Masks:
    """Draws masks, many numbers at a time: torch draws one after the other, for a sixth of a whole step."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.Generator(np.random.SFC64(seed))

    def __call__(self, index: int, like: Tensor, rate: float) -> Tensor:
        """Return a mask in the layout and type of numbers: zero with probability `rate`, else what makes up for it."""
        count = like.numel()
        words = self._random.integers(0, 1 << 64, size=-(-count // 4), dtype=np.uint64)
        kept = words.view(np.uint16)[:count] >= round(rate * STEPS)
        # A product of integers with the pattern of bits that the factor has: numpy knows no bfloat16, and is many times
        # faster at this than torch, which compares and converts twice.
        factor = torch.tensor(1 / (1 - rate), dtype=like.dtype)
        pattern = factor.view(INTEGERS[like.element_size()]).numpy()
        mask = torch.from_numpy(np.multiply(kept, pattern, dtype=pattern.dtype)).view(like.dtype)
        innermost = like.dim() == 4 and like.is_contiguous(memory_format=torch.channels_last)
        return mask.as_strided(like.shape, like.stride()) if innermost else mask.view(like.shape)


class Agreed:
    """Gives the same masks again and again, whatever the layout of the numbers: for comparing two ways."""

    def __init__(self, seed: int) -> None:
        self._draw = Masks(seed)
        self._masks: dict[int, Tensor] = {}

    def __call__(self, index: int, like: Tensor, rate: float) -> Tensor:
        if index not in self._masks:
            self._masks[index] = self._draw(index, torch.empty(like.shape), rate)
        return self._masks[index].to(like.dtype)


def agree(plain: Sequence[Tensor], other: Sequence[Tensor], tolerated: float) -> bool:
    """Tell whether two ways came to the same gradients: that their difference is short, for all of them together."""
    if len(plain) != len(other):
        return False
    difference = math.fsum(float((b - a).double().square().sum()) for a, b in zip(plain, other, strict=True))
    length = math.fsum(float(a.double().square().sum()) for a in plain)
    return math.isfinite(difference) and difference <= tolerated**2 * length
