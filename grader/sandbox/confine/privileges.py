"""Rights beyond those of a plain user's plain program: given up, and none to be gained."""

from __future__ import annotations

import os
import struct
import sys
from contextlib import suppress

from grader.sandbox.confine.machines import calls
from grader.sandbox.confine.state import Unavailable
from grader.sandbox.linux import (
    PR_CAP_AMBIENT,
    PR_CAP_AMBIENT_CLEAR_ALL,
    PR_CAPBSET_DROP,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    prctl,
    syscall,
)

_VERSION_3 = 0x20080522  # linux/capability.h
_MOST = 64  # capabilities that any kernel could know


def drop() -> str:
    """Give up every capability, for good, and hide this process from others; return what is in force, in words.

    The user stays the same: root's Python may lie where no other user can read it. Sources: capabilities(7), prctl(2).

    Raises:
        Unavailable: this is no Linux, or a capability could not be dropped.
    """
    if sys.platform != "linux":
        raise Unavailable("only Linux can forbid that rights are gained")
    prctl(PR_SET_NO_NEW_PRIVS, 1)  # a set-user-id program could not be killed
    rooted = os.geteuid() == 0
    if rooted:
        _drop_capabilities()
    prctl(PR_SET_DUMPABLE, 0)  # no other process of this user may look into it, nor change it
    return "no capabilities, and none can be gained" if rooted else "those of the user, and none can be gained"


def _drop_capabilities() -> None:
    for capability in range(_MOST):
        with suppress(OSError):  # EINVAL beyond the last one, EPERM where they are gone already
            prctl(PR_CAPBSET_DROP, capability)
    with suppress(OSError):  # kernels before 4.3 have no ambient ones
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    known = calls()
    if known is None:
        raise Unavailable(f"how to drop capabilities is not known for this machine ({os.uname().machine})")
    # struct __user_cap_header_struct, then two times effective, permitted and inheritable
    syscall(known.numbers["capset"], struct.pack("<Ii", _VERSION_3, 0), bytes(24))
