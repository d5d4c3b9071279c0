"""`s5-grade --watch PATH`: the report again after each save, with what changed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType
from typing import Any

import click

from grader.cli.outcome import INTERRUPTED, USAGE, code_of
from grader.cli.output import deliver, refuse_unwritable, write
from grader.cli.screen import NAME, SHOWN, screen
from grader.render.escape import visible
from grader.settings import Settings
from grader.watch import Event, Faulty, Graded, watch

Targets = list[tuple[str, str | None]]


def watching(
    targets: Targets, path: str, rules: str | None, sandbox: Any, pairs: tuple[tuple[str, str], ...], **options: Any
) -> int:
    """Grade at each save until the user ends it; return the exit code of the last report.

    The first target is shown where it has no file; all that have one are written again after each grading.
    """
    _refuse(targets, options["train"])
    settings = Settings(arguments=dict(pairs), **options)
    show = screen(*targets[0], path)
    code = INTERRUPTED
    try:
        with _ended_by_signals(), closing(watch(path, rules, settings, sandbox=sandbox)) as events:
            for event in events:
                unwritten = _write_files(event, targets)  # first: who sees the report finds it in the files too
                code = _code(event, code)
                if not write(show(event)):
                    break  # nobody reads any more
                for problem in unwritten:
                    click.echo(f"{NAME}: {problem}", err=True)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            write("\n")  # after the terminal's ^C
    return code


def _refuse(targets: Targets, train: bool) -> None:
    """Refuse what cannot be done again and again."""
    form, output = targets[0]
    if train:
        raise click.UsageError("--watch answers at once and --train takes minutes: train when the other rules are met")
    if output is None and form not in SHOWN:
        raise click.UsageError(f"--watch shows {', '.join(SHOWN)}; for {form} name a file: --also {form}=FILE")
    for _, file in targets:
        refuse_unwritable(file)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Take the signals with which editors and closed windows end a program for the user's Ctrl-C."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    taken = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _code(event: Event, before: int) -> int:
    if isinstance(event, Graded):
        return code_of(event.report)
    return USAGE if isinstance(event, Faulty) else before


def _write_files(event: Event, targets: Targets) -> list[str]:
    """Write a report to its files; return what went wrong, which may go well with the next one."""
    unwritten = []
    for form, file in targets:
        if file is not None and isinstance(event, Graded):
            try:
                deliver(event.report, form, file)
            except OSError as error:
                unwritten.append(f"{visible(file)} was not written: {error.strerror}")
    return unwritten
