"""Bounds of operators that return another shape than they are given, or the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from grader.cost.amounts import broadcast, is_sequence, numbers_in, per_axis, product_of, size_of

UNKNOWN = 1 << 62  # an extent that follows from numbers in a tensor


def elementwise(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    return broadcast(tensors), 0


def norm(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Groups have statistics of their own, and a window over channels pads them."""
    given = numbers_in([args[1:2], *[kwargs[name] for name in ("num_groups", "size") if name in kwargs]])
    if short not in ("group_norm", "local_response_norm"):
        return broadcast(tensors), 0
    return broadcast(tensors) + size_of(tensors[0]) // max(*tensors[0].shape[1:2], 1) * product_of(given), 0


def join(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short == "block_diag":
        matrices = [tensor.reshape(1, -1) if tensor.dim() < 2 else tensor for tensor in tensors]
        return sum(m.shape[0] for m in matrices) * sum(m.shape[1] for m in matrices), 0
    if short == "meshgrid":
        return len(tensors) * math.prod(map(size_of, tensors)), 0
    return sum(map(size_of, tensors)), 0


def compare(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short != "one_hot":
        return broadcast(tensors), 0
    classes = numbers_in([args[1:2], kwargs.get("num_classes", ())])
    return size_of(tensors[0]) * (int(classes[0]) if classes and classes[0] > 0 else UNKNOWN), 0


def reduce(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    if short in ("quantile", "nanquantile"):
        return math.prod(map(size_of, tensors)), 0
    if short == "diff":
        return sum(map(size_of, tensors)), 0
    return max(broadcast(tensors), *map(size_of, tensors), 1), 0


def pad(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    shape = [float(extent) for extent in tensors[0].shape]
    pads = numbers_in([args[1] if len(args) > 1 else kwargs.get("pad", ())])
    for place, (before, after) in enumerate(zip(pads[::2], pads[1::2], strict=False), start=1):
        if place <= len(shape):
            shape[-place] += before + after
    return product_of(shape), 0


def resample(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    """Bound by the given size times batch and channels, or by the scale on every axis."""
    images = tensors[0]
    axes = max(images.dim() - 2, 1)
    if short == "affine_grid":
        return product_of(numbers_in([args[1:2], kwargs.get("size", ())])) * 3, 0
    if short == "grid_sample":
        return images.shape[1] * math.prod(map(size_of, tensors[1:2])), 0
    if short.startswith(("interpolate", "upsample")):
        scale = kwargs.get("scale_factor", args[2] if len(args) > 2 else None)
        size = kwargs.get("size", args[1] if len(args) > 1 else None)
        if scale is not None:
            return product_of([float(size_of(images)), *per_axis(numbers_in([scale]), axes)]), 0
        return product_of([*map(float, images.shape[:2]), *per_axis(numbers_in([size]), axes)]), 0
    return size_of(images), 0


def expand(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    numbers = [abs(number) for number in numbers_in([args[1:], *kwargs.values()])]
    repeats = args[1] if len(args) > 1 else kwargs.get("repeats")
    if short == "repeat_interleave" and isinstance(repeats, Tensor):
        return size_of(tensors[0]) * max(int(repeats.sum()), 1), 0
    if short in ("repeat", "tile", "repeat_interleave"):
        return size_of(tensors[0]) * product_of(numbers), 0
    given = numbers_in([args[1:], *kwargs.values()])
    extents = [1.0] * (len(given) - tensors[0].dim()) + [float(extent) for extent in tensors[0].shape]
    sizes = [extent if size < 0 else size for size, extent in zip(given, extents, strict=False)]
    return max(product_of(sizes), broadcast(tensors)), 0


def pool(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    images = tensors[0]
    axes = next((int(letter) for letter in short if letter.isdecimal()), 2)
    outer = math.prod(images.shape[: images.dim() - axes])
    extents = [float(extent) for extent in images.shape[images.dim() - axes :]]
    if short.startswith("adaptive"):
        size = args[1] if len(args) > 1 else kwargs.get("output_size", ())
        wanted = list(size) if is_sequence(size) else [size] * axes
        out = [
            extent if want is None else max(*numbers_in([want]), 1.0)
            for want, extent in zip(wanted, extents, strict=False)
        ]
        return outer * product_of(out), outer * max(product_of(out), product_of(extents))
    at = 2 if short.startswith("lp") else 1
    kernel = per_axis(numbers_in([args[at : at + 1], kwargs.get("kernel_size", ())]), axes)
    padding = max(numbers_in([args[3:4], kwargs.get("padding", ())]), default=0.0)
    powers = math.prod(map(size_of, tensors[1:])) if short.startswith("lp") else 1
    elements = outer * product_of(extent + 2 * padding for extent in extents) * powers
    return elements, elements * product_of(kernel)


def unfold(short: str, tensors: list[Tensor], args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[int, int]:
    images = tensors[0]
    kernel = per_axis(numbers_in([args[1:2] if short == "unfold" else args[2:3], kwargs.get("kernel_size", ())]), 2)
    if short == "fold":
        size = per_axis(numbers_in([args[1:2], kwargs.get("output_size", ())]), 2)
        return product_of([float(size_of(images)), *size]), 0
    padding = max(numbers_in([args[3:4], kwargs.get("padding", ())]), default=0.0)
    grown = [float(extent) + 2 * padding for extent in images.shape[-2:]]
    return product_of([*map(float, images.shape[:-2]), *grown, *kernel]), 0
