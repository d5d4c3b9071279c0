"""System calls by their numbers, for attacks that go round the C library and Python."""

from __future__ import annotations

from textwrap import dedent

CALL = """
import ctypes
import os
import platform

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(x86, arm, *arguments):
    number = x86 if platform.machine() == "x86_64" else arm
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    result = libc.syscall(ctypes.c_long(number), *words)
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


def with_calls(code: str) -> str:
    """Return an attack's code with a function `call(number on x86-64, number on aarch64, …)` and the C library."""
    return CALL + dedent(code)
