"""The two ways to start a child: forked from a template that holds everything, or as a fresh process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import msgspec

from grader.sandbox.confine import FORK_LAYERS, SPAWN_LAYERS
from grader.sandbox.control import REQUEST_CAP, End, Ended, Failed, Launch, Launched, Ready, Reply, Request, Setup
from grader.sandbox.environment import command, environment
from grader.sandbox.outcomes import SandboxError

READY_SECONDS = 300.0  # a cold import of torch from a slow disk, generously
CONTROL_SECONDS = 60.0
CLOSE_SECONDS = 10.0

Descriptors = tuple[int, int, int]  # channel (for the template: control), stdout, stderr
_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)
Wanted = TypeVar("Wanted", Launched, Ended)


class Launcher(Protocol):
    """Starts and ends children; each has a number that the caller chose."""

    @property
    def layers(self) -> dict[str, str]: ...

    def ready(self) -> Ready:
        """Wait until a child can be started at once."""

    def launch(self, number: int, role: str, descriptors: Descriptors) -> None:
        """Start a child; the descriptors stay the caller's to close."""

    def end(self, number: int, grace: float) -> Ended:
        """Wait `grace` seconds for a child, kill it, and reap it; an unknown number is no error."""

    def close(self) -> None:
        """End everything."""


class Forking:
    """Children are forked by the template process, which adopts and kills whatever they leave behind."""

    layers = FORK_LAYERS

    def __init__(self, setup: Setup, path: Sequence[str]) -> None:
        self._lock = threading.Lock()  # one request at a time, also when a class is graded by several threads
        self._ready: Ready | Failed | None = None
        self._log = os.fdopen(os.memfd_create("template"), "w+b")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            descriptors = (theirs.fileno(), self._log.fileno(), self._log.fileno())
            self._process = _start("nursery", descriptors, setup, path)

    def ready(self) -> Ready:
        with self._lock:
            if self._ready is None:
                reply = self._receive(READY_SECONDS)
                assert isinstance(reply, (Ready, Failed))
                self._ready = reply
            if isinstance(self._ready, Failed):
                raise SandboxError(self._ready.message)
            return self._ready

    def launch(self, number: int, role: str, descriptors: Descriptors) -> None:
        self._ask(Launch(number, role), Launched, descriptors)

    def end(self, number: int, grace: float) -> Ended:
        try:
            ended = self._ask(End(number, grace), Ended)
        except SandboxError:
            return Ended(number)  # the template is gone, and each child with it
        if ended.left:
            raise SandboxError(f"{ended.left} processes that the submission started could not be ended")
        return ended

    def close(self) -> None:
        if self._ready is None:
            self._process.kill()  # still importing, so without children
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
            self._control.settimeout(CLOSE_SECONDS)
            while self._control.recv(REQUEST_CAP):
                pass
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _ask(self, request: Request, wanted: type[Wanted], descriptors: Sequence[int] = ()) -> Wanted:
        with self._lock:
            try:
                socket.send_fds(self._control, [msgspec.json.encode(request)], descriptors)
            except OSError:
                raise self._lost() from None
            while True:
                reply = self._receive(CONTROL_SECONDS)
                if reply.number != request.number:
                    continue  # the answer to a request that was interrupted
                if isinstance(reply, Failed):
                    raise SandboxError(reply.message)
                if isinstance(reply, wanted):
                    return reply

    def _receive(self, seconds: float) -> Reply:
        self._control.settimeout(seconds)
        try:
            message = self._control.recv(REQUEST_CAP)
        except TimeoutError:
            self._process.kill()  # its children die with it
            raise SandboxError(f"the template process did not answer within {seconds:g} seconds") from None
        except OSError:
            message = b""
        if not message:
            raise self._lost()
        return _REPLY.decode(message)

    def _lost(self) -> SandboxError:
        if self._log.closed:
            return SandboxError("the template process has been closed")
        status = describe(self._process.wait())
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return SandboxError(f"the template process ended with {status}" + (f": {lines[-1]}" if lines else ""))


class Spawning:
    """Every child is a fresh process that imports everything again: for systems without a safe fork."""

    layers = SPAWN_LAYERS

    def __init__(self, setup: Setup, path: Sequence[str]) -> None:
        self._setup = setup
        self._path = path
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def ready(self) -> Ready:
        return Ready(threads=1)

    def launch(self, number: int, role: str, descriptors: Descriptors) -> None:
        setup = Setup(self._setup.preload, {role: self._setup.roles[role]})
        self._children[number] = _start("child", descriptors, setup, self._path)

    def end(self, number: int, grace: float) -> Ended:
        process = self._children.get(number)
        if process is None:
            return Ended(number)
        killed = False
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            killed = True
        with suppress(ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        del self._children[number]
        return Ended(number, code, killed)

    def close(self) -> None:
        for number in list(self._children):
            self.end(number, grace=0.0)


def describe(code: int) -> str:
    """Return an exit code in words: 'signal 11 (SIGSEGV)', 'exit status 3'."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def _start(module: str, descriptors: Descriptors, setup: Setup, path: Sequence[str]) -> subprocess.Popen[bytes]:
    channel, output, errors = descriptors
    try:
        return subprocess.Popen(
            command(module, channel, setup, path),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=(channel,),
            env=environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C reaches the front alone, which cleans up
        )
    except OSError as error:
        raise SandboxError(f"no process could be started: {error.strerror}") from error
