"""The two ways to start a child: forked from a template that holds everything, or as a fresh process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import msgspec

from grader.sandbox.confine import bubblewrap, paths, seatbelt
from grader.sandbox.confine.state import Unavailable
from grader.sandbox.control import End, Ended, Errand, Failed, Launch, Launched, Layer, Ready, Request, Setup, Start
from grader.sandbox.environment import command
from grader.sandbox.outcomes import SandboxError
from grader.sandbox.process import TemplateProcess, end_behind, process_behind, start

READY_SECONDS = 300.0  # a cold import of torch from a slow disk, generously
CONTROL_SECONDS = 60.0

Descriptors = tuple[int, int, int]  # channel, stdout, stderr
Heed = Callable[[], None]
Wanted = TypeVar("Wanted", Launched, Ended)

# What keeps every child apart, in the words of the report.
_COMMON = {
    "environment": "empty, but for thread counts",
    "descriptors": "none but its channel and its captured output",
    "time": "wall clock",
}


class Launcher(Protocol):
    """Starts and ends children; each has a number that the caller chose."""

    @property
    def layers(self) -> Mapping[str, str]:
        """What keeps each child apart without being asked for, in words."""

    @property
    def around(self) -> tuple[Layer, ...]:
        """The layers that were put around the children from outside."""

    @property
    def lost(self) -> str:
        """Why no child can be started any more, '' while one can."""

    def ready(self, heed: Heed = ...) -> Ready:
        """Wait until a child can be started at once; `heed` is called meanwhile, what it raises ends the wait."""

    def launch(self, number: int, errand: Errand, descriptors: Descriptors) -> int | None:
        """Start a child; return its process number, if known. The descriptors stay the caller's to close."""

    def end(self, number: int, grace: float) -> Ended:
        """Wait `grace` seconds for a child, kill it, and reap it; an unknown number is no error."""

    def close(self) -> None:
        """End everything."""


def unheeding() -> None:
    """Let a wait go on."""


class Forking:
    """Children are forked by the template process, which adopts and kills whatever they leave behind.

    Several threads may use it. The template carries out one request after the other, so none of them may take long:
    whoever ends a child waits for its death on this side, where nobody else does.
    """

    layers: Mapping[str, str] = {"process": "own session, killed with all descendants", **_COMMON}

    def __init__(self, setup: Setup, path: Sequence[str], *, gpu: bool = False) -> None:
        self._lock = threading.Lock()  # one request at a time
        self._setup = setup
        self._path = path
        self._behind: dict[int, int] = {}  # for each child the descriptor that stands for it
        self._ready: Ready | Failed | None = None
        if "bubblewrap" not in setup.terms.layers:
            self._template = self._plain()
        elif gpu:
            self._template = self._plain("the driver of a GPU needs the machine's own devices")
        else:
            self._template = self._wrapped()

    @property
    def around(self) -> tuple[Layer, ...]:
        return self._around

    @property
    def lost(self) -> str:
        with self._lock:
            return self._template.lost()

    def _plain(self, without: str = "") -> TemplateProcess:
        """Start the template; `without` says why nothing is put around it, where something was asked for."""
        terms = self._setup.terms
        kept = tuple(name for name in terms.layers if name != "bubblewrap")
        setup = msgspec.structs.replace(self._setup, terms=msgspec.structs.replace(terms, layers=kept))
        self._around: tuple[Layer, ...] = (Layer("bubblewrap", False, without),) if without else ()
        return TemplateProcess(setup, self._path)

    def _wrapped(self) -> TemplateProcess:
        readable = [*paths.libraries(), str(paths.PACKAGE), *self._path]
        self._around = (Layer("bubblewrap", True, "own mounts, processes, network and users"),)
        # A user's processes are counted in each namespace of users; root's never are.
        terms = msgspec.structs.replace(self._setup.terms, counted_apart=os.getuid() != 0)
        setup = msgspec.structs.replace(self._setup, terms=terms)
        try:
            return TemplateProcess(setup, self._path, lambda line, info: bubblewrap.wrapped(line, readable, info))
        except (Unavailable, SandboxError) as error:
            return self._plain(str(error))

    def ready(self, heed: Heed = unheeding) -> Ready:
        with self._lock:
            if self._ready is None:
                self._ready = self._first_reply(heed)
            if isinstance(self._ready, Failed):
                raise SandboxError(self._ready.message)
            return self._ready

    def _first_reply(self, heed: Heed) -> Ready | Failed:
        """Wait for the template; one that cannot start inside bubblewrap is started again without."""
        inside = any(layer.held for layer in self._around)
        try:
            reply, _ = self._template.receive(READY_SECONDS, heed)
            assert isinstance(reply, (Ready, Failed))
        except SandboxError as error:
            if not inside:
                raise
            reply = Failed(str(error))
        if isinstance(reply, Ready) or not inside:
            return reply
        self._template.close(at_once=True)
        self._template = self._plain(reply.message)
        return self._first_reply(heed)

    def launch(self, number: int, errand: Errand, descriptors: Descriptors) -> int | None:
        launched, behind = self._ask(Launch(number, errand), Launched, descriptors)
        if behind:
            self._behind[number] = behind[0]
            return process_behind(behind[0])
        inside = any(layer.held for layer in self._around)
        return None if inside else launched.pid

    def end(self, number: int, grace: float) -> Ended:
        killed = False
        behind = self._behind.pop(number, None)
        if behind is not None:
            try:
                killed = end_behind(behind, grace)
            finally:
                os.close(behind)
            grace = 0.0
        try:
            ended, _ = self._ask(End(number, grace), Ended)
        except SandboxError:
            return Ended(number)  # the template is gone, and each child with it
        if ended.left:
            raise SandboxError(f"{ended.left} processes that the submission started could not be ended")
        return msgspec.structs.replace(ended, killed=killed or ended.killed)

    def close(self) -> None:
        with self._lock:
            self._template.close(at_once=self._ready is None)  # still importing, so without children

    def _ask(self, request: Request, wanted: type[Wanted], descriptors: Sequence[int] = ()) -> tuple[Wanted, list[int]]:
        with self._lock:
            self._template.send(request, descriptors)
            while True:
                reply, behind = self._template.receive(CONTROL_SECONDS)
                if reply.number != request.number or not isinstance(reply, (wanted, Failed)):
                    for descriptor in behind:  # the answer to a request that was interrupted
                        os.close(descriptor)
                elif isinstance(reply, Failed):
                    raise SandboxError(reply.message)
                else:
                    return reply, behind


