"""The system calls that Python does not offer."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4


def prctl(option: int, value: int = 0) -> int:
    """Get or set an attribute of this process; raise OSError when the kernel refuses."""
    return _checked(_libc().prctl(option, value, 0, 0, 0), f"prctl({option})")


def syscall(number: int, *arguments: Any) -> int:
    """Make a system call by its number; raise OSError when the kernel refuses.

    Bytes and buffers are passed as pointers, None as the null pointer, integers as whole registers.
    """
    from ctypes import c_long

    words = [c_long(item) if isinstance(item, int) else item for item in arguments]
    return _checked(_libc().syscall(c_long(number), *words), f"system call {number}")


def madvise(address: int, length: int, advice: int) -> None:
    """Give the kernel advice on a range of this process's memory; raise OSError when it does not take it."""
    from ctypes import c_size_t, c_void_p

    _checked(_libc().madvise(c_void_p(address), c_size_t(length), advice), f"madvise({advice})")


def malloc_trim() -> None:
    """Have the C library give back what it holds and nobody uses; one that does not know how keeps it."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@cache
def _libc() -> Any:
    import ctypes  # the front loads this module too, and needs nothing of it

    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library


def _checked(result: int, what: str) -> int:
    if result == -1:
        import ctypes

        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
