"""Where training stands, on stderr: a bar on a terminal, else one line for each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from grader.protocol import Progress

Listener = Callable[[Progress], None]


@contextmanager
def progress_on(stream: TextIO, *, colour: bool) -> Iterator[Listener]:
    """Show progress while the context lasts; the bar leaves nothing behind."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(file=stream, no_color=not colour)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("training", total=None, visible=False)

        def show(where: Progress) -> None:
            description = f"{_place(where)}, epoch {where.epoch} of {where.epochs}, loss {where.loss:.3f}"
            bar.update(task, description=description, completed=where.step, total=where.steps, visible=True)

        yield show


def _place(where: Progress) -> str:
    seed = f", seed {where.run} of {where.runs}" if where.runs > 1 else ""
    return f"training{seed}, {where.stage} stage"


class _Lines:
    """Writes a line when an epoch begins, and one at the end; reports come a few times a second."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.epoch = 0

    def __call__(self, where: Progress) -> None:
        if where.epoch != self.epoch and where.step < where.steps:
            self.epoch = where.epoch
            self.write(f"{_place(where)}, epoch {where.epoch} of {where.epochs}, {where.seconds:.0f} s")
        elif where.step == where.steps:
            self.epoch = 0  # another stage may follow
            self.write(f"trained for {where.epochs} epochs, {where.seconds:.0f} s, loss {where.loss:.3f}")

    def write(self, line: str) -> None:
        print(line, file=self.stream, flush=True)
