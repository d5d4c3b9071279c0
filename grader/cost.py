"""What a node will cost, from the shapes of its arguments, before it runs: a stranger chose the numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from grader import ops

PIECE = 128  # numbers that take the memory of one tensor's record
PLAIN = 1 << 31  # an option below is taken as it is


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
    tensors = list(_tensors((*args, *kwargs.values())))
    bound = BOUNDS.get(op.kind, _elementwise)
    elements, macs = bound(op.short, tensors, args, kwargs)
    return elements, macs


def _tensors(items: Sequence[Any]) -> Iterator[Tensor]:
    for item in items:
        if isinstance(item, Tensor):
            yield item
        elif isinstance(item, (tuple, list)):
            yield from _tensors(item)


def _flat(items: Any) -> list[Any]:
    if isinstance(items, (tuple, list)):
        return [leaf for item in items for leaf in _flat(item)]
    return [items]


def _numbers(items: Any) -> list[float]:
    """Return the numbers among items, kept within a range that multiplies safely."""
    found = [item for item in _flat(items) if isinstance(item, (int, float)) and not isinstance(item, bool)]
    return [max(-1e18, min(1e18, float(item))) if item == item else 0.0 for item in found]


def _size(tensor: Tensor) -> int:
    """Return how many numbers a tensor has, its empty axes left out: with them, it can be summed to something large."""
    return math.prod(max(extent, 1) for extent in tensor.shape)


def _product(numbers: Iterable[float]) -> int:
    return int(min(math.prod(max(number, 1.0) for number in numbers), 1e30))


def _per_axis(numbers: list[float], axes: int) -> list[float]:
    """Return one number for each axis: a single one stands for all."""
    return numbers * axes if len(numbers) == 1 else numbers


Bound = Callable[[str, list[Tensor], Sequence[Any], dict[str, Any]], tuple[int, int]]


def _broadcast(tensors: Sequence[Tensor]) -> int:
    if len(tensors) == 1:
        return _size(tensors[0])
    rank = max((tensor.dim() for tensor in tensors), default=0)
    padded = [(1,) * (rank - tensor.dim()) + tuple(tensor.shape) for tensor in tensors]
    return math.prod(max(1, *extents) for extents in zip(*padded, strict=True))


def _elementwise(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    return _broadcast(tensors), 0


def _norm(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Groups have statistics of their own, and a window over channels pads them."""
    given = _numbers([args[1:2], *[kwargs[name] for name in ("num_groups", "size") if name in kwargs]])
    if short not in ("group_norm", "local_response_norm"):
        return _broadcast(tensors), 0
    return _broadcast(tensors) + _size(tensors[0]) // max(*tensors[0].shape[1:2], 1) * _product(given), 0


