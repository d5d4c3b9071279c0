"""The start of a child: it leaves behind what it inherited, gives up what it does not need, and serves its role."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

from grader.sandbox import kin
from grader.sandbox.channel import Channel
from grader.sandbox.confine import Confinement, paths
from grader.sandbox.control import Confined, Errand, Failed, Start, Terms
from grader.sandbox.environment import KEPT
from grader.sandbox.preload import ImportFailed, load

Serve = Callable[[Channel], None]

CHANNEL = 3  # the descriptor after stdin, stdout and stderr


def run_forked(
    serve: Serve, descriptors: list[int], template: int, terms: Terms, errand: Errand, readable: Iterable[str]
) -> NoReturn:
    """Become a child of the template: serve one role over the first descriptor and exit; never returns.

    The other two descriptors become stdout and stderr. `readable` are the folders that the role may read.
    """
    confinement = Confinement(terms, errand, readable)
    try:
        os.setsid()
        kin.die_with(template)
        confinement.lessen()
        _keep_only(*descriptors)
        _settle()
        confinement.enclose()
        confinement.bound_memory()
        _run(serve, Channel(CHANNEL), confinement)
    except BaseException:  # also SystemExit and KeyboardInterrupt: nothing may reach the code above the fork
        with suppress(Exception):
            traceback.print_exc()
    finally:
        os._exit(1)


def main() -> NoReturn:
    """Serve one role in a fresh process.

    `argv` is the channel's descriptor, stdin has the rest. The process is confined before the imports, which may start
    threads: what is in force by then holds for these too.
    """
    channel = Channel(int(sys.argv[1]))
    os.set_inheritable(channel.descriptor, False)
    start = told()
    assert start.errand is not None
    if sys.platform == "linux":
        kin.die_with(start.parent)
    setup = start.setup
    confinement = Confinement(setup.terms, start.errand, [*paths.libraries(), *_importable(sys.argv[2:])])
    confinement.lessen()
    confinement.enclose()
    os.environ["PATH"] = ""  # no program can be started: who finds a compiler would want a file to try it on
    try:
        (serve,) = load(setup).values()
    except ImportFailed as error:
        channel.send(msgspec.json.encode(Failed(str(error))))
        os._exit(1)
    confinement.bound_memory()
    _settle()
    _run(serve, channel, confinement)


def told() -> Start:
    """Return what the front has to tell a fresh process, and leave it with an empty stdin."""
    message = sys.stdin.buffer.read()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return msgspec.json.decode(message, type=Start)


def _importable(path: Iterable[str]) -> list[str]:
    """Of the folders that a fresh process imports from last, the one that holds this package is more than that."""
    return [str(paths.PACKAGE), *(folder for folder in path if Path(folder) != paths.PACKAGE.parent)]


def _run(serve: Serve, channel: Channel, confinement: Confinement) -> NoReturn:
    status = 1
    try:
        channel.send(msgspec.json.encode(Confined(tuple(confinement.layers), confinement.testify())))
        serve(channel)
        status = 0
    except BaseException:  # as above
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
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what crashes here is nobody's to debug
    faulthandler.enable()  # a crash in native code then names the student's line on stderr


# A write to a closed pipe, or beyond the size that a file may have, is to be an error and not the end.
_IGNORED = {signal.SIGPIPE, signal.SIGXFSZ}


def _reset_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, *_IGNORED}:
        with suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _keep_only(channel: int, output: int, errors: int) -> None:
    """Make these descriptors the channel, stdout and stderr, and close all others."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    wanted = (nothing, output, errors, channel)
    copies = [os.dup(descriptor) for descriptor in wanted]  # none of them is where another one has to go
    for target, source in enumerate(copies):
        os.dup2(source, target, inheritable=target != CHANNEL)
    for descriptor in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if descriptor > CHANNEL:
            with suppress(OSError):  # the listing's own descriptor is closed already
                os.close(descriptor)
