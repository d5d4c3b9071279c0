"""Lanes: several trainings on one CUDA device at once, none of which feels the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from grader.training.device.recorder import generator_of
from grader.training.turns import Turns

SPARE = 2  # times the memory of the average training must be free where another begins


class Lane:
    """A stream, and a state of the random numbers, that one training alone uses.

    Recorded steps read the state in memory of the device: two that shared one would read each other's.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))  # which the images were copied on
        self._numbers = torch.Generator(device)

    @contextmanager
    def entered(self) -> Iterator[None]:
        generator = generator_of(self._device)
        others = generator.graphsafe_get_state()
        generator.graphsafe_set_state(self._numbers)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._numbers = generator.graphsafe_get_state()  # a recorder may have put another in its place
            generator.graphsafe_set_state(others)

    def carry(self, work: Turns[None]) -> Turns[None]:
        """Do work on this lane, one turn after the other."""
        while True:
            with self.entered():
                try:
                    next(work)
                except StopIteration:
                    return
            yield


def has_room(running: int) -> bool:
    """Tell whether the current device has memory for one more training beside so many."""
    free, _ = torch.cuda.mem_get_info()
    return free * running > SPARE * torch.cuda.max_memory_reserved()
