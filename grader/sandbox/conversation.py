"""Talking to children that may say anything, or nothing: every wait has a deadline and every answer a cap."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, Union

import msgspec

from grader.sandbox.channel import HEADER
from grader.sandbox.control import REQUEST_CAP, Confined, Failed
from grader.sandbox.launch import READY_SECONDS
from grader.sandbox.outcomes import Crashed, Exhausted, Failure, Malformed, Resource, SandboxError, TimedOut, TooLarge
from grader.sandbox.tail import Tail
from grader.sandbox.template import Child

WATCH_SECONDS = 0.05  # between two looks at what a child takes that no limit bounds
PLAUSIBLE = 2**40  # bytes; a length above is none, but something else that was written to the channel
EXIT_SECONDS = 1.0  # a process that has closed its channel by exiting is gone well before

_GREETING: msgspec.json.Decoder[Confined | Failed] = msgspec.json.Decoder(Union[Confined, Failed])

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Ask:
    """A turn of a script: send `message`, if there is one, and wait for one frame of at most `cap` bytes."""

    cap: int
    message: bytes | None = None


Script = Generator[Ask, bytearray, Result]


class Conversation(Generic[Result]):
    """One child and the script to follow with it.

    A script yields an Ask for each frame that it wants and returns the outcome. `outcome` is None while it goes on.
    """

    def __init__(self, child: Child, script: Script[Result]) -> None:
        self.child = child
        self.outcome: Result | Failure | None = None
        self._script = script
        self._outgoing: list[memoryview] = []
        self._turn(next(script))

    @property
    def events(self) -> int:
        """What a selector must watch the child's connection for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)

    def proceed(self, mask: int) -> None:
        """Send and receive what can be without waiting."""
        if mask & selectors.EVENT_WRITE:
            self._send()
        if mask & selectors.EVENT_READ:
            self._receive()

    def _send(self) -> None:
        try:
            while self._outgoing:
                sent = self.child.connection.send(self._outgoing[0])
                self._outgoing[0] = self._outgoing[0][sent:]
                if not self._outgoing[0]:
                    del self._outgoing[0]
        except BlockingIOError:
            pass
        except OSError:
            self._outgoing.clear()  # it listens no more, but may have answered before

    def _receive(self) -> None:
        try:
            frame = self._incoming.read(self.child.connection)
        except EOFError:
            self.outcome = _ending(self.child.end(EXIT_SECONDS), self.child.stderr.text())
            return
        if isinstance(frame, TooLarge):
            plausible = frame.announced <= PLAUSIBLE
            self.outcome = frame if plausible else Malformed(f"it announces {frame.announced:,} bytes")
        elif frame is not None:
            try:
                self._turn(self._script.send(frame))
            except StopIteration as stop:
                self.outcome = stop.value

    def _turn(self, ask: Ask) -> None:
        self._incoming = _Incoming(ask.cap)
        if ask.message is not None:
            self._outgoing += [memoryview(HEADER.pack(len(ask.message))), memoryview(ask.message)]


class _Incoming:
    """One frame on its way in: the header first, then, if it announces no more than the cap, the payload."""

    def __init__(self, cap: int) -> None:
        self._cap = cap
        self._header = bytearray(HEADER.size)
        self._payload: bytearray | None = None
        self._missing = memoryview(self._header)

    def read(self, connection: socket.socket) -> bytearray | TooLarge | None:
        """Take in what is there: the whole payload, or None while some is missing; raise EOFError at the end."""
        while self._fill(connection):
            if self._payload is not None:
                return self._payload
            announced = HEADER.unpack(self._header)[0]
            if announced > self._cap:
                return TooLarge(announced, self._cap)
            self._payload = bytearray(announced)
            self._missing = memoryview(self._payload)
        return None

    def _fill(self, connection: socket.socket) -> bool:
        while self._missing:
            try:
                read = connection.recv_into(self._missing)
            except BlockingIOError:
                return False
            except ConnectionError:
                read = 0
            if read == 0:
                raise EOFError
            self._missing = self._missing[read:]
        return True


