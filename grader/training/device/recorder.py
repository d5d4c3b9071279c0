"""A step of training recorded as one CUDA graph: hundreds of kernels that one call of the driver starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import torch
from torch import Tensor

Act = Callable[[], None]


class Recorder(Protocol):
    """Records what a device does, and knows where its random numbers stand."""

    def numbers(self) -> Tensor:
        """Return where the random numbers stand."""

    def rewind(self, numbers: Tensor) -> None:
        """Go on with random numbers from where they stood."""

    def unwaiting(self) -> AbstractContextManager[None]:
        """Return a context in which an operator that waits for the device raises RuntimeError."""

    def record(self, act: Act) -> Act:
        """Return what does to the same tensors what `act` does, which is recorded and not done.

        Raises:
            RuntimeError: it can't be recorded. The random numbers are of no use until they are rewound.
        """


class Graphs:
    """The recorder of a CUDA device; it records on the current stream, which must not be the default one."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def numbers(self) -> Tensor:
        return generator_of(self.device).get_state()

    def rewind(self, numbers: Tensor) -> None:
        # A state of its own, not the old one set back: after a recording that failed, torch takes the old one for one
        # that is still recorded from, and refuses to draw.
        fresh = torch.Generator(self.device)
        fresh.set_state(numbers)
        generator_of(self.device).graphsafe_set_state(fresh)

    @contextmanager
    def unwaiting(self) -> Iterator[None]:
        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, act: Act) -> Act:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream(self.device)):
            act()
        return graph.replay


def generator_of(device: torch.device) -> torch.Generator:
    """Return the generator that operators draw from on a CUDA device."""
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
