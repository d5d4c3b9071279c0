"""The memory that a process shares with all that it will be forked into: so laid out that little of it is copied.

A fork copies the table of a process's pages, an exit takes it apart, and each first write to a shared page costs a
fault and a copy. Of what importing torch leaves behind that is longer work, for a child, than to be confined.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from grader.sandbox.linux import align_break, madvise, malloc_trim, tune_malloc

COLLAPSE = 25  # MADV_COLLAPSE of madvise(2), Linux 6.1
LARGE = 2 << 20  # bytes; where a machine's large pages are larger the kernel refuses, and all stays as it is

# Objects/obmalloc.c of CPython: blocks of up to 512 bytes come from pools, pools from arenas.
BLOCKS = range(48, 513, 16)
POOL, ARENA = 16 << 10, 1 << 20
HEADER = 40  # bytes at most that a `bytes` takes beyond its contents and up to the next size of block
MOST = 300_000  # blocks of one size: an end, should another Python hand them out in another order

_kept: list[bytes] = []


def pack() -> None:
    """Take the free blocks between the objects that are there: those of a child then lie together, on pages of its own.

    Some 2 MB are taken. What the C library holds is given back to the kernel, from which a child gets it zeroed.
    """
    for size in BLOCKS:
        _kept.extend(_until_in_a_row(size, POOL // size))
    last = _until_in_a_row(BLOCKS[-1], 3 * ARENA // (4 * BLOCKS[-1]))  # an arena that nobody has used yet
    _kept.extend(last[: -3 * ARENA // (4 * BLOCKS[-1])])
    malloc_trim()
    tune_malloc(mmap_threshold=16 * LARGE, trim_threshold=32 * LARGE)
    align_break(LARGE)


def _until_in_a_row(size: int, count: int) -> list[bytes]:
    """Take blocks of a size until so many of them come one after the other, as from new memory."""
    taken: list[bytes] = []
    row = last = 0
    while row < count and len(taken) < MOST:
        taken.append(bytes(size - HEADER))
        row = row + 1 if 0 < id(taken[-1]) - last <= 4 * size else 0
        last = id(taken[-1])
    return taken


def enlarge() -> None:
    """Put the anonymous memory of this process into large pages, as far as the kernel can: their table is short."""
    for start, end in _anonymous():
        first, last = -(-start // LARGE) * LARGE, end // LARGE * LARGE
        if first < last:
            with suppress(OSError):
                madvise(first, last - first, COLLAPSE)


def _anonymous() -> Iterator[tuple[int, int]]:
    """Yield the mappings of this process that are private, writable and of no file: the heap, and what is like it."""
    try:
        lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for line in lines:
        addresses, rights, _, _, inode, *name = line.split(maxsplit=5)
        if rights == "rw-p" and inode == "0" and (not name or name[0] == "[heap]"):
            start, _, end = addresses.partition("-")
            yield int(start, 16), int(end, 16)
