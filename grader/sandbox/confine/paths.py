"""What a child may read: the interpreter, its libraries, and the few facts about the machine that they ask for."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PACKAGE = Path(__file__).absolute().parents[2]  # the folder of this package itself, its data included

LINKER_DEPTH = 4  # files that include each other

_SYSTEM = (
    "/lib /lib32 /lib64 /usr/lib /usr/lib32 /usr/lib64 /usr/local/lib /usr/local/lib64 /nix/store /gnu/store"
    " /etc/ld.so.cache /etc/localtime /usr/share/zoneinfo"
).split()
# A rule on a file of /proc/self is about the process that opens it: it must be made by the child.
_KERNEL = (
    "/dev/null /dev/zero /dev/random /dev/urandom /proc/cpuinfo /sys/devices/system/cpu /sys/devices/system/node"
    " /proc/self/fd /proc/self/maps /proc/self/stat /proc/self/statm /proc/self/status"
).split()
GPU_READ = (
    "/proc/driver/nvidia",
    "/proc/devices",
    "/proc/modules",
    "/proc/sys/vm/mmap_min_addr",
    "/sys/bus/pci",
    "/sys/devices",
)
GPU_WRITE = (
    *(f"/dev/nvidia{number}" for number in range(16)),
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
    "/dev/nvidia-modeset",
    "/dev/nvidia-caps",
    "/dev/null",
    "/proc/self/task",  # it gives its threads names
)


def libraries() -> list[str]:
    """Return the folders that hold the interpreter's library, installed packages and the system's libraries.

    A folder that stands on `sys.path` for another reason (the root of a project that was installed for editing, say)
    is not among them: beside a package it may hold anything, such as rules and the submissions of others.
    """
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    inner = [os.path.join(prefix, name) for prefix in sorted(prefixes) for name in ("lib", "lib64")]  # noqa: PTH118
    paths = sysconfig.get_paths()
    named = [paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    packages = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]  # noqa: PTH119
    searched = [*os.environ.get("LD_LIBRARY_PATH", "").split(":"), *_linked(Path("/etc/ld.so.conf"))]
    return _existing([*inner, *named, *packages, *_SYSTEM, *filter(os.path.isabs, searched)])


def _linked(file: Path, depth: int = 0) -> list[str]:
    """Return the folders in which the linker's configuration looks for libraries, as ldconfig(8) reads it."""
    found: list[str] = []
    with suppress(OSError):
        for line in file.read_text("utf-8", "replace").splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["include"] and depth < LINKER_DEPTH:
                for pattern in words[1:]:
                    inner = sorted(Path("/").glob(str(file.parent / pattern).lstrip("/")))
                    found += [folder for other in inner for folder in _linked(other, depth + 1)]
            elif words[:1] != ["include"]:
                found += words
    return found


def loaded() -> list[str]:
    """Return the folders of the shared libraries that this process has mapped: wherever an installation keeps them."""
    mapped = set()
    with suppress(OSError), open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:  # noqa: PTH123
        for line in maps:
            path = line.rstrip("\n").split(maxsplit=5)[5:]
            if path and path[0].startswith("/") and ".so" in path[0]:
                mapped.add(os.path.dirname(path[0]))  # noqa: PTH120
    return _existing(sorted(mapped))


def kernel() -> list[str]:
    """Return the files of the kernel that libraries read: devices, the processor, this process itself."""
    return _existing(_KERNEL)


def _existing(paths: Iterable[str]) -> list[str]:
    """Return what exists, without what lies below another of them, each once; never the root itself."""
    found: dict[str, None] = {}
    for path in paths:
        clean = os.path.normpath(path)
        if clean != "/" and os.path.exists(clean):  # noqa: PTH110
            found[clean] = None
    return [path for path in found if not any(path.startswith(f"{other}/") for other in found if other != path)]
