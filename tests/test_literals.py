"""How many phrases a sequence of numbers in Python code is made of: what repeats tells nothing new."""

from __future__ import annotations

import random

import pytest

from grader.checks._literals import phrases

DRAWN = random.Random(1).choices((0.5, 0.25, -0.3, 0.7), k=400)


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([], 0), ([1.5], 1), ([1.5, 2.5, 3.5], 3), ([2.0] * 6, 3), ([0.5, 3.0, 6.0] * 20, 18)],
)
def test_phrases(numbers: list[float], expected: int) -> None:
    assert phrases(numbers) == expected


def test_a_palette_has_many_phrases() -> None:
    assert 100 < phrases(DRAWN) < len(DRAWN) / 2
