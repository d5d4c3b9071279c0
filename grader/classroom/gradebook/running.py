"""One run at a time: a lock beside the gradebook, which a dying process lets go of."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from pathlib import Path

from grader.classroom.gradebook.errors import GradebookError

SUFFIX = ".run"
_NOTE_CAP = 200  # bytes


class RunLock:
    """Held by the run that grades into a gradebook; the file beside it says which process that is."""

    def __init__(self, gradebook: Path) -> None:
        """Take the lock.

        Raises:
            GradebookError: another run holds it, or the file cannot be made.
        """
        self._path = gradebook.with_name(gradebook.name + SUFFIX)
        self._descriptor = self._taken(gradebook)
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()} on {platform.node()}".encode()[:_NOTE_CAP])

    def release(self) -> None:
        """Let go of it, and take the file away."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)

    def _taken(self, gradebook: Path) -> int:
        """Return the descriptor of the locked file, which is the one that others see."""
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise GradebookError(
                    f"{self._path} cannot be made ({error.strerror}): a run needs a gradebook in a folder that can be"
                    " written to"
                ) from None
            try:
                _lock(descriptor)
                if _is_at(descriptor, self._path):
                    return descriptor
            except BlockingIOError:
                holder = os.read(descriptor, _NOTE_CAP).decode(errors="replace") or "a process that is starting"
                os.close(descriptor)
                raise GradebookError(
                    f"{gradebook} is in use: another s5-grade class grades into it ({holder});"
                    " wait for its end, or end it: what it has recorded is kept"
                ) from None
            except OSError as error:
                os.close(descriptor)
                raise GradebookError(
                    f"{self._path} cannot be locked ({error.strerror}): keep the gradebook on a local disk"
                ) from None
            os.close(descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":  # where nothing is graded
        return
    import fcntl

    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether a file is still the one at its path: who held it before has taken it away."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat())
    return False
