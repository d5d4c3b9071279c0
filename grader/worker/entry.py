"""Where a worker begins in a process of its own: the grader's modules are withdrawn, then the job is served.

A submission that asks for them by name must find what it would find at home: nothing. Frames and the garbage collector
still lead to them, so this makes looking harder, not impossible.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec
from types import ModuleType

import msgspec

from grader.protocol import CaptureJob, Probe
from grader.worker import environment, main, rehearsal

OURS = "grader"

for message in (CaptureJob, Probe):
    msgspec.msgpack.Decoder(message)  # resolves the types by the names of their modules, while there are such modules


@cache
def _ours() -> tuple[str, ...]:
    """Return the names of our modules: looked for once, where all are loaded, and not by each worker."""
    return tuple(name for name in sys.modules if name.partition(".")[0] == OURS)


class Withdrawn:
    """A finder that comes first and finds none of our modules."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] == OURS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def rehearse() -> None:
    """Do what every worker does, before any is forked."""
    _ours()
    environment.replacements()
    rehearsal.rehearse()


def serve(channel: main.Channel) -> None:
    """Withdraw our modules and answer one job."""
    for name in _ours():
        sys.modules.pop(name, None)
    sys.meta_path.insert(0, Withdrawn())
    main.serve(channel)
