"""Stand-ins for a worker and an executor that behave as they are told, well and badly."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from grader.protocol import Graded, Loaded, Probe, Progress, Refusal, Ungradable
from grader.sandbox.channel import Channel

Job = dict[str, Any]

HANG = 600.0


def serve(channel: Channel) -> None:
    """Do what the first frame's `entry` names; the rest of the job is at its disposal."""
    frame = channel.receive(2**28)
    assert frame is not None
    job = msgspec.msgpack.decode(frame)
    BEHAVIOURS[job["entry"]](channel, job)


def good(channel: Channel, job: Job) -> None:
    if not job["untraced"]:
        return channel.send(b"G" + b"the graph")
    channel.send(b"L")
    probe = msgspec.msgpack.decode(channel.receive(2**20), type=Probe)
    return channel.send(b"T" + msgspec.json.encode(probe))


def refuse(channel: Channel, job: Job) -> None:
    who = "untraced" if job["untraced"] else "traced"
    if job["arguments"].get("who", who) != who:
        return good(channel, job)
    return channel.send(b"R" + msgspec.json.encode(Refusal("forward", f"refused by the {who}")))


def refuse_late(channel: Channel, job: Job) -> None:
    if not job["untraced"]:
        return good(channel, job)
    channel.send(b"L")
    channel.receive(2**20)
    return channel.send(b"R" + msgspec.json.encode(Refusal("forward", "refused on the probe")))


def literal(channel: Channel, job: Job) -> None:
    channel.send(job["arguments"]["answer"].encode("latin-1"))


def large(channel: Channel, job: Job) -> None:
    channel.send(bytes(int(job["arguments"]["size"])))


def hang(channel: Channel, job: Job) -> None:
    time.sleep(HANG)


def deaf(channel: Channel, job: Job) -> None:
    channel.send(b"G")
    time.sleep(HANG)


def family(channel: Channel, job: Job) -> None:
    """Leave relatives of every kind behind, each noted by a file with its process number, and hang."""
    folder = Path(job["arguments"]["folder"])

    def relative(session: bool, orphan: bool) -> None:
        if os.fork():
            return
        if session:
            os.setsid()
        if orphan and os.fork():
            os._exit(0)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        (folder / str(os.getpid())).touch()
        time.sleep(HANG)

    for session in (False, True):
        for orphan in (False, True):
            relative(session, orphan)
    (folder / str(os.getpid())).touch()
    if not job["arguments"].get("silent"):
        channel.send(b"G")
    time.sleep(HANG)


def hydra(channel: Channel, job: Job) -> None:
    """Start a process that moves on, again and again, into a child with a session of its own."""
    channel.send(b"G")
    if os.fork() == 0:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            os.setsid()
            (Path(job["arguments"]["folder"]) / "alive").touch()
    time.sleep(HANG)


def segfault(channel: Channel, job: Job) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave(channel: Channel, job: Job) -> None:
    print("last words", file=sys.stderr, flush=True)
    os._exit(int(job["arguments"]["status"]))


def raise_exit(channel: Channel, job: Job) -> None:
    sys.exit(0)


def fall_silent(channel: Channel, job: Job) -> None:
    os.close(channel.descriptor)
    time.sleep(HANG)


def partial(channel: Channel, job: Job) -> None:
    os.write(channel.descriptor, struct.pack("<Q", 100) + b"G only this")
    os._exit(0)


def boast(channel: Channel, job: Job) -> None:
    os.write(channel.descriptor, struct.pack("<Q", int(job["arguments"]["size"])))
    time.sleep(HANG)


def flood(channel: Channel, job: Job) -> None:
    for stream in (sys.stdout, sys.stderr):
        for line in range(30_000):
            print(f"line {line} of {stream.name}", file=stream)
        stream.flush()
    channel.send(b"G")


def flood_for_ever(channel: Channel, job: Job) -> None:
    while True:
        os.write(1, bytes(4096))


def look_around(channel: Channel, job: Job) -> None:
    """Tell what this process has inherited."""
    links = {int(entry.name): str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}
    seen = {
        "descriptors": [links[number].split(":")[0] for number in sorted(links) if "/fd" not in links[number]],
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "path": sys.path,
        "argv": sys.argv,
        "session": os.getsid(0) == os.getpid() == os.getpgid(0),
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "handlers": [n for n in range(1, 32) if callable(signal.getsignal(n))],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "hash": hash("a"),
        "modules": sorted(set(sys.modules) & {"torch", "torchvision"}),
    }
    channel.send(json.dumps(seen).encode())


def train(channel: Channel, job: Job) -> None:
    for step in (1, 2):
        channel.send(b"P" + msgspec.msgpack.encode(Progress(1, 1, step, 2, 0.5, 2.25)))
    channel.send(b"D" + msgspec.msgpack.encode(Graded((), Loaded("Net"), 8932, ())))


def train_for_ever(channel: Channel, job: Job) -> None:
    channel.send(b"P" + msgspec.msgpack.encode(Progress(1, 1, 1, 2, 0.5, 2.25)))
    time.sleep(HANG)


def ungradable(channel: Channel, job: Job) -> None:
    channel.send(b"U" + msgspec.msgpack.encode(Ungradable("the replay differs")))


def kill_template(channel: Channel, job: Job) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(HANG)


BEHAVIOURS: dict[str, Callable[[Channel, Job], None]] = {
    function.__name__: function
    for function in (
        good,
        refuse,
        refuse_late,
        literal,
        large,
        hang,
        deaf,
        family,
        hydra,
        segfault,
        leave,
        raise_exit,
        fall_silent,
        partial,
        boast,
        flood,
        flood_for_ever,
        look_around,
        train,
        train_for_ever,
        ungradable,
        kill_template,
    )
}
