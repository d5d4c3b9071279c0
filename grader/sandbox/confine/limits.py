"""Resource limits: what a child may take of the machine before the kernel refuses it more."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from pathlib import Path

from grader.sandbox.confine.state import Unavailable

MARGIN = 3 << 29  # bytes of address space beyond what the imports took: 1.5 GiB
PER_THREAD = 256 << 20  # a stack, and the two heaps that the C library reserves for it
CPU_GRACE = 30.0  # seconds: the wall clock decides first, this one counts when nobody watches it
DESCRIPTORS = 64
PROCESSES = 512


def restrict(*, seconds: float, threads: int) -> str:
    """Limit everything but memory, for good; return what is in force, in words.

    `seconds` is what the process is given by the wall clock, each of its `threads` may use that much of a processor.
    Files are limited to no bytes at all: what is open already (pipes, the channel) is no file.

    Raises:
        Unavailable: the system has no such limits.
    """
    try:
        import resource
    except ImportError:
        raise Unavailable("this system has no resource limits") from None
    _go_first()
    processor = math.ceil(min(seconds, 1e6) * threads + CPU_GRACE)
    wanted = {
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_NOFILE": (DESCRIPTORS, DESCRIPTORS),
        "RLIMIT_MEMLOCK": (0, 0),
        "RLIMIT_MSGQUEUE": (0, 0),
        "RLIMIT_CPU": (processor, processor + 5),
    }
    for name, (soft, hard) in wanted.items():
        kind = getattr(resource, name, None)  # the last is Linux's alone
        if kind is not None:
            ceiling = _ceiling(kind)
            resource.setrlimit(kind, (min(soft, ceiling), min(hard, ceiling)))
    return f"no files, no core, {DESCRIPTORS} descriptors"


def _go_first() -> None:
    """Have the kernel end this process before any other where the machine's memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")


def restrict_memory(threads: int) -> int:
    """Limit the address space to its present size and a margin, for good; return the limit in bytes.

    The present size counts, for builds of torch differ by gigabytes.

    Raises:
        Unavailable: the system does not bound it, or does not tell its size.
    """
    if sys.platform != "linux":
        raise Unavailable("this system does not bound the address space")
    import resource

    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    limit = min(pages * resource.getpagesize() + MARGIN + threads * PER_THREAD, _ceiling(resource.RLIMIT_AS))
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return limit


def restrict_processes() -> str:
    """Allow as few processes and threads as gradings side by side need, for good; return how many, in words.

    The kernel counts them for the whole user, so this is for a user namespace, where they are this grader's alone.
    """
    import resource

    most = min(PROCESSES, _ceiling(resource.RLIMIT_NPROC))
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    return f"{most} threads"


def _ceiling(kind: int) -> int:
    """Return how high a limit may be set: its hard value, and infinity as a number."""
    import resource

    hard = resource.getrlimit(kind)[1]
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
