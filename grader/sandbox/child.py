"""The start of a child: it leaves behind what it inherited, gives up what it does not need, and serves its role."""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from grader.sandbox import kin
from grader.sandbox.channel import Channel
from grader.sandbox.confine import confine
from grader.sandbox.control import Failed, Ready, Setup
from grader.sandbox.environment import KEPT
from grader.sandbox.preload import ImportFailed, load, threads

Serve = Callable[[Channel], None]


def run_forked(serve: Serve, descriptors: list[int], template: int) -> NoReturn:
    """Become a child of the template: serve one role over the first descriptor and exit; never returns.

    The other two descriptors become stdout and stderr.
    """
    channel, output, errors = descriptors
    try:
        os.setsid()
        kin.die_with(template)
        _redirect(output, errors)
        _close_all_but(channel)
        _run(serve, channel)
    finally:
        os._exit(1)


def main() -> NoReturn:
    """Serve one role in a fresh process: `argv` is the channel's descriptor, the Setup as JSON, and the front's pid."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    if sys.platform == "linux":
        kin.die_with(int(sys.argv[3]))
    try:
        (serve,) = load(msgspec.json.decode(sys.argv[2], type=Setup)).values()
    except ImportFailed as error:
        Channel(socket.socket(fileno=descriptor)).send(msgspec.json.encode(Failed(str(error))))
        os._exit(1)
    _run(serve, descriptor)


def _run(serve: Serve, descriptor: int) -> NoReturn:
    status = 1
    try:
        _settle()
        confine()
        channel = Channel(socket.socket(fileno=descriptor))
        channel.send(msgspec.json.encode(Ready(threads())))
        serve(channel)
        status = 0
    except BaseException:  # also SystemExit and KeyboardInterrupt: nothing may reach the code above the fork
        with suppress(Exception):
            traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
        os._exit(status)


def _settle() -> None:
    _reset_signals()
    os.environ.clear()
    os.environ.update(KEPT)
    os.chdir("/")
    sys.argv[:] = [""]
    sys.dont_write_bytecode = True
    faulthandler.enable()  # a crash in native code then names the student's line on stderr


def _reset_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _redirect(output: int, errors: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, output, errors)):
        os.dup2(source, target)


def _close_all_but(channel: int) -> None:
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != channel:
            with suppress(OSError):  # the listing's own descriptor is closed already
                os.close(descriptor)
