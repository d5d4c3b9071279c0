"""The self-test: a child tries, before a stranger's code runs in it, what that code must not be able to do.

A layer that was put in force without an error may still not hold: in a container, on an odd kernel, through a fault of
ours. So nothing is concluded from versions or return values alone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Literal

from grader.sandbox.confine.state import error_name
from grader.sandbox.control import Attempt

Guard = Literal["files", "calls"]


def testify(canary: str) -> tuple[Attempt, ...]:
    """Make every attempt, and tell of each whether it was stopped and how.

    `canary` is the path of a file of this user that must be out of reach; its folder is writable otherwise. Whatever an
    attempt opens or starts is gone when this returns.
    """
    return tuple(_attempt(name, guard, make, canary) for name, guard, make in ATTEMPTS)


def _attempt(name: str, guard: Guard, make: Callable[[str], None], canary: str) -> Attempt:
    try:
        make(canary)
    except OSError as error:
        return Attempt(name, guard, True, error_name(error))
    return Attempt(name, guard, False, "")


def _read(canary: str) -> None:
    os.close(os.open(canary, os.O_RDONLY))


def _write(canary: str) -> None:
    os.close(os.open(canary, os.O_WRONLY | os.O_APPEND))


def _create(canary: str) -> None:
    created = f"{canary}.{os.getpid()}"
    os.close(os.open(created, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    os.unlink(created)  # noqa: PTH108


def _connect(canary: str) -> None:
    import socket

    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _fork(canary: str) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _execute(canary: str) -> None:
    """Ask for a program that does not exist: where programs may be run, the system says that it isn't there."""
    try:
        os.execve("/nonexistent/program", ["program"], {})
    except (FileNotFoundError, NotADirectoryError):
        return


def _signal(canary: str) -> None:
    os.kill(os.getppid(), 0)  # 0 asks whether it could be done


def _limit(canary: str) -> None:
    import resource

    prlimit = getattr(resource, "prlimit", None)
    if prlimit is None:
        raise OSError(errno.ENOSYS, "not offered by this system")
    prlimit(os.getppid(), resource.RLIMIT_NOFILE)


ATTEMPTS: tuple[tuple[str, Guard, Callable[[str], None]], ...] = (
    ("read a file", "files", _read),
    ("write a file", "files", _write),
    ("make a file", "files", _create),
    ("open a socket", "calls", _connect),
    ("start a process", "calls", _fork),
    ("run a program", "calls", _execute),
    ("signal its parent", "calls", _signal),
    ("change its parent's limits", "calls", _limit),
)
