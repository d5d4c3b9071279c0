"""Landlock: this process, and all that it starts, opens files below a few folders for reading, and nothing else.

Sources: landlock(7), `linux/landlock.h`, the kernel's guide `Documentation/userspace-api/landlock.rst`. What a kernel
offers is found by asking: some report a version and refuse its features all the same, so on EINVAL one less is tried,
as the Go library of Landlock's authors does.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from grader.sandbox.confine.machines import calls
from grader.sandbox.confine.state import Unavailable, error_name
from grader.sandbox.kin import threads
from grader.sandbox.linux import PR_SET_NO_NEW_PRIVS, prctl, syscall

_CREATE_VERSION = 1
_RULE_PATH_BENEATH = 1

# linux/landlock.h: rights on files, one bit each, in the order in which they came
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST_RIGHTS = (1 << 13) - 1  # execute, write, read, list, and all that makes or removes an entry
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_WRITING = _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV  # what is there, not what could be made
_TCP = 0b11  # bind and connect
_SCOPES = 0b11  # abstract Unix sockets, signals

# version → (rights on files, on the network, scopes) that it is the first to know
_ABIS: tuple[tuple[int, tuple[int, int, int]], ...] = (
    (6, (_FIRST_RIGHTS | _REFER | _TRUNCATE | _IOCTL_DEV, _TCP, _SCOPES)),
    (5, (_FIRST_RIGHTS | _REFER | _TRUNCATE | _IOCTL_DEV, _TCP, 0)),
    (4, (_FIRST_RIGHTS | _REFER | _TRUNCATE, _TCP, 0)),
    (3, (_FIRST_RIGHTS | _REFER | _TRUNCATE, 0, 0)),
    (2, (_FIRST_RIGHTS | _REFER, 0, 0)),
    (1, (_FIRST_RIGHTS, 0, 0)),
)

_REASONS = {
    errno.ENOSYS: "the kernel has no Landlock, or a container forbids it (ENOSYS)",
    errno.EOPNOTSUPP: "Landlock is switched off in the kernel (EOPNOTSUPP)",
    errno.EPERM: "a container forbids Landlock (EPERM)",
}


def restrict(readable: Iterable[str], writable: Iterable[str] = ()) -> str:
    """Give up all files but those below `readable`, and devices of `writable`; return what is in force, in words.

    Paths that do not exist are left out. It covers the calling thread and what it starts, so it must be the only one.

    Raises:
        Unavailable: the kernel has no Landlock, or other threads would stay free.
    """
    known = calls()
    if known is None:
        raise Unavailable(f"the numbers of its system calls are not known for this machine ({os.uname().machine})")
    others = threads() - 1
    if others:
        raise Unavailable(f"{others} threads, started before, would escape it")
    numbers = known.numbers
    try:
        reported = syscall(numbers["landlock_create_ruleset"], None, 0, _CREATE_VERSION)
        abi, rights, ruleset = _ruleset(numbers["landlock_create_ruleset"], reported)
    except OSError as error:
        name = error_name(error)
        raise Unavailable(_REASONS.get(error.errno or 0, f"the kernel refuses a ruleset ({name})")) from None
    try:
        for path in readable:
            _allow(numbers["landlock_add_rule"], ruleset, path, _READ_FILE | _READ_DIR)
        for path in writable:
            _allow(numbers["landlock_add_rule"], ruleset, path, _WRITING & rights)
        prctl(PR_SET_NO_NEW_PRIVS, 1)  # without it, only root may restrict itself
        syscall(numbers["landlock_restrict_self"], ruleset, 0)
    except OSError as error:
        raise Unavailable(f"the kernel refuses to restrict ({error_name(error)})") from None
    finally:
        os.close(ruleset)
    return f"Landlock (ABI {abi}): libraries can be read, nothing written"


def _ruleset(number: int, reported: int) -> tuple[int, int, int]:
    """Return the version that works, its rights on files, and a ruleset that denies them all."""
    refused = OSError(errno.EINVAL, "no version of Landlock is known to both sides")
    for abi, (files, network, scopes) in _ABIS:
        if abi > reported:
            continue
        size = 24 if scopes else 16 if network else 8  # struct landlock_ruleset_attr grew field by field
        try:
            return abi, files, syscall(number, struct.pack("<QQQ", files, network, scopes), size, 0)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.E2BIG):
                raise
            refused = error
    raise refused


def _allow(number: int, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there, or not ours to see, needs no rule
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - a right on folders is refused for a file
            rights &= ~_READ_DIR
        syscall(number, ruleset, _RULE_PATH_BENEATH, struct.pack("<Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)
