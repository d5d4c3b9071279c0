"""What a node will cost, from the shapes of its arguments, before it runs: a stranger chose the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from grader import ops


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one run of a program may cost.

    `elements` bounds each result, `total` the results of all nodes together, `macs` the multiply-accumulate operations
    of convolutions and dense operators together.
    """

    elements: int = 1 << 26
    total: int = 1 << 28
    macs: int = 20_000_000_000


class TooDear(Exception):
    """A node would cost more than the limits allow."""


class Meter:
    """Adds up what the nodes of one run cost."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.elements = 0
        self.macs = 0

    def charge(self, op: ops.Op, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
        """Return the multiply-accumulate operations of a node about to run.

        Raises:
            TooDear: its result or its arithmetic would pass the limits.
        """
        elements, macs = estimate(op, args, kwargs)
        if elements > self.limits.elements:
            raise TooDear(f"{op.short} would make {elements:,} numbers, the limit is {self.limits.elements:,}")
        self.elements += elements
        self.macs += macs
        if self.elements > self.limits.total:
            raise TooDear(f"one forward makes more than {self.limits.total:,} numbers")
        if self.macs > self.limits.macs:
            raise TooDear(f"one forward takes more than {self.limits.macs:,} multiply-accumulate operations")
        return macs


def estimate(op: ops.Op, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Return upper bounds on the numbers in a node's result and on its multiply-accumulate operations."""
    tensors = [item for item in _flat([*args, *kwargs.values()]) if isinstance(item, Tensor)]
    bound = BOUNDS.get(op.kind, _elementwise)
    elements, macs = bound(op.short, tensors, args, kwargs)
    return elements, macs


def _flat(items: Any) -> list[Any]:
    if isinstance(items, (tuple, list)):
        return [leaf for item in items for leaf in _flat(item)]
    return [items]


def _numbers(items: Any) -> list[float]:
    return [float(item) for item in _flat(items) if isinstance(item, (int, float)) and not isinstance(item, bool)]


Bound = Callable[[str, list[Tensor], Sequence[Any], dict[str, Any]], tuple[int, int]]


def _broadcast(tensors: Sequence[Tensor]) -> int:
    if len(tensors) == 1:
        return tensors[0].numel()
    rank = max((tensor.dim() for tensor in tensors), default=0)
    padded = [(1,) * (rank - tensor.dim()) + tuple(tensor.shape) for tensor in tensors]
    return math.prod(max(extents) for extents in zip(*padded, strict=True))


