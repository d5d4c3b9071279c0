"""The front's side of the separate processes: a template to start children from, and a handle for each child."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from grader.sandbox.control import Confined, Errand, LayerName, Setup, Terms
from grader.sandbox.launch import Forking, Launcher, SafeForking, Spawning, unheeding
from grader.sandbox.outcomes import SandboxError, Unsealed
from grader.sandbox.process import describe
from grader.sandbox.standing import Standing, judge, kernel_view, thread_count, weaker
from grader.sandbox.tail import Tail

ROLES = {"worker": "grader.worker.entry", "executor": "grader.executor"}
PRELOAD = ("torch", "numpy.random", "numpy.ctypeslib")  # every worker needs them
LAYERS: tuple[LayerName, ...] = ("limits", "privileges", "landlock", "seccomp", "bubblewrap")

CANARY_PREFIX = "s5-grade-"
STALE_SECONDS = 86_400.0
LAST_WORDS_SECONDS = 0.3
SPARE_THREADS = 64

Start = Literal["auto", "fork", "spawn"]
Sandbox = Literal["auto", "strict", "off"]


class Template:
    """A process that has imported torch and every role, ready to become any number of children.

    Use it as a context manager, or call `close`: no process outlives it. Where there is no safe fork every child is a
    fresh process instead. `standing` is that of the least confined child so far, None before the first. `heed` is
    called several times a second while children are at work; what it raises ends these, and comes out of the call that
    they worked for. One thread at a time may use it: others take a handle of their own, by `share`.
    """

    def __init__(
        self, launcher: Launcher, canary: Canary, sandbox: Sandbox, numbers: Iterator[int] | None = None
    ) -> None:
        self.standing: Standing | None = None
        self.heed: Callable[[], None] = unheeding
        self._launcher = launcher
        self._canary = canary
        self._sandbox = sandbox
        self._numbers = numbers or itertools.count(1)

    @classmethod
    def start(
        cls,
        *,
        sandbox: Sandbox = "auto",
        layers: Sequence[LayerName] = LAYERS,
        roles: Mapping[str, str] = ROLES,
        preload: Sequence[str] = PRELOAD,
        path: Sequence[str] = (),
        start: Start = "auto",
        gpu: bool = False,
        many: bool = False,
    ) -> Template:
        """Start the template and return at once; it imports in the background.

        `sandbox` is what is done about children that are less than sealed: 'auto' lets them be, 'strict' gives them no
        work, 'off' asks for no layer at all. `layers` are those to put in force. `roles` maps a role to the module that
        holds its `serve(channel)`, `preload` names libraries to import first, `path` adds folders to the end of
        `sys.path`. `gpu` says that an executor will train on one, `many` that many
        submissions will be graded: what their processes have in common is then done beforehand.
        """
        if sys.platform == "win32":
            raise SandboxError("submissions cannot be confined on Windows; run the grader in WSL")
        canary = Canary()
        terms = Terms(() if sandbox == "off" else tuple(layers), canary.path)
        setup = Setup(tuple(preload), dict(roles), terms, many)
        folders = [os.path.abspath(folder) for folder in path]  # noqa: PTH100 - strings, for a command line
        spawning = Spawning(setup, folders)
        if start == "spawn" or (start == "auto" and sys.platform != "linux"):
            return cls(spawning, canary, sandbox)
        try:
            forking = Forking(setup, folders, gpu=gpu)
        except BaseException:
            canary.close()
            raise
        return cls(SafeForking(forking, spawning) if start == "auto" else forking, canary, sandbox)

    def __enter__(self) -> Template:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def lost(self) -> str:
        """Why no child can be started any more, '' while one can; those that were at work have ended with it."""
        return self._launcher.lost

    def share(self) -> Template:
        """Return a handle on the same processes for one other thread, with a standing and a heed of its own.

        It is this one that has to be closed.
        """
        return Template(self._launcher, self._canary, self._sandbox, self._numbers)

    def ready(self) -> None:
        """Wait until children can be started; raise SandboxError, with the reason, when they never can."""
        threads = self._launcher.ready(self.heed).threads
        if threads != 1:
            raise SandboxError(f"importing the libraries started {threads - 1} threads, so no process can be forked")

    @contextmanager
    def child(self, errand: Errand) -> Iterator[Child]:
        """Start a child as soon as can be; on leaving, it and all its descendants are dead and reaped."""
        self.ready()
        self._canary.sing()
        child = Child(self._launcher, next(self._numbers), errand)
        try:
            child.launch()
            yield child
        finally:
            try:
                child.end()
            finally:
                child.close()

    def refusal(self, *children: Child) -> Unsealed | None:
        """Take note of how children that stand ready are confined; return why they get no work, if they get none."""
        for child in children:
            assert child.standing is not None  # who stands ready has been judged
            self.standing = weaker(self.standing, child.standing)
            if self._sandbox == "strict" and child.standing.level != "sealed":
                return Unsealed(child.standing)
        return None

    def close(self) -> None:
        """End the template and everything that it started."""
        self._launcher.close()
        self._canary.close()


class Canary:
    """A file of this user's that no confined process may reach, in a folder of its own."""

    def __init__(self) -> None:
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=CANARY_PREFIX))
        except OSError as error:
            message = "the self-test of the sandbox needs a folder to write to: set TMPDIR to one"
            raise SandboxError(f"{message} ({error.strerror})") from error
        self.path = str(self._folder / "canary")
        self.sing()
        _remove_stale(self._folder.parent)

    def sing(self) -> None:
        """Make sure that it is there: an attempt on a file that is not would prove nothing."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        Path(self.path).write_bytes(b"out of reach\n")

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _remove_stale(parent: Path) -> None:
    """Remove what runs that were killed have left behind; one that goes on for days makes its own again."""
    before = time.time() - STALE_SECONDS
    for folder in parent.glob(f"{CANARY_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and found.st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)


class Child:
    """A process with one role: a socket to talk to it, and the end of what it writes to stdout and stderr.

    `standing` is how well it is confined, None until it has stood ready.
    """

    def __init__(self, launcher: Launcher, number: int, errand: Errand) -> None:
        self.standing: Standing | None = None
        self._launcher = launcher
        self._number = number
        self._errand = errand
        self._pid: int | None = None
        self._status: str | None = None
        self._output, self._errors = os.pipe(), os.pipe()
        self.connection, self._theirs = socket.socketpair()
        self.connection.setblocking(False)
        self.stdout, self.stderr = Tail(self._output[0]), Tail(self._errors[0])

    def launch(self) -> None:
        """Start the process; the ends that it holds are closed on this side."""
        with self._theirs, os.fdopen(self._output[1], "wb") as output, os.fdopen(self._errors[1], "wb") as errors:
            descriptors = (self._theirs.fileno(), output.fileno(), errors.fileno())
            self._pid = self._launcher.launch(self._number, self._errand, descriptors)

    def judge(self, confined: Confined) -> None:
        """Settle the standing, from what the child tells of itself, having run nothing but our code, and the kernel."""
        self.standing = judge(self._launcher.layers, self._launcher.around, confined, kernel_view(self._pid))

    def overruns(self) -> bool:
        """Tell whether the process runs far more threads than it was started for.

        Address space bounds them only at some ten thousand, and a kernel may have numbers for no more than 32,768.
        """
        return thread_count(self._pid) > self._errand.threads + SPARE_THREADS

    def last_words(self) -> str:
        """Ask the process where it is, which ends it, and return the end of its stderr.

        An abort makes Python write the line that each thread is at, also when it is in native code. A process that does
        not answer is no reason to wait.
        """
        if self._pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGABRT)
            self.stderr.drain_for(LAST_WORDS_SECONDS)
        return self.stderr.text()

    def end(self, grace: float = 0.0) -> str:
        """Wait up to `grace` seconds for the process to end by itself, then kill it with all its descendants.

        Returns how it ended: 'signal 11 (SIGSEGV)', 'exit status 3', or 'closed its channel' when it had to be killed.
        """
        if self._status is None:
            ended = self._launcher.end(self._number, grace)
            self.stdout.drain()
            self.stderr.drain()
            if ended.code is None:
                self._status = "ended with the process that started it"
            else:
                self._status = "closed its channel" if ended.killed else describe(ended.code)
        return self._status

    def close(self) -> None:
        """Close this side's descriptors."""
        self.connection.close()
        self.stdout.close()
        self.stderr.close()
