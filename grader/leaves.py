"""What the checks need to know of the numbers in a tensor that no node computes: how many stand for the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from grader.facts import Leaf

ENDS = 2  # numbers from which those that are evenly spaced between and after them follow
FEW = 64  # numbers among which no rule shows
SHORT = 5  # an axis along which none shows
SAMPLED = 512  # numbers along an axis that are looked at
UNPREDICTED = 0.5  # of the variance: of numbers that were drawn, nearly all is
ROUNDING = 4  # in units of the last place: what torch.linspace and a few operations on it are off by


def leaf(tensor: Tensor, *, exact: bool = False) -> Leaf:
    """Return what the checks need of a tensor.

    `distinct` counts one along an axis where the tensor repeats itself, two where it rises or falls evenly, as
    coordinates do, and one above and one below the diagonal of a causal mask. With `exact`, what is only evenly spaced
    but for rounding is not.
    """
    numbers = tensor.detach()
    largest = _largest(numbers)
    for axis in range(numbers.dim()):
        numbers = numbers.narrow(axis, 0, _needed(numbers, axis, 0 if exact else ROUNDING, largest))
    binary = bool(((numbers == 0) | (numbers == 1)).all())
    whole = not tensor.is_floating_point()
    return Leaf(tensor.numel(), ENDS if _is_causal(numbers) else numbers.numel(), binary, whole)


def evened(tensor: Tensor) -> Tensor:
    """Return a tensor with the numbers that are evenly spaced but for rounding computed from the first and the last."""
    numbers = tensor.detach()
    if not numbers.is_floating_point():
        return numbers
    largest = _largest(numbers)
    for axis in range(numbers.dim()):
        extent = numbers.shape[axis]
        if extent > ENDS and _needed(numbers, axis, ROUNDING, largest) == ENDS:
            place = torch.arange(extent, dtype=torch.float64) / (extent - 1)
            weights = place.view(-1, *[1] * (numbers.dim() - 1 - axis))
            first, last = numbers.double().narrow(axis, 0, 1), numbers.double().narrow(axis, extent - 1, 1)
            numbers = torch.lerp(first, last, weights).to(tensor.dtype)
            largest = _largest(numbers)
    return numbers


def _needed(numbers: Tensor, axis: int, rounding: int, largest: float) -> int:
    """Return how many numbers along an axis the others there follow from; none is larger than `largest`."""
    extent = numbers.shape[axis]
    if extent < ENDS:
        return extent
    if not numbers.numel():
        return 1
    beginning = numbers.narrow(axis, 0, min(extent, ENDS + 1))  # most tensors need not be looked at as a whole
    edge = beginning[tuple([slice(None) if place == axis else 0 for place in range(numbers.dim())])].double().tolist()
    if edge[0] == edge[1] and torch.equal(numbers.narrow(axis, 0, 1).expand_as(numbers), numbers):
        return 1
    is_even = (
        extent > ENDS
        and abs((edge[2] - edge[1]) - (edge[1] - edge[0])) <= rounding * _precision(numbers.dtype) * largest
        and all(_is_evenly_spaced(part, axis, rounding) for part in (beginning, numbers))
    )
    return ENDS if is_even else extent


def _largest(numbers: Tensor) -> float:
    return float(numbers.double().abs().max()) if numbers.numel() else 0.0


def _is_evenly_spaced(numbers: Tensor, axis: int, rounding: int) -> bool:
    wide = numbers.double()
    bends = wide.diff(n=2, dim=axis).abs()
    return bool((bends <= rounding * _precision(numbers.dtype) * wide.abs().max()).all())


def _precision(dtype: torch.dtype) -> float:
    """Return the part of a number that may be rounding; the low bits of wide types could hold other numbers."""
    precision = torch.finfo(dtype).eps if dtype.is_floating_point else 0.0
    return min(precision, torch.finfo(torch.float32).eps)


def _is_causal(numbers: Tensor) -> bool:
    """Tell of a square that is one number up to its diagonal and another one above: what hides later positions."""
    square = numbers.squeeze()
    if square.dim() != 2 or square.shape[0] != square.shape[1] or len(square) <= ENDS:
        return False
    lower = torch.ones_like(square, dtype=torch.bool).tril()
    return torch.equal(torch.where(lower, square[0, 0], square[0, -1]), square)


def scattered(tensor: Tensor) -> int:
    """Return how many numbers look drawn, one for those that repeat along an axis.

    None do where along some axis they follow from those before, as the numbers of a formula do, or are few.
    """
    numbers = tensor.detach().double()
    if not numbers.numel():
        return 0
    for axis in range(numbers.dim()):
        if torch.equal(numbers.narrow(axis, 0, 1).expand_as(numbers), numbers):
            numbers = numbers.narrow(axis, 0, 1)
    extents = [(axis, extent) for axis, extent in enumerate(numbers.shape) if extent > SHORT]
    if not extents or numbers.numel() <= FEW or not bool(numbers.isfinite().all()):
        return 0
    rows = (numbers.movedim(axis, 0).reshape(extent, -1)[:SAMPLED, :SAMPLED] for axis, extent in extents)
    return 0 if any(map(_is_predicted, rows)) else numbers.numel()


def _is_predicted(rows: Tensor) -> bool:
    """Tell whether each row is a linear function of the two before it, but for a part of its variance."""
    known = torch.stack([rows[:-2].flatten(), rows[1:-1].flatten(), torch.ones_like(rows[2:]).flatten()], 1)
    wanted = rows[2:].reshape(-1, 1)
    rest = wanted - known @ torch.linalg.lstsq(known, wanted, driver="gelsd").solution
    return float(rest.square().sum()) <= UNPREDICTED * float((wanted - wanted.mean()).square().sum())
