"""Frames over a connected socket: 8 bytes of length, little-endian, then that many bytes."""

from __future__ import annotations

import os
import struct

HEADER = struct.Struct("<Q")


class FrameError(Exception):
    """The other side broke the framing: too long a frame, or an end in the middle of one."""


class Channel:
    """Carries frames over a descriptor, for the side that may wait.

    It reads and writes as from a file: a confined process makes no socket calls.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def send(self, data: bytes) -> None:
        """Send one frame; raise OSError when nobody listens any more."""
        self._write(HEADER.pack(len(data)))
        self._write(data)

    def receive(self, cap: int) -> bytes | None:
        """Wait for one frame of at most `cap` bytes; None when the other side has closed between two frames."""
        header = bytearray(HEADER.size)
        read = self._fill(header)
        if read == 0:
            return None
        if read < HEADER.size:
            raise FrameError("the channel ended inside the length of a frame")
        length = HEADER.unpack(header)[0]
        if length > cap:
            raise FrameError(f"a frame of {length:,} bytes, the cap is {cap:,}")
        frame = bytearray(length)
        if self._fill(frame) < length:
            raise FrameError(f"the channel ended inside a frame of {length:,} bytes")
        return bytes(frame)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.descriptor, view) :]

    def _fill(self, buffer: bytearray) -> int:
        view = memoryview(buffer)
        filled = 0
        while filled < len(view):
            read = os.readv(self.descriptor, [view[filled:]])
            if read == 0:
                break
            filled += read
        return filled
