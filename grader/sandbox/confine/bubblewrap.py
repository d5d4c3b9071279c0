"""bubblewrap around the template: in its own namespaces there is nothing to see of the machine but the libraries.

It adds to the other layers where it works, and is never relied on: some systems (stock Ubuntu 24.04 among them) deny a
plain user the namespaces that it needs. What only it hides are names, sizes and dates of files elsewhere. Source:
bwrap(1).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.sandbox.confine.state import Unavailable

PROGRAM = "bwrap"
LARGE_PAGES = "/sys/kernel/mm/transparent_hugepage"  # the C library looks there for whether there are any


def wrapped(command: Sequence[str], readable: Iterable[str], info: int) -> list[str]:
    """Return a command that runs another one in namespaces of its own, with `readable` as all of its files.

    bubblewrap tells on the descriptor `info`, as JSON, which process is the first of the new namespace.

    Raises:
        Unavailable: it is not installed.
    """
    # A relative entry of PATH could lead to a file of the submission's.
    program = shutil.which(PROGRAM, path=os.pathsep.join(filter(os.path.isabs, os.get_exec_path())))
    if program is None:
        raise Unavailable("bwrap is not installed")
    options = "--unshare-user-try --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try".split()
    options += ["--hostname", "s5-grade"]
    binds = [part for path in _needed(command[0], readable) for part in ("--ro-bind", path, path)]
    kernel = ["--proc", "/proc", "--dev", "/dev", "--ro-bind-try", "/sys/devices/system", "/sys/devices/system"]
    kernel += ["--ro-bind-try", LARGE_PAGES, LARGE_PAGES]
    kernel += ["--remount-ro", "/dev", "--remount-ro", "/"]  # one submission leaves nothing there for the next
    closing = ["--info-fd", str(info), "--chdir", "/", "--"]
    return [program, *options, *binds, *kernel, *closing, *command]


def _needed(interpreter: str, readable: Iterable[str]) -> list[str]:
    """Return what must be there for the interpreter to start: itself, the links that lead to it, its libraries."""
    chain = [interpreter]
    while os.path.islink(chain[-1]) and len(chain) < 16:  # noqa: PTH114
        target = os.readlink(chain[-1])  # noqa: PTH115
        chain.append(os.path.join(os.path.dirname(chain[-1]), target))  # noqa: PTH118, PTH120
    settings = [str(Path(interpreter).parent.parent / "pyvenv.cfg")]
    found = [*readable, *chain, *settings, str(Path(sys.base_prefix) / "bin")]
    return list(dict.fromkeys(os.path.normpath(path) for path in found if os.path.exists(path)))  # noqa: PTH110