def _join(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short == "block_diag":
        matrices = [tensor.reshape(1, -1) if tensor.dim() < 2 else tensor for tensor in tensors]
        return sum(m.shape[0] for m in matrices) * sum(m.shape[1] for m in matrices), 0
    if short == "meshgrid":
        return len(tensors) * math.prod(map(_size, tensors)), 0
    return sum(map(_size, tensors)), 0


def _conv(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    named = dict(zip(_CONV_NAMES["transpose" in short], args, strict=False)) | kwargs
    images, weight = named.get("input"), named.get("weight")
    if not isinstance(images, Tensor) or not isinstance(weight, Tensor):
        return 0, 0
    if images.dim() == weight.dim() - 1:
        images = images.unsqueeze(0)
    spatial, kernel = images.shape[2:], weight.shape[2:]
    count = len(spatial)
    stride, padding, dilation = (_spread(named.get(name), count, default) for name, default in _CONV_DEFAULTS)
    if "transpose" in short:
        extra = _spread(named.get("output_padding"), count, 0)
        rows = zip(spatial, stride, dilation, kernel, extra, strict=False)
        out = [(s - 1) * t + d * (k - 1) + 1 + e for s, t, d, k, e in rows]
        channels = weight.shape[1] * max(int(named.get("groups") or 1), 1)
        return images.shape[0] * channels * _product(out), _size(images) * _size(weight[:1])
    grown = [s + 2 * p for s, p in zip(spatial, padding, strict=False)]
    if named.get("padding") == "same":
        out = list(spatial)
    else:
        rows4 = zip(grown, dilation, kernel, stride, strict=False)
        out = [(g - d * (k - 1) - 1) // max(t, 1) + 1 for g, d, k, t in rows4]
    elements = images.shape[0] * weight.shape[0] * _product(out)
    padded = images.shape[0] * images.shape[1] * _product(grown)
    return max(elements, padded), elements * _size(weight[:1])


_CONV_NAMES = (
    ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
)
_CONV_DEFAULTS = (("stride", 1), ("padding", 0), ("dilation", 1))


def _spread(value: Any, count: int, default: int) -> list[int]:
    """Return one integer for each axis: an option may be one for all, or a sequence."""
    if type(value) is tuple and len(value) == count and all(type(item) is int and abs(item) < PLAIN for item in value):
        return list(value)
    numbers = [int(number) for number in _numbers([value])] if not isinstance(value, str) else []
    return numbers if len(numbers) == count else (numbers or [default])[:1] * count


def _dense(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short == "einsum":
        return _einsum(args, tensors)
    if short == "tensordot" and len(tensors) == 2:
        dims = args[2] if len(args) > 2 else kwargs.get("dims", 2)
        left, right = (_contracted(tensor, dims, place) for place, tensor in enumerate(tensors))
        macs = _size(tensors[0]) * _size(tensors[1]) // min(left, right)
        return (_size(tensors[0]) // left + 1) * (_size(tensors[1]) // right + 1), macs
    if short in ("outer", "addr", "tensordot", "chain_matmul", "multi_dot", "bilinear", "inner"):
        product = math.prod(map(_size, tensors[:3]))
        if short == "bilinear" and len(tensors) > 2:
            return _size(tensors[0]) * tensors[2].shape[0], product
        return (product if short in ("outer", "addr") else min(product, sum(map(_size, tensors)) ** 2)), product
    pair = tensors[1:3] if short.startswith(("addm", "badd", "addb")) else tensors[:2]
    if short == "__rmatmul__":
        pair = pair[::-1]
    if len(pair) < 2 or not pair[0].dim() or not pair[1].dim():
        return _broadcast(tensors), 0
    common = max(pair[0].shape[-1], 1)
    if short in BATCHED and min(tensor.dim() for tensor in pair) > 2:
        elements = _batched(*pair)
        return max(elements, _broadcast(tensors[:1])), elements * common
    macs = _size(pair[0]) * _size(pair[1]) // common
    return max(macs // common + _size(pair[0]) // common + 1, _broadcast(tensors[:1])), macs


BATCHED = frozenset(("matmul", "__matmul__", "__rmatmul__", "bmm", "baddbmm"))


def _batched(left: Tensor, right: Tensor) -> int:
    """Return how many numbers the products of two batches of matrices have, each of a pair of its own."""
    rank = max(left.dim(), right.dim()) - 2
    shapes = [tuple(tensor.shape[:-2]) for tensor in (left, right)]
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    count: int = math.prod(max(1, *extents) for extents in zip(*padded, strict=True))
    return count * max(left.shape[-2], 1) * max(right.shape[-1], 1)


def _contracted(tensor: Tensor, dims: Any, place: int) -> int:
    """Return how many numbers of the left (0) or right (1) operand each result of tensordot sums over."""
    count = tensor.dim()
    if isinstance(dims, int):
        return math.prod(
            max(extent, 1) for extent in (tensor.shape[:dims] if place else tensor.shape[max(count - dims, 0) :])
        )
    pairs = _is_sequence(dims) and dims and _is_sequence(dims[0])
    axes = dims[place] if pairs and len(dims) > place else dims if _is_sequence(dims) and not pairs else []
    return math.prod(max(tensor.shape[axis], 1) for axis in axes if isinstance(axis, int) and -count <= axis < count)


def _einsum(args: Sequence[Any], tensors: list[Tensor]) -> tuple[int, int]:
    """Bound by the product of the extents of all labels; of three operands and more, for what comes between too."""
    equation = args[0].replace(" ", "") if args and isinstance(args[0], str) else "."
    left, arrow, right = equation.partition("->")
    extents: dict[str, int] = {}
    for labels, tensor in zip(left.split(","), tensors, strict=False):
        if "." in labels or len(labels) != tensor.dim():
            product = math.prod(map(_size, tensors))
            return product, product
        extents.update(zip(labels, tensor.shape, strict=True))
    macs = math.prod(extents.values())
    if len(tensors) > 2 or not arrow:
        return macs, macs
    return math.prod(extents.get(label, 1) for label in right), macs


def _factory(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short.endswith(("_like", "_")) or (tensors and short == "bernoulli"):
        return _broadcast(tensors), 0
    if short == "arange":
        return _arange(args, kwargs), 0
    sizes = args[1:] if isinstance(next(iter(args), None), Tensor) else args
    named = [kwargs[name] for name in ("size", "n", "m", "steps", "window_length") if name in kwargs]
    numbers = _numbers([sizes, named])
    if short in ("linspace", "randint", "normal", "full", "new_full"):  # bounds and fill values are numbers too
        numbers = (
            [max(numbers, default=1.0)]
            if short == "linspace"
            else _numbers([[s for s in sizes if _is_sequence(s)], named])
        )
    if short == "eye":
        numbers = _per_axis(numbers, 2)
    return max(_product(numbers), _broadcast(tensors) if short == "normal" else 1), 0


def _is_sequence(item: Any) -> bool:
    return isinstance(item, (tuple, list))


def _arange(args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    names = ("end",) if len(_numbers(args)) == 1 else ("start", "end", "step")
    named = dict(zip(names, _numbers(args), strict=False))
    named |= {name: _numbers([kwargs[name]])[0] for name in ("start", "end", "step") if _numbers([kwargs.get(name)])}
    step = abs(named.get("step", 1.0)) or 1.0
    return int(min(abs(named.get("end", 0.0) - named.get("start", 0.0)) / step, 1e18)) + 1


def _pad(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    shape = [float(extent) for extent in tensors[0].shape]
    pads = _numbers([args[1] if len(args) > 1 else kwargs.get("pad", ())])
    for place, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=False), start=1):
        if place <= len(shape):
            shape[-place] += before + after
    return _product(shape), 0


def _resample(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Bound by the given size times batch and channels, or by the scale on every axis."""
    images = tensors[0]
    axes = max(images.dim() - 2, 1)
    if short == "affine_grid":
        return _product(_numbers([args[1:2], kwargs.get("size", ())])) * 3, 0
    if short == "grid_sample":
        return images.shape[1] * math.prod(map(_size, tensors[1:2])), 0
    if short.startswith(("interpolate", "upsample")):
        scale = kwargs.get("scale_factor", args[2] if len(args) > 2 else None)
        size = kwargs.get("size", args[1] if len(args) > 1 else None)
        if scale is not None:
            return _product([float(_size(images)), *_per_axis(_numbers([scale]), axes)]), 0
        return _product([*map(float, images.shape[:2]), *_per_axis(_numbers([size]), axes)]), 0
    return _size(images), 0


def _expand(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    numbers = [abs(number) for number in _numbers([args[1:], *kwargs.values()])]
    repeats = args[1] if len(args) > 1 else kwargs.get("repeats")
    if short == "repeat_interleave" and isinstance(repeats, Tensor):
        return _size(tensors[0]) * max(int(repeats.sum()), 1), 0
    if short in ("repeat", "tile", "repeat_interleave"):
        return _size(tensors[0]) * _product(numbers), 0
    given = _numbers([args[1:], *kwargs.values()])
    extents = [1.0] * (len(given) - tensors[0].dim()) + [float(extent) for extent in tensors[0].shape]
    sizes = [extent if size < 0 else size for size, extent in zip(given, extents, strict=False)]
    return max(_product(sizes), _broadcast(tensors)), 0


def _pool(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    images = tensors[0]
    axes = next((int(letter) for letter in short if letter.isdecimal()), 2)
    outer = math.prod(images.shape[: images.dim() - axes])
    extents = [float(extent) for extent in images.shape[images.dim() - axes :]]
    if short.startswith("adaptive"):
        size = args[1] if len(args) > 1 else kwargs.get("output_size", ())
        wanted = list(size) if _is_sequence(size) else [size] * axes
        out = [
            extent if want is None else max(*_numbers([want]), 1.0)
            for want, extent in zip(wanted, extents, strict=False)
        ]
        return outer * _product(out), outer * max(_product(out), _product(extents))
    at = 2 if short.startswith("lp") else 1
    kernel = _per_axis(_numbers([args[at : at + 1], kwargs.get("kernel_size", ())]), axes)
    padding = max(_numbers([args[3:4], kwargs.get("padding", ())]), default=0.0)
    powers = math.prod(map(_size, tensors[1:])) if short.startswith("lp") else 1
    elements = outer * _product(extent + 2 * padding for extent in extents) * powers
    return elements, elements * _product(kernel)


def _unfold(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    images = tensors[0]
    kernel = _per_axis(_numbers([args[1:2] if short == "unfold" else args[2:3], kwargs.get("kernel_size", ())]), 2)
    if short == "fold":
        size = _per_axis(_numbers([args[1:2], kwargs.get("output_size", ())]), 2)
        return _product([float(_size(images)), *size]), 0
    padding = max(_numbers([args[3:4], kwargs.get("padding", ())]), default=0.0)
    grown = [float(extent) + 2 * padding for extent in images.shape[-2:]]
    return _product([*map(float, images.shape[:-2]), *grown, *kernel]), 0


def _index(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    size = _size(tensors[0]) if tensors else 1
    if short == "diag":
        offset = max(map(abs, _numbers([args[1:2], kwargs.get("diagonal", 0)])), default=0)
        return _product([size + offset] * 2), 0
    if short == "unfold":
        return _product([float(size), *_numbers([args[2:3], kwargs.get("size", ())])]), 0
    if short == "take_along_dim":
        return max(size, *map(_size, tensors)), 0
    if short == "index_select" and len(tensors) > 1 and len(args) > 1 and isinstance(args[1], int):
        return size // max(tensors[0].shape[args[1]], 1) * _size(tensors[1]), 0
    if short == "__getitem__" and len(tensors) > 1:
        return _picked(tensors[0], args[1]), 0
    if "split" in short or short in ("chunk", "unsafe_chunk", "unbind"):
        return size + PIECE * _pieces(short, tensors[0], args, kwargs), 0
    return size * math.prod(map(_size, tensors[1:])), 0


def _pieces(short: str, tensor: Tensor, args: Sequence[Any], kwargs: dict[str, Any]) -> int:
    """Bound the number of parts that a tensor is cut into: of an empty one, there are as many as are asked for."""
    longest = max(tensor.shape, default=1)
    named = [kwargs[name] for name in ("chunks", "sections", "split_size", "split_size_or_sections") if name in kwargs]
    given: Any = next(iter([*args[1:2], *named]), None)
    if isinstance(given, Tensor):
        given = given.tolist()
    if short == "unbind" or not isinstance(given, int):
        return max(longest, len(given) + 1 if _is_sequence(given) else 1)
    return longest // max(given, 1) + 1 if short in ("split", "unsafe_split") else max(given, 1)


def _picked(tensor: Tensor, index: Any) -> int:
    """Bound what an index of integers, slices and tensors of positions picks."""
    items = list(index) if _is_sequence(index) else [index]
    used = sum(item is not None and item is not Ellipsis for item in items)
    rest = iter(tensor.shape)
    kept, picks = [1.0], 1
    for item in items:
        if item is Ellipsis:
            kept += [float(next(rest, 1)) for _ in range(tensor.dim() - used)]
        elif isinstance(item, slice):
            kept.append(float(next(rest, 1)))
        elif item is not None and not _is_flag(item):
            next(rest, None)
            picks = max(picks, _size(item) if isinstance(item, Tensor) else len(_flat(item)))
    return _product([*kept, *map(float, rest), float(picks)])


def _is_flag(item: Any) -> bool:
    """Tell of one truth value, which as an index adds an axis and uses none."""
    return isinstance(item, bool) or (isinstance(item, Tensor) and item.dtype == torch.bool and not item.dim())


def _attention(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if len(tensors) < 3:
        return 0, 0
    query, key = tensors[0], tensors[1]
    width = max(query.shape[-1], 1)
    scores = _size(query) * _size(key) // (width * width)
    rows = _size(query) // width
    return rows * max(width, *tensors[2].shape[-1:]) + scores, 2 * scores * width + 4 * _size(query) * width


def _recurrent(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    sequence = tensors[0]
    weights = sum(map(_size, tensors[1:]))
    rows = _size(sequence) // max(sequence.shape[-1] if sequence.dim() else 1, 1)
    widest = max((max(tensor.shape, default=1) for tensor in tensors[1:]), default=1)
    return rows * widest, rows * weights


def _matrices(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Decompositions and inverses make square matrices, and take the cube of the longest axis for each."""
    longest = max((max(tensor.shape, default=1) for tensor in tensors), default=1)
    elements = max(_broadcast(tensors), *map(_size, tensors), longest)
    if short.startswith("_weight"):
        return elements, elements
    count = max(math.prod(max(extent, 1) for extent in tensor.shape[:-2]) for tensor in tensors)
    tolerances = math.prod(map(_size, tensors[1:])) if short == "pinv" else 1
    return max(elements, count * longest**2) * tolerances, elements * longest * tolerances


def _reduce(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    return max(_broadcast(tensors), *map(_size, tensors), 1), 0


BOUNDS: dict[str, Bound] = {
    "conv": _conv,
    "dense": _dense,
    "norm": _norm,
    "join": _join,
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
    "reshape": _reduce,
    "reduce": _reduce,
    "weight": _matrices,
    "index": _index,
}
