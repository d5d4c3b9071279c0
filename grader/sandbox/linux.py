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

# name, result and arguments of what is given addresses: ctypes takes a number for a C int
_SIGNATURES = (
    ("madvise", "c_int", "c_void_p c_size_t c_int"),
    ("sbrk", "c_ssize_t", "c_ssize_t"),
)
_MALLOPT = {"trim_threshold": -1, "top_pad": -2, "mmap_threshold": -3}  # malloc.h


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
    _checked(_libc().madvise(address, length, advice), f"madvise({advice})")


def malloc_trim() -> None:
    """Have the C library give back what it holds and nobody uses; one that does not know how keeps it."""
    trim = getattr(_libc(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def tune_malloc(**settings: int) -> None:
    """Set parameters of the C library's allocator, by their names in mallopt(3); another C library ignores them."""
    tune = getattr(_libc(), "mallopt", None)
    if tune is not None:
        for name, value in settings.items():
            tune(_MALLOPT[name], value)


def align_break(size: int) -> None:
    """Move the end of the heap up to a multiple of a size, where the C library lets it be moved."""
    move = getattr(_libc(), "sbrk", None)
    if move is not None:
        move(-_checked(move(0), "sbrk") % size)


@cache
def _libc() -> Any:
    import ctypes  # the front loads this module too, and needs nothing of it

    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    for name, result, arguments in _SIGNATURES:
        if function := getattr(library, name, None):
            function.restype = getattr(ctypes, result)
            function.argtypes = [getattr(ctypes, argument) for argument in arguments.split()]
    return library


def _checked(result: int, what: str) -> int:
    if result == -1:
        import ctypes

        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result