def converse(
    conversations: Sequence[Conversation[Any]], seconds: float, heed: Callable[[], None] = lambda: None
) -> Iterator[Conversation[Any]]:
    """Carry on several conversations at once; yield each as it ends, at the deadline all that are left.

    `heed` is called at every turn, several times a second; what it raises ends the conversations.
    """
    deadline = time.monotonic() + seconds
    look = 0.0
    going = list(conversations)
    with selectors.DefaultSelector() as selector:
        for conversation in going:
            selector.register(conversation.child.connection, conversation.events, conversation)
            selector.register(conversation.child.stdout, selectors.EVENT_READ, conversation.child.stdout)
            selector.register(conversation.child.stderr, selectors.EVENT_READ, conversation.child.stderr)
        while going:
            for key, mask in selector.select(min(max(0.0, deadline - time.monotonic()), WATCH_SECONDS)):
                _serve(selector, key, mask)
            heed()
            now = time.monotonic()
            if now >= min(look, deadline):
                look = now + WATCH_SECONDS
                for conversation in going:
                    if conversation.outcome is None:
                        conversation.outcome = _stopped(conversation.child, deadline, seconds)
            ended = [conversation for conversation in going if conversation.outcome is not None]
            going = [conversation for conversation in going if conversation.outcome is None]
            yield from ended


def _stopped(child: Child, deadline: float, seconds: float) -> TimedOut | Exhausted | None:
    """Return why a child must stop now; None while it may go on."""
    if time.monotonic() >= deadline:
        return TimedOut(seconds, child.last_words())
    if child.overruns():
        return Exhausted("threads", child.last_words())
    return None


def greet(children: Sequence[Child]) -> None:
    """Wait until each child stands ready, and judge how well it is confined; raise SandboxError when one cannot."""
    for conversation in converse([Conversation(child, _greeting()) for child in children], READY_SECONDS):
        outcome = conversation.outcome
        if isinstance(outcome, Failed):
            raise SandboxError(outcome.message)
        if not isinstance(outcome, Confined):
            raise SandboxError(f"a process could not be started: {_first_words(outcome)}")
        conversation.child.judge(outcome)


def _serve(selector: selectors.BaseSelector, key: selectors.SelectorKey, mask: int) -> None:
    """Let whoever watches a descriptor have its turn, and stop watching what has nothing more to say."""
    watcher: Conversation[Any] | Tail = key.data
    if isinstance(watcher, Tail):
        if not watcher.read():
            selector.unregister(key.fileobj)
        return
    watcher.proceed(mask)
    if watcher.outcome is None:
        selector.modify(key.fileobj, watcher.events, watcher)
    else:
        selector.unregister(key.fileobj)


def _greeting() -> Script[Confined | Failed]:
    frame = yield Ask(REQUEST_CAP)
    return _GREETING.decode(frame)


# How the kernel ends a process that took too much; nothing of ours has killed it by then.
_ENDS: tuple[tuple[str, str, Resource], ...] = (
    ("signal 9 (SIGKILL)", "", "memory"),
    ("signal 6 (SIGABRT)", "bad_alloc", "memory"),
    ("exit status 1", "\nMemoryError", "memory"),
    ("signal 24 (SIGXCPU)", "", "processor time"),
)


def _ending(status: str, stderr: str) -> Crashed | Exhausted:
    for ended, sign, resource in _ENDS:
        if status == ended and sign in stderr:
            return Exhausted(resource, stderr)
    return Crashed(status, stderr)


def _first_words(outcome: object) -> str:
    if isinstance(outcome, Crashed):
        lines = outcome.stderr.strip().splitlines()
        return outcome.status + (f": {lines[-1]}" if lines else "")
    return str(outcome)
