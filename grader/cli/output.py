"""Where a command's text goes: to the terminal, or whole to a file."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from grader.render import Options
    from grader.report import Report

PIPE_WIDTH = 100  # columns, where there is no terminal to ask


def deliver(report: Report, form: str, output: str | None) -> None:
    """Write a report to its file, or to stdout."""
    from grader.render import Options, render

    here = output is None and form != "text"
    options = replace(options_for(sys.stdout) if here else Options(PIPE_WIDTH), stamp=_stamp(form))
    if output is None:
        write(render(report, form, options))
    else:
        write_file(output, render(report, form, options))


def _stamp(form: str) -> dict[str, str]:
    """Return what the environment says of the submission, for the form that tells it."""
    if form != "classroom50":
        return {}
    from grader.render.classroom50 import stamp

    return stamp(os.environ, datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))


def options_for(stream: TextIO) -> Options:
    from shutil import get_terminal_size

    from grader.render import Options

    return Options(get_terminal_size((PIPE_WIDTH, 24)).columns, colour_on(stream))


def colour_on(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def refuse_unwritable(output: str | None) -> None:
    """Refuse an output that could not be written, before the work is done; None is the terminal."""
    if output is None:
        return
    folder = os.path.dirname(output) or "."  # noqa: PTH120 - a string, as given
    if os.path.isdir(output):  # noqa: PTH112
        raise click.UsageError(f"{output} is a folder, expected a file")
    if not os.path.isdir(folder):  # noqa: PTH112
        raise click.UsageError(f"{output}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise click.UsageError(f"{output}: the folder {folder} cannot be written to")


def read_capped(file: str, cap: int, what: str) -> bytes:
    """Return a file's bytes; one that can't be read, or is larger than any `what`, is a fault of the command line."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - as given: /dev/stdin too
            data = stream.read(cap + 1)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > cap:
        raise click.UsageError(f"{file}: larger than {cap // 1024**2} MiB, which no {what} is")
    return data


def write_file(output: str, content: str | bytes) -> None:
    """Write a whole file or none: it takes its name when it is complete."""
    import tempfile
    from pathlib import Path

    path = Path(output)
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():  # a device such as /dev/stdout takes no other file's place
        path.write_bytes(data)
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException as error:
        Path(name).unlink(missing_ok=True)
        if isinstance(error, OSError):  # a full disk does not say which file it was
            raise OSError(error.errno, error.strerror, output) from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write(text: str) -> bool:
    """Write to stdout; a reader that has gone away is no fault. Return whether it is still there."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
        return True
    except OSError as error:
        # Python flushes stdout once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OSError(error.errno, error.strerror, "the standard output") from None
        return False
