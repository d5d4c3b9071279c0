"""The template process: it imports everything once, forks a child on request, and ends it with all its descendants.

It knows no rule and no submission, runs no student code, and ends when the front does.
"""

from __future__ import annotations

import array
import os
import socket
import sys
from typing import NoReturn

import msgspec

from grader.sandbox import child, kin, pages
from grader.sandbox.confine import paths
from grader.sandbox.control import (
    REQUEST_CAP,
    End,
    Ended,
    Failed,
    Launch,
    Launched,
    Ready,
    Reply,
    Request,
    Terms,
)
from grader.sandbox.preload import ImportFailed, load, settle

_CHILD_DESCRIPTORS = 3  # channel, stdout, stderr
MANY = 4  # children: more than one submission has, so that the time for large pages is won back
DATA_ROLES = ("executor",)  # those that read the data of this package


def main() -> NoReturn:
    """Run the template process: `argv` is the control socket's descriptor, stdin has the rest."""
    control = socket.socket(fileno=int(sys.argv[1]))
    setup = child.told().setup
    try:
        serve = load(setup)
    except ImportFailed as error:
        control.send(msgspec.json.encode(Failed(str(error))))
        os._exit(1)
    settle(setup)
    kin.adopt_orphans()
    nursery = Nursery(control, serve, setup.terms)
    try:
        nursery.run()
    except ConnectionError:
        pass  # the front is gone, which is an end like any other
    finally:
        nursery.end_all()
    os._exit(0)


class Nursery:
    """The children of the template, by the numbers that the front gave them."""

    def __init__(self, control: socket.socket, serve: dict[str, child.Serve], terms: Terms) -> None:
        self._control = control
        self._serve = serve
        self._terms = terms
        self._readable = [*paths.libraries(), *paths.loaded()]
        self._children: dict[int, int] = {}
        self._launches = 0

    def run(self) -> None:
        """Answer one request after the other until the front closes its end."""
        self._send(Ready(kin.threads()))
        while True:
            message, descriptors = self._receive()
            if not message:
                return
            self._send(self._answer(msgspec.json.decode(message, type=Request), descriptors))

    def end_all(self) -> None:
        """Kill and reap every child and everything they left."""
        self._children.clear()
        kin.sweep(keep=())

    def _answer(self, request: Request, descriptors: list[int]) -> Reply:
        if isinstance(request, Launch):
            return self._launch(request, descriptors)
        return self._end(request)

    def _launch(self, request: Launch, descriptors: list[int]) -> Reply:
        self._launches += 1
        if self._launches == MANY:
            pages.enlarge()
        template = os.getpid()
        errand = request.errand
        serve = self._serve[errand.role]
        try:
            pid = os.fork()
        except OSError as error:
            _close(descriptors)
            return Failed(f"no process could be started: {error.strerror}", request.number)
        if pid == 0:
            self._control.detach()  # its descriptor is closed with all others; the object must not close another one
            readable = [*self._readable, str(paths.PACKAGE)] if errand.role in DATA_ROLES else self._readable
            child.run_forked(serve, descriptors, template, self._terms, errand, readable)
        _close(descriptors)
        self._children[request.number] = pid
        return Launched(request.number, pid)

    def _end(self, request: End) -> Ended:
        pid = self._children.pop(request.number, None)
        if pid is None:
            return Ended(request.number)
        code, killed = kin.end(pid, request.grace)
        return Ended(request.number, code, killed, left=kin.sweep(keep=self._children.values()))

    def _send(self, reply: Reply) -> None:
        """Send a reply; with the start of a child, a descriptor that means it in every namespace of processes."""
        message = msgspec.json.encode(reply)
        behind = _descriptor_of(reply.pid) if isinstance(reply, Launched) else None
        if behind is None:
            self._control.send(message)
            return
        try:
            socket.send_fds(self._control, [message], [behind])
        finally:
            os.close(behind)

    def _receive(self) -> tuple[bytes, list[int]]:
        descriptors = array.array("i")
        space = socket.CMSG_SPACE(_CHILD_DESCRIPTORS * descriptors.itemsize)
        message, ancillary, _, _ = self._control.recvmsg(REQUEST_CAP, space, socket.MSG_CMSG_CLOEXEC)
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        return message, list(descriptors)


def _descriptor_of(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # a kernel before 5.3, or a Python built on one
        return None


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
