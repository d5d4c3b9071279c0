"""Numbers of system calls: x86-64 has its own, aarch64 those that all newer machines share.

Sources: the kernel's `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`. Most calls that
aarch64 lacks are older spellings of one that takes a folder's descriptor; the C library knows to do without.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Literal

Machine = Literal["x86_64", "aarch64"]

AUDIT_ARCH: dict[Machine, int] = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # linux/audit.h

_TABLE = """
accept 43 202
access 21 -
add_key 248 217
arch_prctl 158 -
bind 49 200
bpf 321 280
brk 12 214
capset 126 91
chdir 80 49
chmod 90 -
clock_getres 229 114
clock_gettime 228 113
clock_nanosleep 230 115
clone 56 220
clone3 435 435
close 3 57
close_range 436 436
connect 42 203
dup 32 23
dup2 33 -
dup3 292 24
eventfd2 290 19
execve 59 221
execveat 322 281
exit 60 93
exit_group 231 94
faccessat 269 48
faccessat2 439 439
fadvise64 221 223
fchmodat 268 53
fcntl 72 25
fork 57 -
fstat 5 80
fstatfs 138 44
futex 202 98
get_mempolicy 239 236
getcpu 309 168
getcwd 79 17
getdents64 217 61
getegid 108 177
geteuid 107 175
getgid 104 176
getpgrp 111 -
getpid 39 172
getppid 110 173
getrandom 318 278
getrlimit 97 163
getrusage 98 165
gettid 186 178
gettimeofday 96 169
getuid 102 174
io_uring_setup 425 425
ioctl 16 29
keyctl 250 219
kill 62 129
landlock_add_rule 445 445
landlock_create_ruleset 444 444
landlock_restrict_self 446 446
listen 50 201
lseek 8 62
lstat 6 -
madvise 28 233
mbind 237 235
membarrier 324 283
memfd_create 319 279
mkdir 83 -
mkdirat 258 34
mlock 149 228
mmap 9 222
mount 165 40
mprotect 10 226
mremap 25 216
munlock 150 229
munmap 11 215
nanosleep 35 101
newfstatat 262 79
open 2 -
openat 257 56
openat2 437 437
perf_event_open 298 241
pidfd_open 434 434
pidfd_send_signal 424 424
pipe2 293 59
poll 7 -
ppoll 271 73
prctl 157 167
pread64 17 67
prlimit64 302 261
process_vm_readv 310 270
process_vm_writev 311 271
pselect6 270 72
ptrace 101 117
read 0 63
readlink 89 -
readlinkat 267 78
readv 19 65
restart_syscall 219 128
rseq 334 293
rt_sigaction 13 134
rt_sigprocmask 14 135
rt_sigqueueinfo 129 138
rt_sigreturn 15 139
sched_get_priority_max 146 125
sched_get_priority_min 147 126
sched_getaffinity 204 123
sched_getparam 143 121
sched_getscheduler 145 120
sched_setaffinity 203 122
sched_yield 24 124
seccomp 317 277
select 23 -
set_mempolicy 238 237
set_robust_list 273 99
set_tid_address 218 96
setns 308 268
setpriority 141 140
setsockopt 54 208
setxattr 188 5
shmget 29 194
sigaltstack 131 132
socket 41 198
socketpair 53 199
stat 4 -
statfs 137 43
statx 332 291
symlink 88 -
symlinkat 266 36
sysinfo 99 179
tgkill 234 131
time 201 -
times 100 153
umask 95 166
uname 63 160
unlink 87 -
unlinkat 263 35
unshare 272 97
userfaultfd 323 282
utimensat 280 88
vfork 58 -
write 1 64
writev 20 66
"""


@dataclass(frozen=True, slots=True)
class Calls:
    """The system calls of one machine: name → number. Names that it lacks are absent."""

    machine: Machine
    numbers: dict[str, int]


def calls(machine: str | None = None) -> Calls | None:
    """Return the system calls of a machine, of this one by default; None for a machine without a table.

    A 32-bit interpreter on a 64-bit kernel has numbers of its own: it counts as another machine.
    """
    name = os.uname().machine if machine is None else machine
    if sys.maxsize < 2**32:
        return None
    column = {"x86_64": 1, "aarch64": 2}.get(name)
    if column is None:
        return None
    rows = [line.split() for line in _TABLE.split("\n") if line]
    found: Machine = "x86_64" if column == 1 else "aarch64"
    return Calls(found, {row[0]: int(row[column]) for row in rows if row[column] != "-"})