class Spawning:
    """Every child is a fresh process that imports everything again: for systems without a safe fork."""

    layers: Mapping[str, str] = {
        "process": "own session, killed as a group; a descendant can leave the group",
        **_COMMON,
    }

    def __init__(self, setup: Setup, path: Sequence[str]) -> None:
        self._setup = setup
        self._path = path
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        asked = setup.terms.layers
        self.around: tuple[Layer, ...] = ()
        if sys.platform == "darwin" and "landlock" in asked:
            self.around = (Layer("seatbelt", True, "sandbox-exec: libraries can be read, nothing written, no network"),)
        elif "bubblewrap" in asked:
            self.around = (Layer("bubblewrap", False, "it is put around a template only, and none can be forked"),)

    lost = ""  # each child is started by this process

    def ready(self, heed: Heed = unheeding) -> Ready:
        return Ready(threads=1)

    def launch(self, number: int, errand: Errand, descriptors: Descriptors) -> int | None:
        channel, *output = descriptors
        setup = msgspec.structs.replace(self._setup, roles={errand.role: self._setup.roles[errand.role]})
        line = command("child", channel, self._path)
        if any(layer.name == "seatbelt" for layer in self.around):
            line = seatbelt.wrapped(line, [*paths.libraries(), str(paths.PACKAGE), *self._path])
        self._children[number] = start(line, Start(setup, os.getpid(), errand), (output[0], output[1]), (channel,))
        return self._children[number].pid

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


class SafeForking:
    """Children are forked where that turns out to be safe, and started as fresh processes elsewhere."""

    def __init__(self, forking: Forking, spawning: Spawning) -> None:
        self._lock = threading.Lock()
        self._forking = forking
        self._spawning = spawning
        self._chosen: Launcher | None = None

    @property
    def layers(self) -> Mapping[str, str]:
        return self._launcher.layers

    @property
    def around(self) -> tuple[Layer, ...]:
        return self._launcher.around

    @property
    def lost(self) -> str:
        return self._launcher.lost

    @property
    def _launcher(self) -> Launcher:
        return self._chosen or self._forking

    def ready(self, heed: Heed = unheeding) -> Ready:
        with self._lock:
            if self._chosen is None:
                self._chosen = self._forking if self._forking.ready(heed).threads == 1 else self._spawning
                if self._chosen is not self._forking:
                    self._forking.close()
        return self._chosen.ready(heed)

    def launch(self, number: int, errand: Errand, descriptors: Descriptors) -> int | None:
        return self._launcher.launch(number, errand, descriptors)

    def end(self, number: int, grace: float) -> Ended:
        return self._launcher.end(number, grace)

    def close(self) -> None:
        self._launcher.close()
