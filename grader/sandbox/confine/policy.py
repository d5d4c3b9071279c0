"""The system calls that a child may make; every other one fails with EPERM.

The list was found by what Python, torch and the corpus of submissions really call, and each name on it was asked what
a stranger could do with it. Where a call is harmless only with some arguments, those are the rule. All arguments that
are compared are 32-bit numbers for the kernel, so their upper halves carry no meaning.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass

WHOLE = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Test:
    """An argument of a call, by its place from 0, must have these bits, under this mask."""

    argument: int
    bits: int
    mask: int = WHOLE


@dataclass(frozen=True, slots=True)
class Rule:
    """A system call that is allowed where all tests of one alternative hold, and answered `otherwise` elsewhere.

    One alternative without tests allows it always, no alternative never.
    """

    name: str
    alternatives: tuple[tuple[Test, ...], ...]
    otherwise: int = errno.EPERM


# What nobody can be harmed with: it reads, or acts on memory, time and threads of this process alone. Reading a file
# takes a descriptor, which `open` gives, and Landlock decides on that.
_FREE = """
read readv pread64 lseek close close_range write writev dup dup2 dup3
stat lstat fstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64 getcwd chdir
fadvise64 poll ppoll select pselect6
mmap munmap mremap mprotect madvise brk membarrier
futex set_robust_list set_tid_address rseq sched_yield sched_getaffinity getcpu exit exit_group
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getrusage
getpid getppid gettid getuid geteuid getgid getegid getpgrp getrlimit
uname sysinfo umask getrandom
""".split()

# A GPU's driver maps its devices, waits for them, asks where memory lies, and opens a local socket that it listens at;
# it can connect to none. No submission's code runs beside it.
_GPU = """
eventfd2 pipe2 mlock munlock mbind get_mempolicy set_mempolicy sched_getparam sched_getscheduler sched_get_priority_max
sched_get_priority_min bind listen setsockopt
""".split()
_AF_UNIX = 1

_O_PATH, _O_TMPFILE = 0o10000000, 0o20000000
_WRITING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC | _O_PATH | _O_TMPFILE

_CLONE_VM, _CLONE_THREAD = 0x100, 0x10000
# VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS, PARENT_SETTID, CHILD_CLEARTID, DETACHED, CHILD_SETTID: what C
# libraries ask for when they start a thread. A namespace is none of it.
_OF_THREADS = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000 | 0x80000 | 0x100000 | 0x200000 | 0x400000 | 0x1000000

_F_DUPFD, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL, _F_DUPFD_CLOEXEC = 0, 1, 2, 3, 4, 1030
_TCGETS, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = 0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451
_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA = 15, 16, 0x53564D41
_ARCH_XCOMP = (0x1021, 0x1022, 0x1023)  # asking for the matrix registers of newer Intel processors


def rules(own: int, *, gpu: bool = False) -> list[Rule]:
    """Return the rules for a process by its number; `gpu` adds what the driver of a GPU needs."""
    reading = Test(1, 0, _WRITING), Test(2, 0, _WRITING)
    thread = (Test(0, _CLONE_VM | _CLONE_THREAD, (~_OF_THREADS & WHOLE) | _CLONE_VM | _CLONE_THREAD),)
    found = [Rule(name, ((),)) for name in (*_FREE, *(_GPU if gpu else ()))]
    return [
        *found,
        # With a GPU, Landlock alone decides: it lets the driver's devices be written, and nothing else.
        *(_of_a_driver() if gpu else ()),
        Rule("open", ((),) if gpu else ((reading[0],),), errno.EROFS),
        Rule("openat", ((),) if gpu else ((reading[1],),), errno.EROFS),
        Rule("openat2", (), errno.ENOSYS),  # its flags lie in memory, out of a filter's sight
        Rule("clone", (thread,)),
        Rule("clone3", (), errno.ENOSYS),  # likewise; the C library then takes clone
        # No owner for a descriptor's signals, no locks, no leases: each of them reaches other processes.
        Rule("fcntl", _any_of(1, (_F_DUPFD, _F_DUPFD_CLOEXEC, _F_GETFD, _F_SETFD, _F_GETFL, _F_SETFL))),
        Rule(
            "ioctl",
            ((),) if gpu else _any_of(1, (_TCGETS, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX)),
            errno.ENOTTY,
        ),
        # Neither the parent-death signal nor dumpability can be taken back.
        Rule("prctl", _any_of(0, (_PR_SET_NAME, _PR_GET_NAME, _PR_SET_VMA))),
        Rule("arch_prctl", _any_of(0, _ARCH_XCOMP)),
        Rule("kill", _any_of(0, (own,))),
        Rule("tgkill", _any_of(0, (own,))),
        Rule("prlimit64", _any_of(0, (0, own))),
        Rule("sched_setaffinity", _any_of(0, (0, own))),
    ]


def _of_a_driver() -> list[Rule]:
    """A GPU's driver gives up on answers that it does not know: it is told what a plain user would be."""
    return [
        Rule("socket", _any_of(0, (_AF_UNIX,))),
        Rule("connect", (), errno.ENOENT),  # to a daemon that shares the GPU, where there is one
        *(Rule(name, (), errno.ENOENT) for name in ("unlink", "unlinkat")),  # of its socket's name, were it a file's
        *(Rule(name, (), errno.EACCES) for name in ("symlink", "symlinkat", "mkdir", "mkdirat")),
    ]


def _any_of(argument: int, values: Sequence[int]) -> tuple[tuple[Test, ...], ...]:
    return tuple((Test(argument, value),) for value in values)
