"""Attacks that leave the process, or reach another one, by system calls."""

from __future__ import annotations

import platform
import textwrap

from attack import Attack

from grader.sandbox.confine.machines import calls
from grader.sandbox.confine.policy import rules

X86 = platform.machine() == "x86_64"

CALLS = ("seccomp",)
OTHERS = ("seccomp", "bubblewrap")  # in its own namespace of processes a stranger's number means nobody
MEMORY = ("landlock", "seccomp", "bubblewrap")  # Landlock lets no process look into one that is less confined
PROGRAMS = ("landlock", "seccomp")

# `call` returns what the kernel does: the result, or the negative number of the error.
CALL = """
import ctypes, errno, os, signal, struct, sys

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(x86, arm, *given):
    number = x86 if os.uname().machine == "x86_64" else arm
    words = [ctypes.c_long(item) if isinstance(item, int) else item for item in given]
    result = libc.syscall(ctypes.c_long(number), *words)
    return result if result != -1 else -ctypes.get_errno()

"""


def _escape(name: str, tries: str, code: str, stopped_by: tuple[str, ...], **options: object) -> Attack:
    return Attack(name, "escape", tries, CALL + textwrap.dedent(code), stopped_by, **options)  # type: ignore[arg-type]


def _asked(name: str, tries: str, call: str, stopped_by: tuple[str, ...] = CALLS) -> Attack:
    """A call whose arguments the kernel must refuse: that it does not say EPERM tells that it was asked at all."""
    return _escape(
        name,
        tries,
        f"""
        result = call({call})
        if result != -errno.EPERM:
            breach(f"the kernel answers {{result}}")
        """,
        stopped_by,
    )


def _allowed() -> set[int]:
    known = calls()
    assert known is not None
    return {known.numbers[rule.name] for rule in rules(0) if rule.name in known.numbers and rule.alternatives}


# Signals

