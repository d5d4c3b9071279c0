"""Attacks that change or leave behind what outlives a submission.

Landlock is named where its first version stops the attack; newer ones stop more.
"""

from __future__ import annotations

from attack import Attack
from raw import with_calls

CALLS = ("landlock", "seccomp", "bubblewrap")

ATTACKS = [
    Attack(
        "write-into-the-repository",
        "writing",
        "puts a module beside the grader",
        """
        try:
            open(f"{REPOSITORY}/{MARK}module.py", "w").write("x = 1")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "write-into-site-packages",
        "writing",
        "puts a file into site-packages that every later Python would run",
        """
        import pathlib

        try:
            pathlib.Path(f"{SITE}/{MARK}x.pth").write_text("import this")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "write-compiled-code",
        "writing",
        "puts compiled code beside the grader's sources",
        """
        import importlib.util

        source = f"{REPOSITORY}/grader/{MARK}x.py"
        loader = importlib.util.spec_from_file_location("x", source).loader
        try:
            loader.set_data(source + "c", b"compiled")  # it is silent where it can't
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "overwrite-the-rules",
        "writing",
        "writes other rules over the course's",
        """
        try:
            open(RULES, "w").write("rules: []")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "append-a-key",
        "writing",
        "appends a key to those that may log in",
        """
        import os

        try:
            descriptor = os.open(f"{HOME}/.ssh/authorized_keys", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(descriptor, b"ssh-ed25519 AAAA")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "write-by-system-call",
        "writing",
        "writes over a file by openat2, whose flags lie in memory",
        with_calls(
            """
            import struct

            try:
                descriptor = call(437, 437, -100, OTHER.encode(), struct.pack("<QQQ", os.O_WRONLY, 0, 0), 24)
                os.pwrite(descriptor, b"TOKEN = 1", 0)
            except OSError:
                pass
            """
        ),
        CALLS,
    ),
    Attack(
        "reopen-for-writing",
        "writing",
        "opens a file for reading, and its descriptor in /proc for writing",
        """
        import os

        try:
            os.write(os.open(f"/proc/self/fd/{os.open(OTHER, os.O_RDONLY)}", os.O_WRONLY), b"TOKEN = 1")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "write-to-a-shared-mapping",
        "writing",
        "maps another program's shared memory and writes there",
        """
        import mmap
        import os

        try:
            mmap.mmap(os.open(SHARED, os.O_RDWR), 0)[:4] = b"evil"
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-shared-memory",
        "writing",
        "makes shared memory with a name",
        """
        import _posixshmem
        import os

        try:
            os.ftruncate(_posixshmem.shm_open(f"/{MARK}x", os.O_CREAT | os.O_RDWR, mode=0o600), 4096)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-a-semaphore",
        "writing",
        "makes a semaphore with a name",
        """
        import _multiprocessing

        try:
            _multiprocessing.SemLock(1, 1, 1, f"/{MARK}x", False)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "share-a-tensor",
        "writing",
        "moves a tensor into shared memory by torch's native code",
        """
        try:
            shared = torch.zeros(4).share_memory_().is_shared()
        except RuntimeError:
            shared = False
        if shared:
            breach("a tensor in shared memory")
        """,
        ("landlock", "seccomp"),
    ),
    Attack(
        "make-a-temporary-file",
        "writing",
        "makes a temporary file",
        """
        import tempfile

        try:
            tempfile.NamedTemporaryFile(dir="/tmp", prefix=MARK, delete=False).write(b"x")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-a-file-without-a-name",
        "writing",
        "makes a file without a name, and gives it one later",
        with_calls(
            """
            try:
                descriptor = os.open(HOME, os.O_TMPFILE | os.O_WRONLY, 0o600)
                call(265, 37, -100, f"/proc/self/fd/{descriptor}".encode(), -100, f"{HOME}/{MARK}x".encode(), 0x400)
            except OSError:
                pass
            """
        ),
        CALLS,
    ),
    Attack(
        "leave-a-note-for-the-next",
        "writing",
        "leaves a file anywhere that the next submission could read it",
        """
        import os

        for folder in ("/", "/dev", "/dev/shm", "/tmp", "/var/tmp", "/run", "/dev/mqueue", "/etc", "/proc"):
            name = f"{folder}/{MARK}{os.getpid()}"
            try:
                open(name, "w").close()
            except OSError:
                continue
            os.unlink(name)
            breach(folder)
        """,
        ("landlock", "seccomp"),
    ),
    Attack(
        "write-by-native-libraries",
        "writing",
        "writes files by native code of torch, numpy and SQLite",
        """
        import sqlite3

        import numpy

        store = torch.zeros(4)
        writers = (
            lambda: torch.save(store, f"{HOME}/{MARK}1"),
            lambda: torch._C.PyTorchFileWriter(f"{HOME}/{MARK}2").write_end_of_file(),
            lambda: numpy.save(f"{HOME}/{MARK}3", store.numpy()),
            lambda: store.numpy().tofile(f"{HOME}/{MARK}4"),
            lambda: sqlite3.connect(f"{HOME}/{MARK}5").execute("create table x (y)"),
        )
        for writer in writers:
            try:
                writer()
            except (OSError, RuntimeError, sqlite3.OperationalError):
                pass
        """,
        CALLS,
    ),
    Attack(
        "copy-inside-the-kernel",
        "writing",
        "has the kernel copy one file over another",
        """
        import os

        try:
            source, target = os.open(SECRET, os.O_RDONLY), os.open(OTHER, os.O_WRONLY)
            os.copy_file_range(source, target, 16)
            os.sendfile(target, source, 0, 16)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "splice-into-a-file",
        "writing",
        "moves data from a pipe into a file, without a write",
        """
        import ctypes
        import os

        try:
            target = os.open(OTHER, os.O_WRONLY)
            source, sink = os.pipe()
        except OSError:
            target = source = -1
        if source >= 0:
            os.write(sink, b"TOKEN = 1")
            ctypes.CDLL(None).splice(source, None, target, None, ctypes.c_size_t(9), 0)
        """,
        CALLS,
    ),
    Attack(
        "grow-a-file",
        "writing",
        "reserves space in a file",
        """
        import os

        try:
            os.posix_fallocate(os.open(OTHER, os.O_RDWR), 0, 1 << 16)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "truncate-a-file",
        "writing",
        "empties a file without opening it",
        """
        import os

        try:
            os.truncate(RULES, 0)
        except OSError:
            pass
        """,
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "remove-a-submission",
        "writing",
        "removes another submission",
        """
        import os

        try:
            os.unlink(OTHER)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "rename-a-file",
        "writing",
        "moves the course's solution to where its own submission lies",
        """
        import os

        try:
            os.replace(f"{COURSE}/solution.py", OTHER)
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "exchange-two-files",
        "writing",
        "exchanges two files in one step",
        with_calls(
            """
            try:
                call(316, 276, -100, SECRET.encode(), -100, OTHER.encode(), 2)
                breach("exchanged")
            except OSError:
                pass
            """
        ),
        CALLS,
    ),
    Attack(
        "make-a-folder",
        "writing",
        "makes a folder in the user's home",
        """
        import os

        try:
            os.mkdir(f"{HOME}/{MARK}x")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-a-symbolic-link",
        "writing",
        "makes a symbolic link that leads the grader's user astray",
        """
        import os

        try:
            os.symlink("/dev/zero", f"{HOME}/{MARK}x")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-a-hard-link",
        "writing",
        "gives a file a second name",
        """
        import os

        try:
            os.link(SECRET, f"{COURSE}/{MARK}x")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "make-a-pipe-with-a-name",
        "writing",
        "makes a pipe on which whoever reads it waits for ever",
        """
        import os

        try:
            os.mkfifo(f"{HOME}/{MARK}x")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "change-the-mode-of-a-file",
        "writing",
        "lets everyone read a secret",
        """
        import os

        try:
            os.chmod(SECRET, 0o666)
        except OSError:
            pass
        """,
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "change-the-mode-by-a-descriptor",
        "writing",
        "sets mode, times and owner of a library that it may read, by its descriptor",
        """
        import glob
        import os

        descriptor = os.open(glob.glob(f"{SITE}/*/__init__.py")[0], os.O_RDONLY)
        now = os.fstat(descriptor)
        changes = (
            lambda: os.fchmod(descriptor, now.st_mode & 0o7777),
            lambda: os.utime(descriptor, ns=(now.st_atime_ns, now.st_mtime_ns)),
            lambda: os.fchown(descriptor, now.st_uid, now.st_gid),
        )
        for change in changes:
            try:
                change()
            except OSError:
                continue
            breach("it could be changed")
        """,
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "change-the-time-of-a-file",
        "writing",
        "sets when a file was changed",
        """
        import os

        try:
            os.utime(OTHER, (1, 1))
        except OSError:
            pass
        """,
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "set-an-attribute-of-a-file",
        "writing",
        "hides a note in an extended attribute",
        """
        import os

        try:
            os.setxattr(OTHER, "user.note", b"x")
        except OSError:
            pass
        """,
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "lock-a-file-that-it-may-read",
        "writing",
        "locks a library's file, so that whoever asks for the lock waits",
        """
        import fcntl
        import glob
        import os

        descriptor = os.open(glob.glob(f"{SITE}/*/__init__.py")[0], os.O_RDONLY)
        locks = (
            lambda: fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB),
            lambda: fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB),
            lambda: fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        )
        for lock in locks:
            try:
                lock()
            except OSError:
                continue
            breach("locked")
        """,
        ("seccomp",),
    ),
    Attack(
        "write-about-itself",
        "writing",
        "changes what the system keeps of its process: its place when memory runs out, its name, its users",
        """
        for name in ("oom_score_adj", "comm", "coredump_filter", "clear_refs", "timerslack_ns", "uid_map", "setgroups"):
            try:
                open(f"/proc/self/{name}", "r+").close()
            except OSError:
                continue
            breach(name)
        """,
        ("landlock", "seccomp"),
    ),
    Attack(
        "write-its-own-memory-by-proc",
        "writing",
        "writes through /proc into memory that is read-only",
        """
        import os

        text = b"".join([b"read", b"-only"])
        try:
            descriptor = os.open("/proc/self/mem", os.O_RDWR)
        except OSError:
            descriptor = -1
        if descriptor >= 0 and os.pread(descriptor, len(text), id(text) + bytes.__basicsize__ - 1) == text:
            breach("its memory can be written")
        """,
        ("landlock", "seccomp"),
    ),
    Attack(
        "give-a-process-up",
        "writing",
        "makes another process the first to be killed when memory runs out",
        """
        try:
            with open(f"/proc/{VICTIM}/oom_score_adj", "w") as file:
                file.write("1000")
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "take-a-terminal",
        "writing",
        "opens the terminal of the grader's user, or a new one",
        """
        import os

        for path in ("/dev/tty", "/dev/ptmx", "/dev/console", f"/proc/{FRONT}/fd/0"):
            try:
                os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
            except OSError:
                continue
            breach(path)
        """,
        ("landlock", "seccomp"),
    ),
    Attack(
        "type-into-the-terminal",
        "writing",
        "pushes input into a terminal through its own descriptors",
        """
        import fcntl
        import termios

        for descriptor in range(4):
            for request in (termios.TIOCSTI, termios.TIOCSCTTY):
                try:
                    fcntl.ioctl(descriptor, request, b"x")
                    breach(f"{descriptor}")
                except OSError:
                    pass
        """,
    ),
    Attack(
        "store-in-a-memory-file",
        "writing",
        "keeps data in a file in memory, beyond what it may allocate",
        """
        import os

        try:
            descriptor = os.memfd_create("x")
            os.posix_fallocate(descriptor, 0, 1 << 20)
            os.write(descriptor, b"x")
            breach("a file in memory")
        except OSError:
            pass
        """,
        ("limits", "seccomp"),
    ),
    Attack(
        "make-system-v-memory",
        "writing",
        "makes shared memory, semaphores and a message queue that outlive it",
        with_calls(
            """
            import time

            made = []
            for making, removing in (((29, 194), (31, 195)), ((64, 190), (66, 191)), ((68, 186), (71, 187))):
                arguments = (0, 4096, 0o1600) if making[0] == 29 else (0, 1, 0o1600) if making[0] == 64 else (0, 0o1600)
                try:
                    found = call(*making, *arguments)
                except OSError:
                    continue
                made.append(making)
                call(*removing, found, *((0, 0) if making[0] == 64 else (0,)), 0)
            time.sleep(0.1 if made else 0)  # a breach ends the other process too: let it clear up before
            if made:
                breach(made)
            """
        ),
        ("seccomp",),
    ),
    Attack(
        "make-a-message-queue",
        "writing",
        "makes a message queue with a name",
        """
        import ctypes

        library = ctypes.CDLL("librt.so.1")
        if library.mq_open(f"/{MARK}x".encode(), 0o102, 0o600, None) >= 0:
            library.mq_unlink(f"/{MARK}x".encode())
            breach("a message queue")
        """,
        ("limits", "seccomp"),
    ),
]
