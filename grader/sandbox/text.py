"""The code of the libraries in large pages: a child that is forked finds it there, page by page it would have to ask.

A fork does not copy where the pages of a file are, so each child meets anew every page of code that it runs, some ten
thousand of 4 KiB, and its exit lets go of them one by one. Few kernels put a file's pages into large ones. So code that
is used is copied into anonymous memory, which they do, and put where it was: the same bytes at the same addresses, for
this process and its children alone. Node.js (`--use-largepages`) and HHVM do so too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from ctypes import memmove
from itertools import groupby
from mmap import PROT_EXEC, PROT_READ
from pathlib import Path

from grader.sandbox.linux import madvise, mmap, mprotect, mremap, munmap
from grader.sandbox.pages import COLLAPSE, LARGE

MACHINES = ("x86_64",)  # elsewhere caches of instructions would have to be told
PAGE = 4096
USED = LARGE // PAGE // 5  # pages, of a large one, that this process has met: less is not worth the memory
ENTRY = 8  # bytes in /proc/self/pagemap, the highest bit says that the page is there
EXECUTABLE = "r-xp"


def enlarge() -> None:
    """Put the code of the libraries that this process uses into large pages; what the kernel refuses stays as it is."""
    if os.uname().machine not in MACHINES:
        return
    with suppress(OSError):  # no large page is free, or memory that was written to must not be run
        for start, length in list(_used()):
            _replace(start, length)


def _used() -> Iterator[tuple[int, int]]:
    """Yield where code is used: the address and the length of one or more large pages."""
    with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:  # noqa: PTH123 - pathlib is slow here
        for start, end in _code():
            first, last = -(-start // LARGE), end // LARGE

            def is_used(number: int) -> bool:
                entries = os.pread(pagemap.fileno(), LARGE // PAGE * ENTRY, number * LARGE // PAGE * ENTRY)
                return sum(byte >> 7 for byte in entries[ENTRY - 1 :: ENTRY]) >= USED

            for used, numbers in groupby(range(first, last), is_used):
                if used:
                    found = list(numbers)
                    yield found[0] * LARGE, len(found) * LARGE


def _code() -> Iterator[tuple[int, int]]:
    """Yield the mappings of this process that hold the code of a library."""
    for line in Path("/proc/self/maps").read_text("utf-8", "replace").splitlines():
        addresses, rights, _, _, inode, *_ = line.split(maxsplit=5)
        if rights == EXECUTABLE and inode != "0":
            start, _, end = addresses.partition("-")
            yield int(start, 16), int(end, 16)


def _replace(start: int, length: int) -> None:
    """Put a copy in large pages in the place of some code; raise OSError, and change nothing, where it can't be."""
    room = mmap(length + LARGE)
    copy = -(-room // LARGE) * LARGE
    munmap(room, copy - room)
    munmap(copy + length, room + LARGE - copy)
    try:
        memmove(copy, start, length)
        madvise(copy, length, COLLAPSE)
        mprotect(copy, length, PROT_READ | PROT_EXEC)
        mremap(copy, length, start)
    except OSError:
        munmap(copy, length)
        raise
