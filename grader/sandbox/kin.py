"""Processes and their descendants: how the template ends a child together with everything that it started."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from grader.sandbox.linux import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl

SWEEP_SECONDS = 5.0
_LISTED = "/proc/thread-self/children"  # of the one thread that the template has


def adopt_orphans() -> None:
    """Make every descendant that loses its parent a child of this process, whatever session it has moved to."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent dies; a parent that is dead already counts."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def threads() -> int:
    """Return the number of threads of this process; 1 where the system does not say."""
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.exists() else 1


def end(pid: int, grace: float) -> tuple[int, bool]:
    """End a child and its process group, and reap it; return its exit code and whether it had to be killed."""
    killed = not _ends_within(pid, grace)
    _kill(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), killed


def sweep(keep: Collection[int]) -> int:
    """Kill and reap every child that is not kept, and in turn what those leave behind; return how many are left.

    A killed process hands its own children over to this one, so direct children are all that is ever looked for; they
    stay unreaped until here, so no number can mean another process by now.
    """
    deadline = time.monotonic() + SWEEP_SECONDS
    while strays := _children() - set(keep):
        if time.monotonic() > deadline:
            return len(strays)
        for pid in strays:
            _kill(pid)
        for pid in strays:
            os.waitpid(pid, 0)
    return 0


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # between fork and setsid it has no group of its own
        group = os.getpgid(pid)
        if group != os.getpgid(0):
            os.killpg(group, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)


def _ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    # WNOWAIT leaves the zombie: its group's number stays taken until the group is killed.
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.001)
    return True


def _children() -> set[int]:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()  # none at all: the usual case where one submission is graded at a time
    try:
        # Complete, as this process alone reaps what is listed, and newcomers are listed last: see man 5 proc.
        with open(_LISTED, "rb") as file:  # noqa: PTH123 - pathlib is slow here
            return set(map(int, file.read().split()))
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        me = os.getpid()
        return {int(name) for name in os.listdir("/proc") if name.isdigit() and _parent(name) == me}  # noqa: PTH208


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is slow here
            stat = file.read()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[1])  # the name before it may hold anything, also ')'
