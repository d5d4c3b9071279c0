"""A filter of system calls, assembled from the policy and put in force for every thread of this process.

Sources: seccomp(2), `linux/seccomp.h`, `linux/filter.h` (classic BPF), and the kernel's guide
`Documentation/userspace-api/seccomp_filter.rst`, whose pitfalls (the architecture before the number, other ABIs of the
same machine) are minded here.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from grader.sandbox.confine.machines import AUDIT_ARCH, Calls, calls
from grader.sandbox.confine.policy import WHOLE, Rule, Test, rules
from grader.sandbox.confine.state import Unavailable, error_name
from grader.sandbox.linux import PR_SET_NO_NEW_PRIVS, prctl, syscall

# BPF: load a word, and, jump if equal, return
_LD, _AND, _JEQ, _RET = 0x20, 0x54, 0x15, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16  # offsets in struct seccomp_data; the low half of an argument comes first on both machines

_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_SET_MODE_FILTER, _TSYNC = 1, 1

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def install(*, gpu: bool) -> str:
    """Put the filter in force, for good; return what it is, in words.

    Raises:
        Unavailable: there is no table for this machine, or the kernel takes no filter.
    """
    known = calls()
    if known is None:
        raise Unavailable(f"there is no list of system calls for this machine ({os.uname().machine})")
    allowed = [rule for rule in rules(os.getpid(), gpu=gpu) if rule.name in known.numbers]
    prctl(PR_SET_NO_NEW_PRIVS, 1)  # without it, only root may set a filter
    _load(assemble(allowed, known), known)
    return f"a filter that allows {sum(1 for rule in allowed if rule.alternatives)} system calls"


def assemble(allowed: Iterable[Rule], known: Calls) -> list[Instruction]:
    """Return the program: another architecture kills, a rule decides on its call, all else fails with EPERM.

    The 32-bit-pointer calls of x86-64 come with the same architecture but a high bit in their number, so no rule fits.
    """
    program: list[Instruction] = [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, AUDIT_ARCH[known.machine]),
        (_RET, 0, 0, _KILL),
        (_LD, 0, 0, _NR),
    ]
    for rule in allowed:
        decision = _decision(rule)
        program += [(_JEQ, 0, len(decision), known.numbers[rule.name]), *decision]
    return [*program, (_RET, 0, 0, _ERRNO | errno.EPERM)]


def _decision(rule: Rule) -> list[Instruction]:
    """Return what decides on one call; it always returns, so nothing after it sees the argument in the register."""
    block: list[Instruction] = []
    for tests in rule.alternatives:
        block += _alternative(tests)
    always = rule.alternatives and not rule.alternatives[-1]
    return block if always else [*block, (_RET, 0, 0, _ERRNO | rule.otherwise)]


def _alternative(tests: tuple[Test, ...]) -> list[Instruction]:
    block: list[Instruction] = [(_RET, 0, 0, _ALLOW)]
    for test in reversed(tests):
        block.insert(0, (_JEQ, 0, len(block), test.bits))
        if test.mask != WHOLE:
            block.insert(0, (_AND, 0, 0, test.mask))
        block.insert(0, (_LD, 0, 0, _ARGS + 8 * test.argument))
    return block


def _load(program: list[Instruction], known: Calls) -> None:
    import ctypes

    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a length of 16 bits, padding, a pointer
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(buffer)))
    try:
        syscall(known.numbers["seccomp"], _SET_MODE_FILTER, _TSYNC, header)
    except OSError as error:
        raise Unavailable(f"the kernel takes no filter ({error_name(error)})") from None
