"""Points as the files of learning platforms write them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

_AMOUNT = re.compile(r"-?\d+(?:[.,]\d+)?", re.ASCII)

Mark = Literal[".", ","]


def amount(text: str) -> Decimal | None:
    """Return the number that a cell holds, with a decimal point or a decimal comma; None where it holds none."""
    return Decimal(text.replace(",", ".")) if _AMOUNT.fullmatch(text) else None


def decimal_mark(texts: Iterable[str]) -> Mark:
    """Return the decimal mark of a file: the comma where some number of it has one."""
    return "," if any("," in text and _AMOUNT.fullmatch(text) for text in texts) else "."


def decimals(text: str) -> int:
    """Return how many decimals a cell has."""
    found = amount(text)
    exponent = 0 if found is None else found.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def rounded(value: Decimal, places: int) -> Decimal:
    """Return points with so many decimals, halves away from zero, as people round."""
    return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def written(value: Decimal, mark: Mark) -> str:
    return f"{value:f}".replace(".", mark)
