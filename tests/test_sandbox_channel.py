from __future__ import annotations

import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.channel import Channel, FrameError


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_frames_arrive_as_they_were_sent(frames: list[bytes]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for frame in frames:
            Channel(ours.fileno()).send(frame)
        ours.shutdown(socket.SHUT_WR)
        received = [Channel(theirs.fileno()).receive(300) for _ in frames]
        assert (received, Channel(theirs.fileno()).receive(300)) == (frames, None)


def test_a_frame_larger_than_any_buffer_arrives_whole() -> None:
    ours, theirs = socket.socketpair()
    frame = bytes(range(256)) * 2**16
    with ours, theirs:
        sender = threading.Thread(target=Channel(ours.fileno()).send, args=(frame,))
        sender.start()
        assert Channel(theirs.fileno()).receive(len(frame)) == frame
        sender.join()


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (struct.pack("<Q", 11), "a frame of 11 bytes, the cap is 10"),
        (struct.pack("<Q", 2**64 - 1), "a frame of 18,446,744,073,709,551,615 bytes, the cap is 10"),
        (b"\x01\x00", "the channel ended inside the length of a frame"),
        (struct.pack("<Q", 5) + b"four", "the channel ended inside a frame of 5 bytes"),
    ],
)
def test_broken_frames_are_errors(sent: bytes, message: str) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(sent)
        with pytest.raises(FrameError) as error:
            Channel(theirs.fileno()).receive(10)
    assert str(error.value) == message