_SIGNALS = [
    _escape(
        "kill",
        "kills another process of the user",
        """
        try:
            os.kill(VICTIM, signal.SIGKILL)
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape(
        "kill-its-group",
        "ends another process by the number of its group",
        """
        try:
            os.killpg(VICTIM, signal.SIGTERM)
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape("kill-its-thread", "stops a thread of another process", "call(234, 131, VICTIM, VICTIM, 19)", OTHERS),
    _escape("kill-old-way", "signals a thread without naming its process", "call(200, 130, VICTIM, 15)", OTHERS),
    _escape(
        "kill-by-high-bits",
        "hides the numbers of a call and of a process behind bits that the kernel cuts off",
        """
        high = 1 << 32
        call(high + 62, high + 129, high + VICTIM, high + 15)
        """,
        OTHERS,
    ),
    _escape(
        "queue-a-signal",
        "sends a signal with forged details of its sender",
        """
        details = ctypes.create_string_buffer(struct.pack("<iii", 15, 0, -1), 128)
        call(129, 138, VICTIM, 15, details)
        """,
        OTHERS,
    ),
    _escape(
        "signal-by-descriptor",
        "ends a process by a descriptor that stands for it",
        """
        descriptor = call(434, 434, VICTIM, 0)
        call(424, 424, descriptor if descriptor >= 0 else 3, 15, 0, 0)
        """,
        OTHERS,
    ),
    _escape(
        "signal-by-folder",
        "ends a process by its folder in /proc",
        """
        try:
            folder = os.open(f"/proc/{VICTIM}", os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            folder = 3
        call(424, 424, folder, 15, 0, 0)
        """,
        MEMORY,
    ),
    _escape(
        "signal-by-ownership",
        "makes another process the owner of a descriptor, to be signalled when it is ready",
        """
        import fcntl
        try:
            ready, written = os.pipe()
        except PermissionError:
            ready = written = 3
        try:
            fcntl.fcntl(ready, fcntl.F_SETOWN, VICTIM)
            fcntl.fcntl(ready, 10, signal.SIGTERM)  # F_SETSIG
            fcntl.fcntl(ready, fcntl.F_SETFL, os.O_ASYNC)
            os.write(written, b"x")
            breach("the other process owns it")
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape(
        "ask-for-everybody",
        "asks which processes could be signalled at all",
        """
        try:
            os.kill(-1, 0)
            breach("some could")
        except PermissionError:
            pass
        """,
        CALLS,
    ),
    _escape(
        "ask-for-its-parent",
        "asks whether the grader could be signalled, and for its limits",
        """
        import resource
        for other in (os.getppid(), FRONT):
            for ask in (lambda: os.kill(other, 0), lambda: resource.prlimit(other, resource.RLIMIT_NOFILE)):
                try:
                    ask()
                    breach("it could")
                except (PermissionError, ProcessLookupError):
                    pass
        """,
        CALLS,
    ),
    _escape(
        "stop-itself",
        "stops its own process, so that nobody waits for it in vain but for ever",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        (),
        ends=("error",),
        seconds=1.0,
    ),
    _escape(
        "ignore-all-signals",
        "ignores every signal and does not end",
        """
        import time
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        time.sleep(60)
        """,
        (),
        ends=("error",),
        seconds=1.0,
    ),
]

# What a process may change of another one

_CHANGES = [
    _escape(
        "limit-another",
        "lowers the limits of another process",
        """
        import resource
        try:
            resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (5, 5))
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape(
        "bind-another",
        "binds another process to one processor",
        """
        try:
            os.sched_setaffinity(VICTIM, {min(os.sched_getaffinity(0))})
            breach("it is bound")
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape(
        "slow-another",
        "gives another process the lowest priority",
        """
        try:
            os.setpriority(os.PRIO_PROCESS, VICTIM, 19)
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
    _escape(
        "starve-another",
        "lets another process read its files last",
        """
        if call(251, 30, 1, VICTIM, 3 << 13) == 0:
            breach("it is last")
        """,
        OTHERS,
    ),
    _escape(
        "schedule-another",
        "lets another process run only where nothing else would",
        """
        try:
            os.sched_setscheduler(VICTIM, os.SCHED_IDLE, os.sched_param(0))
            breach("it is idle")
        except (PermissionError, ProcessLookupError):
            pass
        """,
        OTHERS,
    ),
]

# The memory of another process

_PARTS = """
class Part(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("size", ctypes.c_size_t)]

try:
    lines = open(f"/proc/{VICTIM}/maps").read().splitlines()
    address = next(int(line.split("-")[0], 16) for line in lines if line.endswith("[stack]"))
except OSError:
    address = 4096  # the kernel looks at the rights before it looks for the memory
buffer = ctypes.create_string_buffer(8)
mine, theirs = Part(ctypes.addressof(buffer), 8), Part(address, 8)

"""

_MEMORIES = [
    _escape(
        "trace-another",
        "traces another process",
        """
        if call(101, 117, 0x4206, VICTIM, 0, 0) == 0:  # PTRACE_SEIZE
            breach("it is traced")
        """,
        MEMORY,
    ),
    _escape(
        "read-another",
        "reads the memory of another process",
        _PARTS
        + textwrap.dedent("""
        result = call(310, 270, VICTIM, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
        if result > 0 or result == -errno.EFAULT:
            breach(f"it is readable: {result}")
        """),
        MEMORY,
    ),
    _escape(
        "write-another",
        "writes into the memory of another process",
        _PARTS
        + textwrap.dedent("""
        result = call(311, 271, VICTIM, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0)
        if result > 0 or result == -errno.EFAULT:
            breach(f"it is writable: {result}")
        """),
        MEMORY,
    ),
    _escape(
        "compare-another",
        "compares its memory with that of another process",
        """
        if call(312, 272, os.getpid(), VICTIM, 1, 0, 0) not in (-errno.EPERM, -errno.ESRCH):
            breach("it is compared")
        """,
        MEMORY,
    ),
    _escape(
        "find-its-locks",
        "asks where another process keeps its locks in memory",
        """
        head, size = ctypes.c_void_p(), ctypes.c_size_t()
        if call(274, 100, VICTIM, ctypes.byref(head), ctypes.byref(size)) == 0:
            breach(f"at {head.value:#x}")
        """,
        MEMORY,
    ),
]

# Processes and programs

_PROGRAM = """
# A program of one page that ends with 42, for this machine
if os.uname().machine == "x86_64":
    machine, text = 62, bytes.fromhex("bf2a000000 b83c000000 0f05")
else:
    machine, text = 183, bytes.fromhex("400580d2 a80b80d2 010000d4")
start = 0x400000
header = b"\\x7fELF\\2\\1\\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, start + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0)
segment = struct.pack("<IIQQQQQQ", 1, 5, 0, start, start, 120 + len(text), 120 + len(text), 4096)

"""  # noqa: E501 - the header of a file

_PROCESSES = [
    _escape(
        "fork-twice",
        "starts a process in a session of its own, which starts another one",
        """
        try:
            child = os.fork()
        except PermissionError:
            return
        if child == 0:
            os.setsid()
            os._exit(7 if os.fork() else 0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7:
            breach("both ran")
        """,
        CALLS,
    ),
    _escape(
        "clone-as-vfork",
        "starts a process that its own one waits for",
        """
        child = call(56, 220, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        if child > 0:
            breach("it ran")
        """,
        CALLS,
    ),
    _escape(
        "clone-in-memory",
        "asks for its arguments to be read from memory, where no filter sees them",
        """
        child = call(435, 435, struct.pack("<11Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0), 88)
        if child == 0:
            os._exit(0)
        if child > 0:
            breach("a process started")
        """,
        CALLS,
    ),
    _escape(
        "clone-a-sibling",
        "starts a process as a child of the grader's",
        """
        child = call(56, 220, 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        if child > 0:
            breach("it is the grader's")
        """,
        CALLS,
    ),
    _escape(
        "clone-a-user",
        "starts a process that is root in a namespace of its own",
        """
        child = call(56, 220, 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)
        if child == 0:
            os._exit(0)
        if child > 0:
            breach("it is root")
        """,
        CALLS,
    ),
    _escape(
        "spawn-a-program",
        "starts a program of the user's and waits for it",
        """
        try:
            child = os.posix_spawn(PROGRAM, [PROGRAM], {})
        except OSError:
            return
        os.waitpid(child, 0)
        breach("it ran")
        """,
        MEMORY,
    ),
    _escape(
        "become-a-program",
        "runs a program of the user's in its own place",
        """
        try:
            os.execve(PROGRAM, [PROGRAM], {})
        except OSError:
            pass
        """,
        MEMORY,
    ),
    _escape(
        "become-the-loader",
        "runs the loader of programs, a file that it may read",
        """
        lines = open("/proc/self/maps").read().splitlines()
        loader = next(line.split()[-1] for line in lines if "/ld-linux" in line or "/ld-musl" in line)
        try:
            os.execve(loader, [loader, "--help"], {})
        except OSError:
            pass
        """,
        PROGRAMS,
    ),
    _escape(
        "become-a-file-in-memory",
        "writes a program into memory alone and runs it",
        _PROGRAM
        + textwrap.dedent("""
        try:
            file = os.memfd_create("program")
            os.write(file, header + segment + text)
        except OSError:
            return
        call(322, 281, file, b"", 0, 0, 0x1000)  # AT_EMPTY_PATH
        """),
        ("seccomp", "limits"),
    ),
    _escape(
        "keep-descriptors",
        "looks for descriptors that it was not given",
        """
        for descriptor in range(4, 1024):
            try:
                os.fstat(descriptor)
            except OSError:
                continue
            breach(f"descriptor {descriptor}")
        """,
        (),
    ),
    _escape(
        "take-a-false-name",
        "takes a name that reads like the state of another process",
        'libc.prctl(15, b") S 1 1 1 (", 0, 0, 0)',
        (),
    ),
]

# Namespaces and mounts

_SPACES = [
    _escape(
        "own-user-namespace",
        "becomes root in a namespace of its own",
        """
        if call(272, 97, 0x10000000) == 0:
            breach("it is root")
        """,
        CALLS,
    ),
    _asked("enter-a-namespace", "enters a namespace by a descriptor", "308, 268, 3, 0"),
    _escape(
        "mount-over-a-folder",
        "mounts an empty folder over the user's home, for itself alone",
        """
        alone = call(272, 97, 0x10020000) == 0
        mounted = alone and call(165, 40, b"none", HOME.encode(), b"tmpfs", 0, 0) == 0
        if mounted or call(165, 40, 0, 0, 0, 0, 0) == -errno.EFAULT:
            breach("it can mount")
        """,
        CALLS,
    ),
    _asked("unmount", "unmounts what has no name", "166, 39, 0, 0"),
    _escape(
        "change-the-root",
        "makes another folder its root",
        """
        for folder in (b"/usr", 0):
            if call(161, 51, folder) in (0, -errno.EFAULT):
                breach("it can change its root")
        """,
        CALLS,
    ),
    _escape(
        "open-by-handle",
        "opens a file by its number on the disk, past all folders",
        """
        handle = ctypes.create_string_buffer(struct.pack("<I", 128), 136)
        mount = ctypes.c_int()
        named = call(303, 264, -100, SECRET.encode(), handle, ctypes.byref(mount), 0)
        file = call(304, 265, -100, handle, 0) if named == 0 else -1
        if file >= 0:
            breach(os.read(file, 100))
        if named in (0, -errno.EOPNOTSUPP, -errno.EOVERFLOW):
            breach("it is found")
        """,
        OTHERS,
    ),
]

# Parts of the kernel that a model has no use for

_KERNEL = [
    _escape(
        "read-through-a-ring",
        "opens and reads a file without a system call for either",
        """
        import mmap
        setup = (ctypes.c_uint32 * 30)()
        ring = call(425, 425, 4, setup)
        if ring < 0:
            return
        queue = mmap.mmap(ring, max(setup[16] + 4 * setup[0], setup[25] + 16 * setup[1]))
        entries = mmap.mmap(ring, 64 * setup[0], offset=0x10000000)

        def number(place, new=None):
            if new is not None:
                queue[place : place + 4] = struct.pack("<I", new)
            return struct.unpack_from("<I", queue, place)[0]

        def done(operation, file, offset, address, size, flags):
            tail, head = number(setup[11]), number(setup[20])
            entry = tail & number(setup[12])
            entries[64 * entry : 64 * entry + 40] = struct.pack(
                "<BBHiQQIIQ", operation, 0, 0, file, offset, address, size, flags, 0
            )
            number(setup[16] + 4 * entry, entry)
            number(setup[11], tail + 1)
            call(426, 426, ring, 1, 1, 1, 0, 0)
            result = struct.unpack_from("<i", queue, setup[25] + 16 * (head & number(setup[22])) + 8)[0]
            number(setup[20], head + 1)
            return result

        path, buffer = ctypes.create_string_buffer(SECRET.encode()), ctypes.create_string_buffer(100)
        file = done(18, -100, 0, ctypes.addressof(path), 0, os.O_RDONLY)
        if file >= 0:
            done(22, file, 0, ctypes.addressof(buffer), 100, 0)
            breach(buffer.value)
        """,
        MEMORY,
    ),
    _asked("handle-faults", "wants to handle faults of memory in the kernel's place", "323, 282, 1"),
    _escape(
        "keep-a-key",
        "puts a key into the kernel's ring of keys",
        """
        if call(248, 217, b"user", (MARK + "key").encode(), b"key", 3, -2) != -errno.EPERM:
            breach("it is kept")
        """,
        CALLS,
    ),
    _asked("read-the-keys", "asks for the ring of keys of its session", "250, 219, 0, -3, 0"),
    _asked(
        "load-a-filter", "loads a program into the kernel, with arguments that are too long", "321, 280, 0, 0, 1 << 20"
    ),
    _asked("count-events", "counts events of the processor", "298, 241, 0, 0, -1, -1, 0"),
    _escape(
        "filter-itself",
        "adds a filter of system calls that allows everything",
        """
        program = ctypes.create_string_buffer(struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000), 8)
        header = struct.pack("<HxxxxxxQ", 1, ctypes.addressof(program))
        libc.prctl(38, 1, 0, 0, 0)
        if call(317, 277, 1, 0, header) == 0:
            breach("it is added")
        """,
        CALLS,
    ),
    _escape(
        "survive-the-grader",
        "asks not to be killed when the grader dies",
        """
        if libc.prctl(1, 0, 0, 0, 0) == 0:
            breach("it survives")
        """,
        CALLS,
    ),
    _escape(
        "be-looked-into",
        "lets other processes look into it",
        """
        if libc.prctl(4, 1, 0, 0, 0) == 0 or libc.prctl(0x59616D61, -1, 0, 0, 0) == 0:
            breach("they can")
        """,
        CALLS,
    ),
    _escape(
        "adopt-orphans",
        "makes itself the parent of what it leaves behind",
        """
        if libc.prctl(36, 1, 0, 0, 0) == 0:
            breach("it is")
        """,
        CALLS,
    ),
    _escape(
        "change-personality",
        "asks for memory at addresses that can be foretold",
        """
        if libc.personality(0x0040000) != -1:
            breach("it has them")
        """,
        CALLS,
    ),
    _escape(
        "share-a-semaphore",
        "makes a semaphore that every process can see",
        """
        made = call(64, 190, 0, 1, 0o1600)
        if made >= 0:
            call(66, 191, made, 0, 0, 0)  # and removes it
            breach("it is there")
        """,
        CALLS,
    ),
    _escape(
        "share-a-queue",
        "makes a queue of messages that every process can see",
        """
        made = call(68, 186, 0, 0o1600)
        if made >= 0:
            call(71, 187, made, 0, 0)
            breach("it is there")
        """,
        CALLS,
    ),
    _escape(
        "share-memory",
        "makes memory that every process can see",
        """
        made = call(29, 194, 0, 4096, 0o1600)
        if made >= 0:
            call(31, 195, made, 0, 0)
            breach("it is there")
        """,
        CALLS,
    ),
    _escape(
        "share-a-named-queue",
        "makes a queue of messages with a name",
        """
        name = (MARK + "queue").encode()
        made = call(240, 180, name, os.O_RDWR | os.O_CREAT, 0o600, 0)
        if made >= 0:
            call(241, 181, name)
            breach("it is there")
        """,
        CALLS,
    ),
    _escape(
        "lock-a-library",
        "locks a file that others use",
        """
        import fcntl
        with open(os.__file__) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH)
                breach("it is locked")
            except PermissionError:
                pass
        """,
        CALLS,
    ),
    _escape(
        "flag-a-library",
        "sets the flags of a file that it may only read, to what they are",
        """
        flags, size = ctypes.c_long(), ctypes.c_int()
        with open(os.__file__) as file:
            if libc.ioctl(file.fileno(), ctypes.c_ulong(0x80086601), ctypes.byref(flags)) == 0:
                if libc.ioctl(file.fileno(), ctypes.c_ulong(0x40086602), ctypes.byref(flags)) == 0:
                    breach("they are set")
            if libc.ioctl(file.fileno(), ctypes.c_ulong(2), ctypes.byref(size)) == 0:
                breach("its file system answers")
        """,
        CALLS,
    ),
    _escape(
        "splice-a-library",
        "puts a page of a file into a pipe without a copy",
        """
        with open(os.__file__) as file:
            if call(275, 76, file.fileno(), 0, 1, 0, 16, 0) > 0:
                breach("it is in the pipe")
        """,
        CALLS,
    ),
    _escape(
        "grow-a-pipe",
        "makes a pipe of the grader's larger",
        """
        import fcntl
        try:
            fcntl.fcntl(1, 1031, 1 << 17)
            breach("it is larger")
        except PermissionError:
            pass
        """,
        CALLS,
    ),
    _escape(
        "spy-on-pages",
        "asks which pages of a library are in memory",
        """
        with open(os.__file__) as file:
            address = call(9, 222, 0, 4096, 1, 2, file.fileno(), 0)
        if call(27, 232, address, 4096, ctypes.create_string_buffer(1)) == 0:
            breach("it is told")
        """,
        CALLS,
    ),
    _asked("set-the-clock", "sets the clock to a time at no address", "227, 112, 0, 0"),
    _escape(
        "become-another-user",
        "becomes another user, where it is root",
        """
        user = 65534 if os.getuid() == 0 else os.getuid()
        try:
            os.setresuid(user, user, user)
            breach("it is another")
        except OSError:
            pass
        """,
        CALLS,
    ),
    _escape(
        "raise-its-limits",
        "takes back the limits that it was given",
        """
        import resource
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_CPU):
            try:
                resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
                breach(f"limit {kind}")
            except (ValueError, PermissionError):
                pass
        """,
        (),  # of root's alone, limits are none: it needs the privileges gone too
    ),
    _escape(
        "try-all-calls",
        "makes every system call but the allowed ones",
        """
        if "Seccomp:\t2" not in open("/proc/self/status").read():
            return  # never without a filter: it would hang, fork, and worse
        # 335 and 336 belong to the kernel's own probes; it ends whoever else makes them, past all filters.
        numbers = [number for number in range(1024) if number not in (335, 336) and number not in ALLOWED]
        told = [(number, call(number, number, -1, -1, -1, -1, -1, -1)) for number in numbers]
        passed = [pair for pair in told if pair[1] not in (-errno.EPERM, -errno.ENOSYS)]
        if passed:
            breach(passed)
        """.replace("ALLOWED", repr(sorted(_allowed()))),
        (),
    ),
]

_X86_ONLY = [
    _escape(
        "enter-as-32-bit",
        "makes a system call by the entry of 32-bit programs, where numbers mean other calls",
        """
        import mmap
        code = bytes.fromhex("53 bb") + struct.pack("<I", VICTIM) + bytes.fromhex("b90f000000 b825000000 cd80 5b c3")
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(code)
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
        """,
        OTHERS,
        ends=("error", "fail"),
    ),
    _asked(
        "enter-as-x32", "makes a system call by a number of the 32-bit-pointer kind", "0x40000000 + 62, 0, VICTIM, 15"
    ),
    _escape(
        "change-segments",
        "reads the table of its memory's segments",
        """
        if call(154, 0, 0, ctypes.create_string_buffer(64), 64) != -errno.EPERM:
            breach("it is read")
        """,
        CALLS,
    ),
    _asked("use-ports", "asks for the ports of devices", "173, 0, 0x80, 1, 0"),
]

ATTACKS = [*_SIGNALS, *_CHANGES, *_MEMORIES, *_PROCESSES, *_SPACES, *_KERNEL, *(_X86_ONLY if X86 else ())]
