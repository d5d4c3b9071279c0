"""What is shown while a file is watched: pages that take each other's place, pages one below the other, or lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from shutil import get_terminal_size

from grader.cli.output import PIPE_WIDTH, options_for
from grader.manifest import shown_path
from grader.render import Options, changes, render
from grader.render.escape import visible
from grader.render.words import closing
from grader.watch import Event, Faulty, Graded

SHOWN = ("terminal", "text", "concise")  # the forms that can be read one after the other
NAME = "s5-grade"  # how each line begins that is no finding
CLEAR = "\x1b[H\x1b[J"  # from the first line on; what has scrolled away stays
RULER = "─" * 60
WAITING = "waiting for it to come back"

Show = Callable[[Event], str]


def screen(form: str, output: str | None, path: str) -> Show:
    """Return what makes the text for each event: `form` on the screen, or the outcome where it goes to a file."""
    name = visible(shown_path(path))
    if form == "concise" and output is None:
        return Lines(name)
    redrawn = form == "terminal" and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return Pages(name, form if output is None else "", redrawn)


class Lines:
    """A line for each finding, between one that tells of the beginning and one that tells of the end."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, event: Event) -> str:
        if isinstance(event, Graded):
            return self._graded(event)
        return self._faulty(event) if isinstance(event, Faulty) else f"{NAME}: grading {self._name}\n"

    def _graded(self, event: Graded) -> str:
        report = event.report
        points = f", {report.score:g} of {report.max_score:g} points" if report.max_score else ""
        since = f" ({'; '.join(change.text for change in event.since)})" if event.since else ""
        waiting = f", {WAITING}" if _missing(event) else ""
        end = f"{NAME}: {report.verdict}{points}, graded in {event.seconds:.2f} s{since}{waiting}"
        return f"{render(report, 'concise', Options())}{_restarted(event)}{end}\n"

    def _faulty(self, event: Faulty) -> str:
        problems = [visible(f"{problem.mark}: error[rules] {problem.message}") for problem in event.error.problems]
        return "".join(f"{line}\n" for line in [*problems, f"{NAME}: error, not graded: the rules are faulty"])


class Pages:
    """A whole report for each grading, below what changed; `form` is its form, '' for its last line alone."""

    def __init__(self, name: str, form: str, redrawn: bool) -> None:
        self._name = name
        self._form = form
        self._redrawn = redrawn
        self._empty = True

    def __call__(self, event: Event) -> str:
        if isinstance(event, Graded):
            return self._page(self._graded(event))
        return self._page(self._faulty(event)) if isinstance(event, Faulty) else self._began()

    def _began(self) -> str:
        if not self._redrawn:
            return ""
        # What was on the screen before is pushed up, out of the way of what is cleared.
        room = "\n" * get_terminal_size().lines + CLEAR if self._empty else ""
        return f"{room}\ngrading {self._name} …\n"

    def _page(self, parts: Iterator[str]) -> str:
        lead = CLEAR if self._redrawn else "" if self._empty else f"\n{RULER}\n\n"
        self._empty = False
        return lead + "\n".join(part for part in parts if part)

    def _graded(self, event: Graded) -> Iterator[str]:
        options = self._options()
        since = "" if event.since is None else changes.render(event.since, options)
        body = render(event.report, self._form, options) if self._form else f"{closing(event.report)}\n"
        yield f"{self._head()}, graded in {event.seconds:.2f} s\n{_restarted(event)}"
        yield since
        yield body
        if self._redrawn and (since + body).count("\n") + 5 > get_terminal_size().lines:
            yield since  # once more, as the first has scrolled away
        yield self._foot(WAITING if _missing(event) else "watching")

    def _faulty(self, event: Faulty) -> Iterator[str]:
        yield f"{self._head()}, not graded: the rules are faulty\n"
        yield "".join(f"{visible(str(problem))}\n" for problem in event.error.problems)
        yield self._foot("watching")

    def _head(self) -> str:
        return f"{self._name}, {time.strftime('%H:%M:%S')}"

    def _foot(self, doing: str) -> str:
        return f"{self._name}: {doing}. Ctrl-C ends.\n" if self._redrawn else ""

    def _options(self) -> Options:
        return Options(PIPE_WIDTH) if self._form == "text" else options_for(sys.stdout)


def _missing(event: Graded) -> bool:
    return event.report.error is not None and event.report.error.code == "missing"


def _restarted(event: Graded) -> str:
    """Return a word about a new start; that is slow, and the next grading is fast again."""
    return f"{NAME}: started again, as {visible(event.restarted)}\n" if event.restarted else ""
