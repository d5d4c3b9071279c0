"""Bounds of convolutions and dense operators, which are dear by their arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from grader.cost.amounts import broadcast, for_each_axis, is_sequence, product_of, size_of


def conv(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    named = dict(zip(_CONV_NAMES["transpose" in short], args, strict=False)) | kwargs
    images, weight = named.get("input"), named.get("weight")
    if not isinstance(images, Tensor) or not isinstance(weight, Tensor):
        return 0, 0
    if images.dim() == weight.dim() - 1:
        images = images.unsqueeze(0)
    spatial, kernel = images.shape[2:], weight.shape[2:]
    count = len(spatial)
    stride, padding, dilation = (for_each_axis(named.get(name), count, default) for name, default in _CONV_DEFAULTS)
    if "transpose" in short:
        extra = for_each_axis(named.get("output_padding"), count, 0)
        rows = zip(spatial, stride, dilation, kernel, extra, strict=False)
        out = [(s - 1) * t + d * (k - 1) + 1 + e for s, t, d, k, e in rows]
        channels = weight.shape[1] * max(int(named.get("groups") or 1), 1)
        return images.shape[0] * channels * product_of(out), size_of(images) * size_of(weight[:1])
    grown = [s + 2 * p for s, p in zip(spatial, padding, strict=False)]
    if named.get("padding") == "same":
        out = list(spatial)
    else:
        rows4 = zip(grown, dilation, kernel, stride, strict=False)
        out = [(g - d * (k - 1) - 1) // max(t, 1) + 1 for g, d, k, t in rows4]
    elements = images.shape[0] * weight.shape[0] * product_of(out)
    padded = images.shape[0] * images.shape[1] * product_of(grown)
    return max(elements, padded), elements * size_of(weight[:1])


_CONV_NAMES = (
    ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
)
_CONV_DEFAULTS = (("stride", 1), ("padding", 0), ("dilation", 1))


def dense(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short == "einsum":
        return _einsum(args, tensors)
    if short == "tensordot" and len(tensors) == 2:
        dims = args[2] if len(args) > 2 else kwargs.get("dims", 2)
        left, right = (_contracted(tensor, dims, place) for place, tensor in enumerate(tensors))
        macs = size_of(tensors[0]) * size_of(tensors[1]) // min(left, right)
        return (size_of(tensors[0]) // left + 1) * (size_of(tensors[1]) // right + 1), macs
    if short in ("outer", "addr", "tensordot", "chain_matmul", "multi_dot", "bilinear", "inner"):
        product = math.prod(map(size_of, tensors[:3]))
        if short == "bilinear" and len(tensors) > 2:
            return size_of(tensors[0]) * tensors[2].shape[0], product
        return (product if short in ("outer", "addr") else min(product, sum(map(size_of, tensors)) ** 2)), product
    pair = tensors[1:3] if short.startswith(("addm", "badd", "addb")) else tensors[:2]
    if short == "__rmatmul__":
        pair = pair[::-1]
    if len(pair) < 2 or not pair[0].dim() or not pair[1].dim():
        return broadcast(tensors), 0
    common = max(pair[0].shape[-1], 1)
    if short in BATCHED and min(tensor.dim() for tensor in pair) > 2:
        elements = _batched(*pair)
        return max(elements, broadcast(tensors[:1])), elements * common
    macs = size_of(pair[0]) * size_of(pair[1]) // common
    return max(macs // common + size_of(pair[0]) // common + 1, broadcast(tensors[:1])), macs


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
    pairs = is_sequence(dims) and dims and is_sequence(dims[0])
    axes = dims[place] if pairs and len(dims) > place else dims if is_sequence(dims) and not pairs else []
    return math.prod(max(tensor.shape[axis], 1) for axis in axes if isinstance(axis, int) and -count <= axis < count)


def _einsum(args: Sequence[Any], tensors: list[Tensor]) -> tuple[int, int]:
    """Bound by the product of the extents of all labels; of three operands and more, for what comes between too."""
    equation = args[0].replace(" ", "") if args and isinstance(args[0], str) else "."
    left, arrow, right = equation.partition("->")
    extents: dict[str, int] = {}
    for labels, tensor in zip(left.split(","), tensors, strict=False):
        if "." in labels or len(labels) != tensor.dim():
            product = math.prod(map(size_of, tensors))
            return product, product
        extents.update(zip(labels, tensor.shape, strict=True))
    macs = math.prod(extents.values())
    if len(tensors) > 2 or not arrow:
        return macs, macs
    return math.prod(extents.get(label, 1) for label in right), macs


def attention(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if len(tensors) < 3:
        return 0, 0
    query, key = tensors[0], tensors[1]
    width = max(query.shape[-1], 1)
    scores = size_of(query) * size_of(key) // (width * width)
    rows = size_of(query) // width
    return rows * max(width, *tensors[2].shape[-1:]) + scores, 2 * scores * width + 4 * size_of(query) * width


def recurrent(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    sequence = tensors[0]
    weights = sum(map(size_of, tensors[1:]))
    rows = size_of(sequence) // max(sequence.shape[-1] if sequence.dim() else 1, 1)
    widest = max((max(tensor.shape, default=1) for tensor in tensors[1:]), default=1)
    return rows * widest, rows * weights


def matrices(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Decompositions and inverses make square matrices, and take the cube of the longest axis for each."""
    longest = max((max(tensor.shape, default=1) for tensor in tensors), default=1)
    elements = max(broadcast(tensors), *map(size_of, tensors), longest)
    if short.startswith("_weight"):
        return elements, elements
    count = max(math.prod(max(extent, 1) for extent in tensor.shape[:-2]) for tensor in tensors)
    tolerances = math.prod(map(size_of, tensors[1:])) if short == "pinv" else 1
    return max(elements, count * longest**2) * tolerances, elements * longest * tolerances
