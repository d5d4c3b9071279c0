"""How many numbers of a tensor stand for the rest: repeated and evenly spaced ones say no more than their first."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grader.facts import Leaf
from grader.leaves import evened, leaf, scattered

RANDOM = torch.randn(6, 5, 4, generator=torch.Generator().manual_seed(1))
RAMP = torch.linspace(-1, 1, 28)
GRID = torch.stack(torch.meshgrid(RAMP, RAMP, indexing="ij"))
LOW = torch.rand(28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("tensor", "distinct"),
    [
        (RANDOM, 120),
        (RANDOM[:1].expand(6, 5, 4), 20),
        (RANDOM[:, :1, :1].expand(6, 5, 4), 6),
        (torch.ones(6, 5), 1),
        (torch.zeros(()), 1),
        (torch.zeros(0, 3), 0),
        (RAMP, 2),
        (RAMP.bfloat16(), 28),  # rounded to 8 bits, it is no longer even
        (torch.arange(28), 2),
        (torch.arange(28) ** 2, 28),
        (torch.arange(28.0).flip(0) * 0.37 - 3, 2),
        (GRID, 8),
        (torch.outer(torch.tensor([1.0, 5.0, 2.0]), RAMP), 6),
        (RAMP.double() + 1e-9 * LOW, 28),  # other numbers in the low bits
        (torch.ones(28, 28).tril(), 2),
        (torch.full((28, 28), float("-inf")).triu(1), 2),
        (torch.ones(1, 1, 28, 28).tril() == 1, 2),
        (torch.ones(28, 28).tril(-1), 784),
        (torch.eye(28), 784),
        (torch.tensor([True, False, True]), 3),
        (torch.full((3,), float("nan")), 3),
    ],
)
def test_numbers_that_follow_from_others_are_left_out(tensor: Tensor, distinct: int) -> None:
    assert leaf(tensor).distinct == distinct


TERNARY = 1 + torch.randint(-1, 2, (28,), generator=torch.Generator().manual_seed(1)) * 2.0**-23


def test_what_may_be_rounding_counts_where_it_is_used() -> None:
    assert [leaf(tensor, exact=True).distinct for tensor in (TERNARY, RAMP, torch.arange(28), torch.ones(28))] == [
        28,
        28,
        2,
        1,
    ]


@pytest.mark.parametrize("tensor", [TERNARY, RAMP, GRID, GRID.double(), torch.arange(9.0)[:, None] - torch.arange(7)])
def test_evened_numbers_are_the_same_but_for_rounding(tensor: Tensor) -> None:
    even = evened(tensor)
    assert (even.dtype, even.shape, leaf(even).distinct) == (tensor.dtype, tensor.shape, leaf(tensor).distinct)
    torch.testing.assert_close(even, tensor, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "tensor", [RANDOM, torch.arange(28), torch.zeros(0, 3), torch.ones(4, 4)], ids=lambda t: str(t.shape)
)
def test_what_is_not_almost_even_stays_as_it_is(tensor: Tensor) -> None:
    assert torch.equal(evened(tensor), tensor)


def test_evened_numbers_hold_nothing_in_their_low_bits() -> None:
    assert len(set(evened(TERNARY).tolist())) <= 3


def test_a_leaf_tells_its_size_and_whether_it_is_a_mask() -> None:
    mask = torch.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    assert (leaf(mask), leaf(2 * mask)) == (Leaf(6, 6, True), Leaf(6, 6, False))


DRAWN = torch.randn(400, generator=torch.Generator().manual_seed(1))
PLACES = torch.linspace(-1, 1, 40)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (DRAWN, 400),
        (DRAWN.expand(3, 400), 400),
        (DRAWN.view(10, 40), 400),
        (DRAWN[:60], 0),
        (torch.exp(-(PLACES[:, None] ** 2) - PLACES**2), 0),
        (PLACES**3 - PLACES[:, None], 0),
        (torch.hypot(PLACES, PLACES[:, None]), 0),
        (torch.full((20, 20), 3.0), 0),
        (torch.full((20, 20), float("nan")), 0),
        (torch.empty(3, 0, 100), 0),
    ],
    ids=["drawn", "repeated", "a table", "few", "a bell", "a cubic", "distances", "even", "not finite", "none"],
)
def test_numbers_that_look_drawn(numbers: Tensor, expected: int) -> None:
    assert scattered(numbers) == expected