def _elementwise(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    return _broadcast(tensors), 0


def _sum(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    total = sum(tensor.numel() for tensor in tensors)
    return total if short != "meshgrid" else len(tensors) * math.prod(tensor.numel() for tensor in tensors), 0


def _conv(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if len(tensors) < 2:
        return 0, 0
    images, weight = tensors[0], tensors[1]
    named = dict(zip(_CONV_NAMES["transpose" in short], args, strict=False)) | kwargs
    spatial = images.shape[2:]
    kernel = weight.shape[2:]
    count = len(spatial)
    stride, padding, dilation = (_spread(named.get(name), count, default) for name, default in _CONV_DEFAULTS)
    if "transpose" in short:
        extra = _spread(named.get("output_padding"), count, 0)
        out = [
            (s - 1) * t + d * (k - 1) + 1 + e
            for s, t, d, k, e in zip(spatial, stride, dilation, kernel, extra, strict=False)
        ]
        channels = weight.shape[1] * int(named.get("groups") or 1)
        elements = images.shape[0] * channels * math.prod(max(o, 0) for o in out)
        return elements, images.numel() * weight[0].numel()
    if named.get("padding") == "same":
        out = list(spatial)
    else:
        out = [
            (s + 2 * p - d * (k - 1) - 1) // max(t, 1) + 1
            for s, p, d, k, t in zip(spatial, padding, dilation, kernel, stride, strict=False)
        ]
    padded = images.shape[0] * images.shape[1] * math.prod(s + 2 * p for s, p in zip(spatial, padding, strict=False))
    elements = images.shape[0] * weight.shape[0] * math.prod(max(o, 0) for o in out)
    return max(elements, padded), elements * weight[0].numel()


_CONV_NAMES = (
    ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
)
_CONV_DEFAULTS = (("stride", 1), ("padding", 0), ("dilation", 1))


def _spread(value: Any, count: int, default: int) -> list[int]:
    """Return one integer for each axis: an option may be one for all, or a sequence."""
    numbers = [int(number) for number in _numbers([value])] if not isinstance(value, str) else []
    return numbers if len(numbers) == count else (numbers or [default])[:1] * count


def _dense(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short == "einsum":
        return _einsum(args, tensors)
    if short in ("outer", "addr", "tensordot", "chain_matmul", "multi_dot", "bilinear", "inner"):
        product = (
            math.prod(max(tensor.numel(), 1) for tensor in tensors[-2:] if short == "addr") if short == "addr" else 0
        )
        product = product or math.prod(max(tensor.numel(), 1) for tensor in tensors[:3])
        return _contracted(short, tensors, product), product
    pair = tensors[1:3] if short.startswith(("addm", "badd", "addb")) else tensors[:2]
    if len(pair) < 2 or not pair[0].dim() or not pair[1].dim():
        return _broadcast(tensors), 0
    common = pair[0].shape[-1]
    macs = pair[0].numel() * pair[1].numel() // max(common, 1)
    return macs // max(common, 1) + pair[0].numel() // max(common, 1) + 1, macs


def _contracted(short: str, tensors: list[Tensor], product: int) -> int:
    """Return how many results such a product has at most."""
    if short in ("outer", "addr"):
        return product
    if short == "bilinear" and len(tensors) > 2:
        return tensors[0].numel() * tensors[2].shape[0]
    return min(product, sum(tensor.numel() for tensor in tensors) ** 2)


def _einsum(args: Sequence[Any], tensors: list[Tensor]) -> tuple[int, int]:
    """Bound by the product of the extents of all labels."""
    equation = args[0] if args and isinstance(args[0], str) else ""
    extents: dict[str, int] = {}
    for labels, tensor in zip(equation.replace(" ", "").split("->")[0].split(","), tensors, strict=False):
        if "." in labels or len(labels) != tensor.dim():
            return math.prod(tensor.numel() for tensor in tensors), math.prod(tensor.numel() for tensor in tensors)
        extents.update(zip(labels, tensor.shape, strict=True))
    right = equation.replace(" ", "").partition("->")[2]
    return math.prod(extents.get(label, 1) for label in right), math.prod(extents.values())


def _factory(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short in ("arange", "linspace"):
        numbers = _numbers([*args, *kwargs.values()])
        return int(max(map(abs, numbers), default=1)) * 2 + 2 if short == "linspace" else _arange(numbers), 0
    if short.endswith(("_like", "_")) or short in ("bernoulli", "normal"):
        return _broadcast(tensors), 0
    sizes = args[1:] if isinstance(next(iter(args), None), Tensor) else args
    numbers = _numbers(
        [*(sizes[:1] if isinstance(next(iter(sizes), None), (tuple, list)) else sizes), kwargs.get("size", ())]
    )
    if short == "eye":
        numbers = numbers * 2 if len(numbers) == 1 else numbers
    return math.prod(int(max(number, 1)) for number in numbers), 0


def _arange(numbers: list[float]) -> int:
    step = abs(numbers[2]) if len(numbers) > 2 and numbers[2] else 1.0
    start, stop = (numbers[0], numbers[1]) if len(numbers) > 1 else (0.0, (numbers or [0.0])[0])
    return int(min(abs(stop - start) / step, 1e18)) + 1


def _pad(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    shape = list(tensors[0].shape)
    pads = [int(n) for n in _numbers([args[1] if len(args) > 1 else kwargs.get("pad", ())])]
    for place, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=False), start=1):
        if place <= len(shape):
            shape[-place] = max(shape[-place] + before + after, 0)
    return math.prod(shape), 0


def _resample(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Bound by the given size times batch and channels, or by the scale on every axis."""
    images = tensors[0]
    if short in ("interpolate", "upsample", "upsample_nearest", "upsample_bilinear", "affine_grid"):
        sizes = [
            abs(number) for number in _numbers([args[1:3], kwargs.get("size", ()), kwargs.get("scale_factor", ())])
        ]
        product = math.prod(max(number, 1.0) for number in sizes) ** (2 if len(sizes) == 1 else 1)
        given_scale = kwargs.get("scale_factor") is not None or (len(args) > 2 and args[2] is not None)
        base = images.numel() if given_scale or not images.dim() > 2 else images.shape[0] * images.shape[1]
        return int(min(base * product, 1e18)), 0
    if short == "grid_sample" and len(tensors) > 1:
        return images.shape[1] * tensors[1].numel(), 0
    return images.numel(), 0


def _expand(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    numbers = [int(number) for number in _numbers([args[1:], *kwargs.values()])]
    product = math.prod(max(number, 1) for number in numbers)
    if short in ("repeat", "tile", "repeat_interleave"):
        return tensors[0].numel() * product, 0
    return max(product * max(tensors[0].numel(), 1) if short == "expand" else product, _broadcast(tensors)), 0


def _pool(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    images = tensors[0]
    if not short.startswith("adaptive"):
        padding = _numbers([args[3:4], kwargs.get("padding", ())])
        grown = math.prod(size + 2 * int(max(padding, default=0)) for size in images.shape[2:])
        return math.prod(images.shape[:2]) * grown, 0
    numbers = [int(number) for number in _numbers([args[1:2], kwargs.get("output_size", ())])]
    product = math.prod(max(number, 1) for number in numbers) ** (2 if len(numbers) == 1 else 1)
    return images.shape[0] * (images.shape[1] if images.dim() > 1 else 1) * product, 0


def _unfold(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    numbers = [
        int(max(number, 1))
        for number in _numbers([args[1:3], kwargs.get("kernel_size", ()), kwargs.get("output_size", ())])
    ]
    product = math.prod(numbers) ** (2 if len(numbers) == 1 else 1)
    return tensors[0].numel() * product, 0


def _attention(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if len(tensors) < 3:
        return 0, 0
    query, key = tensors[0], tensors[1]
    width = max(query.shape[-1], 1)
    scores = query.numel() * key.numel() // (width * width)
    return query.numel() + scores, 2 * scores * width + 4 * query.numel() * width


def _recurrent(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    sequence = tensors[0]
    weights = sum(tensor.numel() for tensor in tensors[1:])
    rows = sequence.numel() // max(sequence.shape[-1] if sequence.dim() else 1, 1)
    widest = max((max(tensor.shape, default=1) for tensor in tensors[1:]), default=1)
    return rows * widest, rows * weights


BOUNDS: dict[str, Bound] = {
    "conv": _conv,
    "dense": _dense,
    "join": _sum,
    "factory": _factory,
    "random": _factory,
    "pad": _pad,
    "resample": _resample,
    "expand": _expand,
    "avg-pool": _pool,
    "max-pool": _pool,
    "unfold": _unfold,
    "attention": _attention,
    "recurrent": _recurrent,
    "reshape": lambda short, tensors, args, kwargs: (tensors[0].numel() if tensors else 1, 0),
    "reduce": lambda short, tensors, args, kwargs: (tensors[0].numel() if tensors else 1, 0),
    "index": lambda short, tensors, args, kwargs: (
        tensors[0].numel() * math.prod(max(tensor.numel(), 1) for tensor in tensors[1:]) if tensors else 1,
        0,
    ),
}
