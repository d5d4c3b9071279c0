"""The seconds that training may take."""

from __future__ import annotations

from collections.abc import Callable


class BudgetEnded(Exception):
    """The budget is used up."""


class Budget:
    """Seconds since training began, on a monotonic clock; `limit` is None for as long as it takes."""

    def __init__(self, clock: Callable[[], float], limit: float | None) -> None:
        self._clock = clock
        self._began = clock()
        self.limit = limit

    @property
    def used(self) -> float:
        return self._clock() - self._began

    def check(self) -> None:
        """Raises BudgetEnded where the budget is used up."""
        if self.limit is not None and self.used > self.limit:
            raise BudgetEnded
