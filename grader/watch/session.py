"""One session of watching: a warm template, and a report for every save."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Union

from grader.grade import examine_submission
from grader.manifest import SubmissionError, shown_path
from grader.obstacles import INTERNAL, unread
from grader.render.changes import Change, changes
from grader.report import Obstacle, Report, error_report
from grader.rules import Rules, RulesError
from grader.sandbox import Sandbox, SandboxError, Template
from grader.settings import Settings, reproduction
from grader.watch.lookout import Lookout, Sight


@dataclass(frozen=True, slots=True)
class Began:
    """Something was saved: its grading begins. Another may begin before this one has ended."""


@dataclass(frozen=True, slots=True)
class Graded:
    """A grading has ended.

    `seconds` is how long it took. `since` is what changed since the report before, None for the first one. `restarted`
    says why the template had to be started again, where that is so.
    """

    report: Report
    seconds: float
    since: tuple[Change, ...] | None
    restarted: str = ""


@dataclass(frozen=True, slots=True)
class Faulty:
    """The rules cannot be read, so there is nothing to grade by."""

    error: RulesError


Event = Union[Began, Graded, Faulty]


class _Superseded(Exception):
    """Something newer was saved while a grading went on."""

    def __init__(self, sight: Sight) -> None:
        super().__init__("superseded")
        self.sight = sight


def watch(
    path: str | os.PathLike[str],
    rules: str | None,
    settings: Settings,
    *,
    sandbox: Sandbox = "auto",
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Generator[Event, None, None]:
    """Grade a submission now and after each save; yield what happens, for ever.

    Nothing in a submission or a rules file ends this. A save ends a grading that is under way: what is yielded last is
    about what was saved last. Close the iterator to end the template. Raises SandboxError where this machine cannot
    start one at all.
    """
    with closing(_Session(path, rules, settings, sandbox, clock)) as session:
        lookout = session.lookout
        sight: Sight | None = lookout.first
        while True:
            while sight is None:
                sleep(lookout.pause)
                sight = lookout.new()
            try:
                yield from session.events(sight)
                sight = None
            except _Superseded as newer:
                sight = newer.sight


class _Session:
    def __init__(
        self,
        path: str | os.PathLike[str],
        rules: str | None,
        settings: Settings,
        sandbox: Sandbox,
        clock: Callable[[], float],
    ) -> None:
        self._shown = shown_path(path)
        self._settings = settings
        self._sandbox = sandbox
        self._clock = clock
        self._template: Template | None = self._started()  # imports torch while the files are read
        try:
            self.lookout = Lookout(path, settings.file, rules, clock)
        except BaseException:
            self.close()
            raise
        self._last: Report | None = None
        self._last_graded: Report | None = None

    def close(self) -> None:
        """End the template and everything that it started."""
        if self._template is not None:
            self._template.close()
            self._template = None

    def events(self, sight: Sight) -> Iterator[Event]:
        """Yield what happens while a sight is graded."""
        yield Began()
        if isinstance(sight.rules, RulesError):
            yield Faulty(sight.rules)
            return
        started = self._clock()
        report, restarted = self._report(sight, sight.rules)
        yield Graded(report, self._clock() - started, self._since(report), restarted)

    def _report(self, sight: Sight, course: Rules) -> tuple[Report, str]:
        """Return the report on a sight, and why the template was started again for it, if it was."""
        try:
            return self._examined(sight, course), ""
        except SandboxError as error:
            self.close()
            reason = str(error)
        try:
            return self._examined(sight, course), reason
        except SandboxError as error:
            self.close()
            if self._last is None:
                raise  # so far nothing could be graded here, and nothing that is saved will change that
            return self._failed(course, Obstacle(INTERNAL, str(error))), ""

    def _examined(self, sight: Sight, course: Rules) -> Report:
        if isinstance(sight.submission, SubmissionError):
            return self._failed(course, unread(sight.submission))
        if self._template is None:
            self._template = self._started()
        try:
            return examine_submission(self._template, sight.submission, course, self._settings).report
        except (_Superseded, SandboxError):
            raise
        except Exception as error:  # a fault that one file brings to light does not end the session
            message = f"a fault of s5-grade: {type(error).__name__}: {error}"
            where = traceback.format_exc(limit=-3)
            return self._failed(
                course, Obstacle(INTERNAL, message, fix="Please report it, with the file.", error=where)
            )

    def _failed(self, course: Rules, obstacle: Obstacle) -> Report:
        return error_report(course, self._shown, obstacle, reproduce=reproduction(self._shown, course, self._settings))

    def _started(self) -> Template:
        template = Template.start(sandbox=self._sandbox, many=True)
        template.heed = self._heed
        return template

    def _heed(self) -> None:
        """Give up the grading that is under way for something newer."""
        sight = self.lookout.new()
        if sight is not None:
            raise _Superseded(sight)

    def _since(self, report: Report) -> tuple[Change, ...] | None:
        last, graded = self._last, self._last_graded
        self._last = report
        self._last_graded = report if report.error is None else graded
        return None if last is None else changes(last, report, graded)
