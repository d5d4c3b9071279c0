"""Runs a command as a user without rights, for root: python tests/unprivileged.py COMMAND [ARGUMENT ...].

The interpreter and the sources may lie where only root can go, such as the home of root: the command then sees these
folders, and nothing else of that home, in a mount namespace of its own. Nothing on the machine changes.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import tempfile
from pathlib import Path

NOBODY = 65534
REPOSITORY = Path(__file__).resolve().parents[1]
NEEDED = (Path(sys.base_prefix), Path(sys.prefix), REPOSITORY)

_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_MOVE, _MS_REC, _MS_PRIVATE = 0x1000, 0x2000, 0x4000, 0x40000


def main(command: list[str]) -> None:
    """Become that user, and the command."""
    if os.geteuid() != 0:
        sys.exit("only root can become another user")
    blocked = sorted({wall for path in NEEDED if (wall := _wall(path)) is not None})
    if blocked:
        _checked(ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS), "unshare")
        _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    for wall in blocked:
        _open_up(wall, [path for path in NEEDED if path.is_relative_to(wall)])
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.chdir(REPOSITORY)
    os.execve(command[0], command, {**os.environ, "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"})


def _wall(path: Path) -> Path | None:
    """Return the highest folder on the way to a path that others cannot pass; None where they can."""
    for folder in [*reversed(path.parents), path]:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def _open_up(wall: Path, needed: list[Path]) -> None:
    """Put an empty folder over one that others cannot pass, with the needed folders in it."""
    kept = []
    for path in needed:
        aside = tempfile.mkdtemp()
        _mount(str(path), aside, "", _MS_BIND | _MS_REC)
        kept.append((aside, path))
    _mount("tmpfs", str(wall), "tmpfs", 0, "mode=755")
    for aside, path in kept:
        path.mkdir(parents=True, exist_ok=True)
        _mount(aside, str(path), "", _MS_MOVE)
        os.rmdir(aside)  # noqa: PTH106


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = [word.encode() for word in (source, target, kind)]
    result = ctypes.CDLL(None, use_errno=True).mount(*words, ctypes.c_ulong(flags), options.encode())
    _checked(result, f"mount {target}")


def _checked(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        sys.exit(f"{what}: {os.strerror(code)}")


if __name__ == "__main__":
    main(sys.argv[1:])
