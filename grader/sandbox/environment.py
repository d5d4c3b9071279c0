"""How a process of ours is started: its command line and its whole environment."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Sequence
from pathlib import Path

# All that a child sees. One thread: results then do not depend on the machine, and a fork is safe.
KEPT = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",  # @torch.compile would take most of a minute
    "PYTORCH_JIT": "0",
    "HOME": "/nonexistent",
}
# In place of `-I`, which would also ignore the hash seed: sets must have the same order in every process.
INTERPRETER = {
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "1",
    "PATH": os.defpath,
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",  # large pages for what malloc gives out
}
PASSED_ON = ("LD_LIBRARY_PATH",)  # where some installations keep the libraries of their accelerator

# Python 3.10 knows no safe path and puts '' first: it goes before anything of ours is imported.
_BOOTSTRAP = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; "
    "sys.path += [p for p in sys.argv[2:] if p not in sys.path]; "
    "from grader.sandbox.{module} import main; main()"
)


def environment() -> dict[str, str]:
    """Return the whole environment of a fresh process."""
    return {**KEPT, **INTERPRETER, **{name: os.environ[name] for name in PASSED_ON if name in os.environ}}


def command(module: str, descriptor: int, path: Sequence[str]) -> list[str]:
    """Return the command that runs `main` of a module of this package; what it needs to know comes on its stdin.

    The folder that holds the package, the user's site-packages where they are enabled, and `path` come last on
    `sys.path`, so that nothing in them hides a module of the library.
    """
    folders = [str(Path(__file__).absolute().parents[2]), *_user_site(), *path]
    return [sys.executable, "-c", _BOOTSTRAP.format(module=module), str(descriptor), *folders]


def _user_site() -> list[str]:
    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
