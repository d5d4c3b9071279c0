"""Where the grading of a class stands, on stderr: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grader.classroom.run import Phase, Step

LINE_SECONDS = 10.0  # between two lines of a log
BAR_WIDTH = 100  # columns of a terminal that has room for a bar beside the numbers
TITLES: dict[Phase, str] = {"static": "grading", "training": "training"}


class Pace:
    """How fast a phase goes: `rate` in submissions a second, of those that are graded and not known already."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._phase: Phase | None = None
        self._began = 0.0
        self.rate = 0.0
        self.left: float | None = None

    def take(self, step: Step) -> None:
        """Learn from a step; `left` is how many seconds the phase still takes, None where nobody can tell."""
        if step.phase != self._phase:
            self._phase, self._began = step.phase, self._clock()
        graded = step.done - step.known
        seconds = self._clock() - self._began
        self.rate = graded / seconds if seconds > 0 else 0.0
        self.left = (step.total - step.done) / self.rate if self.rate else None


def counted(step: Step) -> str:
    """Return the live counts in words."""
    passed, failed, errors = (step.verdicts.get(verdict, 0) for verdict in ("pass", "fail", "error"))
    known = f", {step.known:,} known already" if step.known else ""
    return f"{passed:,} passed, {failed:,} failed, {errors:,} not gradable{known}"


def paced(step: Step, pace: Pace) -> str:
    """Return the rate and the time that is left, in words."""
    if pace.left is None or step.done == step.total:
        return f"{pace.rate:.1f} a second" if pace.rate else ""
    return f"{pace.rate:.1f} a second, {span(pace.left)} left"


def span(seconds: float) -> str:
    """Return a time as people say it: '45 s', '12 min', '3 h 20 min'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


@contextmanager
def class_progress(stream: TextIO, *, colour: bool) -> Iterator[Callable[[Step], None]]:
    """Show progress while the context lasts; the bar leaves nothing behind."""
    pace = Pace()
    if not stream.isatty():
        yield _Lines(stream, pace)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    console = Console(file=stream, no_color=not colour)
    bars = [BarColumn()] if console.width >= BAR_WIDTH else []  # the numbers are worth more
    count = MofNCompleteColumn(table_column=Column(no_wrap=True))
    told = TextColumn("{task.fields[told]}", markup=False, table_column=Column())
    columns = (TextColumn("{task.description}", markup=False), *bars, count, told)
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("looking", total=None, told="")

        def show(step: Step) -> None:
            pace.take(step)
            words = f"{paced(step, pace)}\n{counted(step)}"
            bar.update(task, description=TITLES[step.phase], completed=step.done, total=step.total, told=words)

        yield show


class _Lines:
    """Writes a line now and then, and one at the end of a phase."""

    def __init__(self, stream: TextIO, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._pace = pace
        self._clock = clock
        self._last = clock()

    def __call__(self, step: Step) -> None:
        self._pace.take(step)
        if self._clock() - self._last < LINE_SECONDS and step.done < step.total:
            return
        self._last = self._clock()
        told = ", ".join(part for part in (counted(step), paced(step, self._pace)) if part)
        print(f"{TITLES[step.phase]}: {step.done:,} of {step.total:,}, {told}", file=self._stream, flush=True)
