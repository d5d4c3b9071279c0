"""The command line: `s5-grade PATH`, and commands that say more."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from grader.cli.outcome import INTERNAL, INTERRUPTED, PASSED, USAGE

# Commands by name: their module and function. What one needs is imported when it is called.
GRADE = "grade:grade_command"
COMMANDS = {
    "layers": "grade:layers_command",
    "checks": "checks:checks_command",
    "explain": "checks:explain_command",
    "init": "init:init_command",
    "render": "render:render_command",
    "train": "train:train_command",
    "bundle": "bundle:bundle_command",
    "replay": "bundle:replay_command",
    "export": "export:export_command",
    "class": "classroom:class_command",
    "gradebook": "gradebook:gradebook_command",
}


def run(arguments: list[str]) -> int:
    """Carry out a command line, the program's name left out, and return the exit code."""
    first = arguments[0] if arguments else ""
    name, rest = (f"s5-grade {first}", arguments[1:]) if first in COMMANDS else ("s5-grade", arguments)
    try:
        command = _command(COMMANDS.get(first, GRADE))
        if not arguments:
            _invoke(command, ["--help"], name)
            return USAGE
        return _invoke(command, rest, name)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return INTERRUPTED
    except Exception as error:
        return _failure(error)


def _command(place: str) -> click.Command:
    module, _, function = place.partition(":")
    found: click.Command = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    return found


def _invoke(command: click.Command, arguments: list[str], name: str) -> int:
    result = command.main(arguments, prog_name=name, standalone_mode=False)
    return result if isinstance(result, int) else PASSED


def _failure(error: Exception) -> int:
    """Say what went wrong; only an exception that nobody foresaw is a fault of the grader's code."""
    from grader.rules import RulesError
    from grader.sandbox import SandboxError

    if isinstance(error, RulesError):
        _complain(str(error), prefix="")
        return USAGE
    if os.environ.get("S5_GRADE_DEBUG"):
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    if isinstance(error, SandboxError):
        _complain(str(error))
    elif isinstance(error, OSError) and error.filename is not None:
        _complain(f"{error.strerror}: {error.filename}")
    else:
        _complain(f"a fault of s5-grade: {type(error).__name__}: {error}")
        _complain("please report it, with the file that it was given; S5_GRADE_DEBUG=1 shows where it happened")
    return INTERNAL


def _complain(message: str, prefix: str = "s5-grade: ") -> None:
    from grader.render.escape import visible

    for line in message.splitlines():
        click.echo(f"{prefix}{visible(line)}", err=True)


def _open_closed_streams() -> None:
    """Give closed standard streams the null device, lest a file or pipe takes their descriptors."""
    if all(stream is not None for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def main() -> NoReturn:
    """Carry out the command line of this process and end it with the exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file at the start
    sys.exit(run(sys.argv[1:]))
