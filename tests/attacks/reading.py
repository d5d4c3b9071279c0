"""Attacks that read what is none of a submission's business.

Landlock is named where its first version stops the attack; newer ones stop more.
"""

from __future__ import annotations

from attack import Attack
from raw import with_calls

FILES = ("landlock", "bubblewrap")  # which of them open files for reading can't pass
CALLS = ("landlock", "seccomp", "bubblewrap")

ATTACKS = [
    Attack(
        "read-a-secret",
        "reading",
        "reads a file of the user's home",
        """
        try:
            breach(open(SECRET).read())
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "search-the-home-for-keys",
        "reading",
        "walks through the user's home and reads every file, SSH keys among them",
        """
        import os

        for folder, _, names in os.walk(HOME):
            for name in names:
                breach(open(os.path.join(folder, name)).read())
        """,
        FILES,
    ),
    Attack(
        "list-the-home-by-the-c-library",
        "reading",
        "lists the user's home by the C library's own functions",
        """
        import ctypes

        libc = ctypes.CDLL(None)
        libc.opendir.restype = ctypes.c_void_p
        if libc.opendir(HOME.encode()):
            breach("the home can be listed")
        """,
        FILES,
    ),
    Attack(
        "list-the-folder-of-submissions",
        "reading",
        "lists the folder that holds the files of other gradings",
        """
        import os

        try:
            names = os.listdir(os.path.dirname(os.path.dirname(HOME)))
        except OSError:
            names = []
        if any(name.startswith("s5-") for name in names):
            breach(names)
        """,
        FILES,
    ),
    Attack(
        "list-the-root",
        "reading",
        "lists the root of the file system",
        """
        import os

        try:
            breach(os.listdir("/"))
        except OSError:
            pass
        """,
        ("landlock",),
    ),
    Attack(
        "list-the-processes",
        "reading",
        "looks for another program's command line among all processes",
        """
        import os

        try:
            numbers = [name for name in os.listdir("/proc") if name.isdigit()]
        except OSError:
            numbers = []
        for number in numbers:
            try:
                line = open(f"/proc/{number}/cmdline").read()
            except OSError:
                continue
            if "secret = sys.stdin" in line:
                breach(line)
        """,
        FILES,
    ),
    Attack(
        "import-another-submission",
        "reading",
        "imports another submission as a module",
        """
        import importlib.util

        spec = importlib.util.spec_from_file_location("other", OTHER)
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            breach(module.TOKEN)
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "find-modules-of-the-course",
        "reading",
        "finds the course's modules by walking its folder as a package path, and reads their sources",
        """
        import importlib.machinery
        import pkgutil

        for found in pkgutil.iter_modules([COURSE]):
            spec = importlib.machinery.PathFinder.find_spec(found.name, [COURSE])
            breach(spec.loader.get_source(found.name))
        """,
        FILES,
    ),
    Attack(
        "run-the-solution",
        "reading",
        "runs the course's solution and takes its variables",
        """
        import runpy

        try:
            breach(runpy.run_path(COURSE + "/solution.py")["TOKEN"])
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "import-from-a-zip",
        "reading",
        "imports the solution from a zip archive",
        """
        import zipimport

        try:
            breach(zipimport.zipimporter(COURSE + "/solution.zip").get_source("solution"))
        except (OSError, zipimport.ZipImportError):
            pass
        """,
        FILES,
    ),
    Attack(
        "read-the-rules-as-source-lines",
        "reading",
        "reads the grader's rules file through the cache of source lines",
        """
        import linecache

        lines = linecache.getlines(RULES)
        if lines:
            breach("".join(lines))
        """,
        FILES,
    ),
    Attack(
        "read-by-other-readers",
        "reading",
        "reads files by functions of Python's library that open them on their own",
        """
        import codecs
        import fileinput
        import importlib.machinery
        import io
        import pathlib
        import tokenize

        readers = (
            lambda path: codecs.open(path, encoding="latin-1").read(),
            lambda path: "".join(fileinput.input([path])),
            lambda path: importlib.machinery.SourceFileLoader("x", path).get_data(path),
            lambda path: io.FileIO(path).readall(),
            lambda path: io.open_code(path).read(),
            lambda path: pathlib.Path(path).read_bytes(),
            lambda path: tokenize.open(path).read(),
        )
        for reader in readers:
            try:
                breach(reader(SECRET))
            except OSError:
                pass
        """,
        FILES,
    ),
    Attack(
        "read-by-numpy",
        "reading",
        "reads files by numpy",
        """
        import numpy

        for reader in (numpy.fromfile, numpy.memmap, numpy.loadtxt, numpy.genfromtxt):
            try:
                breach(bytes(numpy.asarray(reader(SECRET, dtype="S1" if "txt" not in reader.__name__ else "S40"))))
            except OSError:
                pass
        """,
        FILES,
    ),
    Attack(
        "read-by-torch",
        "reading",
        "maps a file into a tensor by torch's native code",
        """
        readers = (
            lambda: torch.from_file(SECRET, size=32, dtype=torch.uint8).tolist(),
            lambda: list(torch.UntypedStorage.from_file(SECRET, False, 32)),
        )
        for reader in readers:
            try:
                numbers = reader()
            except RuntimeError:
                continue
            breach(bytes(numbers).decode())
        """,
        FILES,
    ),
    Attack(
        "map-a-file",
        "reading",
        "maps a file into memory",
        """
        import mmap
        import os

        try:
            breach(mmap.mmap(os.open(SECRET, os.O_RDONLY), 0, access=mmap.ACCESS_READ)[:])
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "open-by-system-call",
        "reading",
        "opens a file by the raw system call",
        with_calls(
            """
            try:
                descriptor = call(257, 56, -100, SECRET.encode(), os.O_RDONLY)
                breach(os.read(descriptor, 100))
            except OSError:
                pass
            """
        ),
        FILES,
    ),
    Attack(
        "open-by-the-newer-call",
        "reading",
        "opens a file by openat2, whose flags lie in memory",
        with_calls(
            """
            import struct

            try:
                descriptor = call(437, 437, -100, SECRET.encode(), struct.pack("<QQQ", os.O_RDONLY, 0, 0), 24)
                breach(os.read(descriptor, 100))
            except OSError:
                pass
            """
        ),
        CALLS,
    ),
    Attack(
        "reopen-a-path-descriptor",
        "reading",
        "takes a descriptor of a path only, and opens it again through /proc",
        """
        import os

        try:
            breach(open(f"/proc/self/fd/{os.open(SECRET, os.O_PATH)}").read())
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "climb-out-of-a-library",
        "reading",
        "climbs with .. out of a folder that may be read",
        """
        import os

        up = "../" * 20 + SECRET.lstrip("/")
        folder = os.path.dirname(os.__file__)
        try:
            breach(open(f"{folder}/{up}").read())
        except OSError:
            pass
        try:
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            breach(os.read(os.open(up, os.O_RDONLY, dir_fd=opened), 100))
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "go-into-the-home-first",
        "reading",
        "changes into a folder and opens a relative path",
        """
        import os

        try:
            os.chdir(HOME)
            breach(open("secret.txt").read())
        except OSError:
            pass
        """,
        FILES,
    ),
    Attack(
        "read-through-its-own-root",
        "reading",
        "names the file through the links of its own process in /proc",
        """
        import os

        own = os.getpid()
        for link in ("self/root", "thread-self/root", f"{own}/root", "self/cwd", f"self/task/{own}/cwd"):
            try:
                breach(open(f"/proc/{link}/{SECRET}").read())
            except OSError:
                pass
        """,
        FILES,
    ),
    Attack(
        "read-through-the-root-of-others",
        "reading",
        "names the file through the root and the folder of other processes",
        """
        import os

        for number in (VICTIM, FRONT, os.getppid(), 1):
            for link in ("root", "cwd/" + "../" * 20):
                try:
                    breach(open(f"/proc/{number}/{link}/{SECRET}").read())
                except OSError:
                    pass
        """,
        FILES,
    ),
    Attack(
        "read-through-a-symbolic-link",
        "reading",
        "makes a symbolic link to the file and opens that",
        """
        import os

        link = f"{os.path.dirname(HOME)}/{MARK}{os.getpid()}"
        try:
            os.symlink(SECRET, link)
            breach(open(link).read())
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "read-through-a-hard-link",
        "reading",
        "gives the file a second name and opens that",
        """
        import os

        link = f"{os.path.dirname(HOME)}/{MARK}{os.getpid()}"
        try:
            os.link(SECRET, link)
            breach(open(link).read())
        except OSError:
            pass
        """,
        CALLS,
    ),
    Attack(
        "read-the-users",
        "reading",
        "reads who has an account, and with which password",
        """
        import pwd

        for path in ("/etc/shadow", "/etc/gshadow", "/etc/passwd", "/etc/group", "/etc/sudoers"):
            try:
                breach(open(path).read())
            except OSError:
                pass
        if pwd.getpwall():
            breach(pwd.getpwall())
        """,
        FILES,
    ),
    Attack(
        "read-the-environment-of-a-process",
        "reading",
        "reads the environment of another process of the same user",
        """
        try:
            text = open(f"/proc/{VICTIM}/environ").read()
        except OSError:
            text = ""
        if "TOKEN=" in text:
            breach(text)
        """,
        FILES,
    ),
    Attack(
        "read-the-memory-of-a-process",
        "reading",
        "reads the memory of another process of the same user through /proc",
        """
        try:
            maps = open(f"/proc/{VICTIM}/maps").read().splitlines()
            first, last = next(line.split()[0].split("-") for line in maps if line.endswith("[stack]"))
            with open(f"/proc/{VICTIM}/mem", "rb") as memory:
                memory.seek(int(first, 16))
                stack = memory.read(int(last, 16) - int(first, 16))
        except (OSError, StopIteration):
            stack = b""
        if b"TOKEN=" in stack:
            breach(stack[stack.index(b"TOKEN=") :][:40])
        """,
        FILES,
    ),
    Attack(
        "read-the-memory-of-a-process-by-system-call",
        "reading",
        "reads the memory of another process of the same user by a system call",
        with_calls(
            """
            from struct import pack

            found = ctypes.create_string_buffer(100)
            try:
                maps = open(f"/proc/{VICTIM}/maps").read().splitlines()
                start = int(maps[0].split("-")[0], 16)
                local = pack("<QQ", ctypes.addressof(found), 100)
                call(310, 270, VICTIM, local, 1, pack("<QQ", start, 100), 1, 0)
            except OSError:
                pass
            if found.raw.strip(bytes(1)):
                breach(found.raw)
            """
        ),
        CALLS,
    ),
    Attack(
        "take-a-descriptor-of-a-process",
        "reading",
        "takes a descriptor out of another process of the same user",
        with_calls(
            """
            try:
                breach(call(438, 438, call(434, 434, VICTIM, 0), 0, 0))
            except OSError:
                pass
            """
        ),
        CALLS,
    ),
    Attack(
        "read-about-the-front",
        "reading",
        "reads what the system tells of the grader's front process, its environment and memory among it",
        """
        for name in ("environ", "mem", "maps", "auxv", "cmdline", "stat", "status", "limits", "io", "fdinfo/0"):
            try:
                breach(open(f"/proc/{FRONT}/{name}", "rb").read(1))
            except OSError:
                pass
        """,
        ("landlock",),
    ),
    Attack(
        "follow-the-links-of-the-front",
        "reading",
        "asks for the program, the folder and the open files of the grader's front process",
        """
        import os

        for name in ("exe", "cwd", "root", *[f"fd/{number}" for number in range(32)]):
            try:
                breach(os.readlink(f"/proc/{FRONT}/{name}"))
            except OSError:
                pass
        try:
            breach(os.listdir(f"/proc/{FRONT}/fd"))
        except OSError:
            pass
        """,
        ("landlock",),
    ),
    Attack(
        "read-about-the-parent",
        "reading",
        "reads the memory and the environment of the process that it was forked from",
        """
        import os

        for name in ("environ", "mem", "maps", "auxv", "cmdline", "stat", "status", "limits", "smaps", "pagemap"):
            try:
                breach(open(f"/proc/{os.getppid()}/{name}", "rb").read(1))
            except OSError:
                pass
        """,
        ("landlock",),
    ),
    Attack(
        "follow-the-links-of-the-parent",
        "reading",
        "asks for the program, the folder and the open files of the process that it was forked from",
        """
        import os

        for name in ("exe", "cwd", "root", *[f"fd/{number}" for number in range(32)]):
            try:
                breach(os.readlink(f"/proc/{os.getppid()}/{name}"))
            except OSError:
                pass
        """,
        ("landlock",),
    ),
    Attack(
        "look-into-its-twin",
        "reading",
        "looks into the second process in which the same submission runs",
        """
        import os

        for number in {os.getpid() + step for step in range(-4, 5)} - {os.getpid(), os.getppid()}:
            try:
                parent = open(f"/proc/{number}/stat").read().rpartition(")")[2].split()[1]
                maps = open(f"/proc/{number}/maps").read()
            except OSError:
                continue
            if int(parent) == os.getppid() and "libtorch" in maps:  # a stranger's process may have the next number
                breach(maps)
        """,
        ("landlock", "privileges"),
    ),
    Attack(
        "keep-its-environment",
        "reading",
        "looks for settings of the grader's user in its own environment",
        """
        import ctypes
        import os

        known = "OMP_NUM_THREADS MKL_NUM_THREADS OPENBLAS_NUM_THREADS TORCHDYNAMO_DISABLE PYTORCH_JIT HOME PATH".split()
        known += "PYTHONHASHSEED PYTHONNOUSERSITE PYTHONSAFEPATH PYTHONUTF8 LD_LIBRARY_PATH LC_CTYPE PWD".split()
        found = dict(os.environ)
        environment = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
        for place in range(1000):
            if not environment or not environment[place]:
                break
            name, _, value = environment[place].decode().partition("=")
            found[name] = value
        try:
            for entry in open("/proc/self/environ").read().split(chr(0)):
                name, _, value = entry.partition("=")
                found[name] = value
        except OSError:
            pass
        foreign = set(found) - set(known) - {""}
        if foreign or found.get("HOME") != "/nonexistent":
            breach(found)
        """,
    ),
    Attack(
        "read-how-it-was-started",
        "reading",
        "looks for paths of the grader's user in the command that started it",
        """
        import sys

        started = " ".join([*sys.orig_argv, *sys.argv])
        if "canary" in started or str(FRONT) in started.split():
            breach(started)
        """,
    ),
    Attack(
        "use-a-descriptor-left-open",
        "reading",
        "looks for open descriptors that are neither its channel nor its captured output",
        """
        import os
        import stat

        kinds = {0: stat.S_ISCHR, 1: stat.S_ISFIFO, 2: stat.S_ISFIFO, 3: stat.S_ISSOCK}
        for number in range(1024):
            try:
                found = os.fstat(number)
            except OSError:
                continue
            if number not in kinds or not kinds[number](found.st_mode):
                breach(f"{number}: {found}")
        if os.fstat(0).st_rdev != os.stat("/dev/null").st_rdev:
            breach("standard input is not empty")
        """,
    ),
    Attack(
        "scan-memory-for-earlier-submissions",
        "reading",
        "scans its memory for a submission that was graded before",
        """
        import ctypes
        import gc
        import re

        pattern = re.compile(b"Edges and gradient[s]")  # a comment in the reference model
        for line in open("/proc/self/maps").read().splitlines():
            place, rights, _, _, inode = line.split()[:5]
            first, last = (int(part, 16) for part in place.split("-"))
            if rights == "rw-p" and inode == "0":
                found = pattern.search((ctypes.c_char * (last - first)).from_address(first))
                if found:
                    breach(found[0])
        for thing in gc.get_objects():
            if type(thing) is dict and any(type(value) is bytes and pattern.search(value) for value in thing.values()):
                breach("a submission that was graded before")
        """,
    ),
    Attack(
        "read-the-table-of-sockets",
        "reading",
        "reads which local sockets other programs listen on",
        """
        try:
            text = open("/proc/net/unix").read()
        except OSError:
            text = ""
        if UNIX_PATH in text:
            breach(text)
        """,
        FILES,
    ),
    Attack(
        "read-the-tables-of-the-machine",
        "reading",
        "reads what the system tells of the machine: mounts, load, memory, interrupts",
        """
        names = "self/mountinfo self/cgroup mounts loadavg meminfo version uptime interrupts diskstats cmdline vmstat"
        for name in [*names.split(), "sys/kernel/random/boot_id", "sys/kernel/hostname"]:
            try:
                breach(open(f"/proc/{name}").read())
            except OSError:
                pass
        """,
        ("landlock",),
    ),
    Attack(
        "watch-the-home",
        "reading",
        "has the system tell it whenever a file of the user's home is used",
        with_calls(
            """
            try:
                breach(call(27 if platform.machine() != "x86_64" else 254, 27, call(294, 26, 0), HOME.encode(), 0xFFF))
            except OSError:
                pass
            """
        ),
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "take-the-handle-of-a-file",
        "reading",
        "asks for a handle of a file, with which it could be opened past all paths",
        with_calls(
            """
            handle = ctypes.create_string_buffer((128).to_bytes(4, "little"), 136)
            try:
                call(303, 264, -100, SHARED.encode(), handle, ctypes.byref(ctypes.c_int()), 0)
                breach(handle.raw)
            except OSError:
                pass
            """
        ),
        ("seccomp", "bubblewrap"),
    ),
    Attack(
        "measure-a-secret",
        "reading",
        "asks whether a file exists, how large it is and when it was changed, which bubblewrap alone hides",
        """
        import os

        try:
            breach(f"{os.stat(SECRET).st_size} bytes, changed at {os.stat(SECRET).st_mtime}")
        except OSError:
            pass
        if os.access(SECRET, os.F_OK):
            breach("it exists")
        """,
        ("bubblewrap",),
    ),
]
