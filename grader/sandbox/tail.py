"""The end of a stream that nobody waits for."""

from __future__ import annotations

import os
import selectors
import time

KEPT_BYTES = 64 * 1024
_DRAIN_READS = 32  # more than a full pipe holds, and not for ever if somebody keeps writing


class Tail:
    """The last bytes that came out of a pipe; earlier ones are read and dropped, so that the writer never waits."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._kept = b""

    def fileno(self) -> int:
        """Return the pipe's descriptor, for a selector."""
        return self._descriptor

    def read(self) -> bool:
        """Take in what is there now; False at the end of the stream."""
        return self._take() != b""

    def drain(self) -> None:
        """Take in what the pipe still holds."""
        for _ in range(_DRAIN_READS):
            if not self._take():
                break

    def drain_for(self, seconds: float) -> None:
        """Take in what comes until the stream ends, but no longer than `seconds`."""
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                if selector.select(left) and not self.read():
                    break

    def close(self) -> None:
        """Close the pipe; what was kept stays."""
        os.close(self._descriptor)

    def text(self) -> str:
        """Return what was kept, with replacement characters for what is not UTF-8."""
        return self._kept.decode("utf-8", "replace")

    def _take(self) -> bytes | None:
        try:
            data = os.read(self._descriptor, KEPT_BYTES)
        except BlockingIOError:
            return None
        self._kept = (self._kept + data)[-KEPT_BYTES:]
        return data
