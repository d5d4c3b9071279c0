"""The template process as the front sees it: a socket to control it, its log, and a sure way to end it."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from grader.sandbox.control import REQUEST_CAP, Reply, Request, Setup, Start
from grader.sandbox.environment import command, environment
from grader.sandbox.outcomes import SandboxError

CLOSE_SECONDS = 10.0
DEATH_SECONDS = 10.0  # of a process that was killed, while the kernel gives back what it had
HEED_SECONDS = 0.1

_REPLY: msgspec.json.Decoder[Reply] = msgspec.json.Decoder(Reply)

Wrap = Callable[[list[str], int], list[str]]  # a command, and the descriptor for what its wrapper has to tell


class TemplateProcess:
    """One start of the template. `wrap` puts another program around it, which tells its first process on a pipe."""

    def __init__(self, setup: Setup, path: Sequence[str], wrap: Wrap | None = None) -> None:
        self._log = os.fdopen(os.memfd_create("template"), "w+b")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        told, telling = os.pipe()
        self._told = os.fdopen(told, "rb", buffering=0)
        os.set_blocking(told, False)
        self._telling = b""
        try:
            line = command("nursery", theirs.fileno(), path)
            line = wrap(line, telling) if wrap else line
            passed = (theirs.fileno(), telling) if wrap else (theirs.fileno(),)
            self._process = start(line, Start(setup, os.getpid()), (self._log.fileno(), self._log.fileno()), passed)
        except BaseException:
            self._release()
            raise
        finally:
            theirs.close()
            os.close(telling)

    def send(self, request: Request, descriptors: Sequence[int]) -> None:
        """Send one request; raise SandboxError when nobody is there any more."""
        try:
            socket.send_fds(self._control, [msgspec.json.encode(request)], descriptors)
        except OSError:
            raise self._lost() from None

    def receive(self, seconds: float, heed: Callable[[], None] = lambda: None) -> tuple[Reply, list[int]]:
        """Wait for one reply, and the descriptors that come with it; raise SandboxError when none comes.

        `heed` is called several times a second; what it raises ends the wait.
        """
        deadline = time.monotonic() + seconds
        while not self._arrives_within(min(HEED_SECONDS, max(0.0, deadline - time.monotonic()))):
            heed()
            if self._process.poll() is not None and not self._arrives_within(0.0):
                raise self._lost()  # whoever may still hold the other end
            if time.monotonic() >= deadline:
                self.kill()
                raise SandboxError(f"the template process did not answer within {seconds:g} seconds")
        try:
            message, descriptors, _, _ = socket.recv_fds(self._control, REQUEST_CAP, 1)
        except OSError:
            message, descriptors = b"", []
        if not message:
            raise self._lost()
        return _REPLY.decode(message), list(descriptors)

    def lost(self) -> str:
        """Return how it has ended, in words; '' while it runs."""
        return "" if self._process.poll() is None else str(self._lost())

    def kill(self) -> None:
        """Kill it now; its children die with it."""
        first = self._first_process()
        if first is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(first, signal.SIGKILL)  # the first of its namespace takes all others with it
        self._process.kill()

    def close(self, *, at_once: bool) -> None:
        """End it: at once, or when it has ended its children."""
        if at_once:
            self.kill()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_WR)
            self._control.settimeout(CLOSE_SECONDS)
            while self._control.recv(REQUEST_CAP):
                pass
        self.kill()
        self._process.wait()
        self._release()

    def _arrives_within(self, seconds: float) -> bool:
        """Wait for something to receive, or for the end of it."""
        if self._control.fileno() < 0:
            return True  # closed, which is the end
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def _release(self) -> None:
        self._control.close()
        self._told.close()
        self._log.close()

    def _first_process(self) -> int | None:
        """Return the process that a wrapper has told of, while the wrapper, whose child it is, still runs."""
        if self._told.closed or self._process.poll() is not None:
            return None
        self._telling += self._told.read(4096) or b""
        found = re.search(rb'"child-pid"\s*:\s*(\d+)', self._telling)
        return int(found[1]) if found else None

    def _lost(self) -> SandboxError:
        if self._log.closed:
            return SandboxError("the template process has been closed")
        status = describe(self._process.wait())
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        return SandboxError(f"the template process ended with {status}" + (f": {lines[-1]}" if lines else ""))


def start(line: list[str], message: Start, output: tuple[int, int], passed: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a process of ours with these descriptors as stdout and stderr and those to inherit; raise SandboxError."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as theirs, os.fdopen(write, "wb") as ours:
        ours.write(msgspec.json.encode(message))  # shorter than what a pipe holds
        ours.close()
        return _started(line, theirs.fileno(), output, passed)


def _started(line: list[str], stdin: int, output: tuple[int, int], passed: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            line,
            stdin=stdin,
            stdout=output[0],
            stderr=output[1],
            pass_fds=passed,
            env=environment(),
            cwd="/",
            start_new_session=True,  # Ctrl-C reaches the front alone, which cleans up
        )
    except OSError as error:
        raise SandboxError(f"no process could be started: {error.strerror}") from error


def describe(code: int) -> str:
    """Return an exit code in words: 'signal 11 (SIGSEGV)', 'exit status 3'."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"signal {-code}"


def process_behind(descriptor: int) -> int | None:
    """Return the number, in this namespace, of the process that a descriptor stands for."""
    try:
        text = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    except OSError:
        return None
    found = re.search(r"^Pid:\s*(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None


def end_behind(descriptor: int, grace: float) -> bool:
    """Give the process that a descriptor stands for `grace` seconds to end, then kill it; tell whether that was needed.

    It stays unreaped. One that does not even die, as it waits for a device, is waited for no longer than some seconds.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    if poll.poll(1000 * grace):
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return True  # a container may forbid that; then its parent kills it
    poll.poll(1000 * DEATH_SECONDS)
    return True
