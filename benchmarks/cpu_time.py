"""What a piece of work costs: seconds of the clock, and CPU time of all processes that it starts.

The system adds a process's time to its parent's when the parent waits for it. Those that end with the namespace of
their sandbox are waited for by nobody: so all are looked at, four times a second. Only Linux shows them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LOOK_EVERY = 0.25  # seconds: at most this much of a process's end is missed
STATE, PARENT, USER, SYSTEM, STARTED = (
    0,
    1,
    11,
    12,
    19,
)  # fields of /proc/PID/stat, counted behind the name (man 5 proc)

Process = tuple[int, int]  # number and start: numbers are used again


class Watch:
    """Watches this process and those that it starts in a `with` block; `seconds` and `cpu` tell what was spent."""

    def __enter__(self) -> Watch:
        self.seconds = self.cpu = 0.0
        self._ticks = self._earlier = descendants()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, daemon=True)
        self._own, self._began = time.process_time(), time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
        self._ended.set()
        self._thread.join()
        ticks = sum(self._ticks.values()) - sum(self._earlier.values())
        self.cpu = time.process_time() - self._own + ticks / os.sysconf("SC_CLK_TCK")

    def _look_again_and_again(self) -> None:
        while not self._ended.wait(LOOK_EVERY):
            self._ticks = {**self._ticks, **descendants()}


def descendants() -> dict[Process, int]:
    """Return the processes that this one has started, and those that they have, each with its CPU time in ticks."""
    family = {os.getpid()}
    found: dict[Process, int] = {}
    for started, pid, fields in sorted(_processes()):  # parents before their children
        if int(fields[PARENT]) in family:
            family.add(pid)
            found[pid, started] = int(fields[USER]) + int(fields[SYSTEM])
    return found


def living() -> set[Process]:
    """Return the processes of this machine that have not ended; one that nobody has waited for yet has."""
    return {(pid, started) for started, pid, fields in _processes() if fields[STATE] not in "ZX"}


def _processes() -> Iterator[tuple[int, int, list[str]]]:
    """Yield start, number and fields of each process."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = path.read_text().rpartition(")")[2].split()
            yield int(fields[STARTED]), int(path.parent.name), fields
