"""The front's side of the separate processes: a template to start children from, and a handle for each child."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from grader.sandbox.control import Setup
from grader.sandbox.launch import Forking, Launcher, Spawning, describe
from grader.sandbox.outcomes import SandboxError
from grader.sandbox.tail import Tail

ROLES = {"worker": "grader.worker.entry", "executor": "grader.executor"}
PRELOAD = ("torch",)

Start = Literal["auto", "fork", "spawn"]


class Template:
    """A process that has imported torch and every role, ready to become any number of children.

    Use it as a context manager, or call `close`: no process outlives it. Where there is no safe fork every child is a
    fresh process instead.
    """

    def __init__(self, launcher: Launcher, fallback: Launcher | None = None) -> None:
        self._launcher = launcher
        self._fallback = fallback
        self._numbers = itertools.count(1)

    @classmethod
    def start(
        cls,
        *,
        roles: Mapping[str, str] = ROLES,
        preload: Sequence[str] = PRELOAD,
        path: Sequence[str] = (),
        start: Start = "auto",
    ) -> Template:
        """Start the template and return at once; it imports in the background.

        `roles` maps a role to the module that holds its `serve(channel)`, `preload` names libraries to import first,
        `path` adds folders to the end of `sys.path`.
        """
        if sys.platform == "win32":
            raise SandboxError("submissions cannot be confined on Windows; run the grader in WSL")
        setup = Setup(tuple(preload), dict(roles))
        folders = [os.path.abspath(folder) for folder in path]  # noqa: PTH100 - strings, for a command line
        spawning = Spawning(setup, folders)
        if start == "spawn" or (start == "auto" and sys.platform != "linux"):
            return cls(spawning)
        return cls(Forking(setup, folders), fallback=spawning if start == "auto" else None)

    def __enter__(self) -> Template:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def ready(self) -> None:
        """Wait until children can be started; raise SandboxError, with the reason, when they never can."""
        threads = self._launcher.ready().threads
        if threads == 1:
            return
        if self._fallback is None:
            raise SandboxError(f"importing the libraries started {threads - 1} threads, so no process can be forked")
        self._launcher.close()
        self._launcher, self._fallback = self._fallback, None

    @contextmanager
    def child(self, role: str) -> Iterator[Child]:
        """Start a child for a role as soon as can be; on leaving, it and all its descendants are dead and reaped."""
        self.ready()
        child = Child(self._launcher, next(self._numbers))
        try:
            child.launch(role)
            yield child
        finally:
            try:
                child.end()
            finally:
                child.close()

    def layers(self) -> dict[str, str]:
        """Return what keeps a child apart from the rest of the machine: layer → its state, in words."""
        return dict(self._launcher.layers)

    def close(self) -> None:
        """End the template and everything that it started."""
        self._launcher.close()


class Child:
    """A process with one role: a socket to talk to it, and the end of what it writes to stdout and stderr."""

    def __init__(self, launcher: Launcher, number: int) -> None:
        self._launcher = launcher
        self._number = number
        self._status: str | None = None
        self._output, self._errors = os.pipe(), os.pipe()
        self.connection, self._theirs = socket.socketpair()
        self.connection.setblocking(False)
        self.stdout, self.stderr = Tail(self._output[0]), Tail(self._errors[0])

    def launch(self, role: str) -> None:
        """Start the process; the ends that it holds are closed on this side."""
        with self._theirs, os.fdopen(self._output[1], "wb") as output, os.fdopen(self._errors[1], "wb") as errors:
            self._launcher.launch(self._number, role, (self._theirs.fileno(), output.fileno(), errors.fileno()))

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
