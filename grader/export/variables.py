"""Names for what a forward computes: a variable is given to another tensor once nothing reads the first any more."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

from grader.export.steps import INPUT, Forward, Step, last_reads
from grader.graph import Ref, refs

FIRST = ("x", "y", "z")  # the first is forward's own argument
UNREAD = "_"


class Variables:
    """The variables of one forward, step by step; `fixed` are expressions for tensors that outlive it."""

    def __init__(self, forward: Forward, fixed: Mapping[int, str]) -> None:
        self._fixed = fixed
        self._last = last_reads(forward.steps, forward.output, *(Ref(taken) for _, taken in forward.updates))
        self._numbers = {INPUT: 0}  # a tensor → the number of its variable
        self._free: list[int] = []  # a heap: the first variables come back first
        self._count = 1

    def __getitem__(self, key: int) -> str:
        """Return the expression for a tensor."""
        return self._fixed.get(key) or _name(self._numbers[key])

    def results(self, number: int, step: Step) -> tuple[str, ...]:
        """Return what the results of a step are assigned to; variables that it reads last become free before."""
        read = dict.fromkeys(refs(*step.node.args, *step.node.kwargs.values()))
        spent = [self._numbers.pop(key) for key in read if self._is_spent(key, number, step)]
        names = tuple([self._result(key, spent) for key in step.node.outputs])
        for left in spent:
            heapq.heappush(self._free, left)
        return names

    def _is_spent(self, key: int, number: int, step: Step) -> bool:
        return key in self._numbers and self._last[key] == number and key not in step.node.outputs

    def _result(self, key: int, spent: list[int]) -> str:
        if key in self._fixed or key not in self._last:
            return UNREAD
        if key not in self._numbers:
            self._numbers[key] = spent.pop(0) if spent else heapq.heappop(self._free) if self._free else self._new()
        return _name(self._numbers[key])

    def _new(self) -> int:
        self._count += 1
        return self._count - 1


def _name(number: int) -> str:
    return FIRST[number] if number < len(FIRST) else f"{FIRST[0]}{number - len(FIRST) + 1}"
