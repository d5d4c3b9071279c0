"""What the tests of a submission tell: text made where the terminal is, from data that workers of pytest-xdist send."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from grader.render import Options, render
from grader.render.escape import visible
from grader.render.terminal import render_rule
from grader.render.words import closing
from grader.report import Place, Report, RuleReport

# Advice names the options of `s5-grade`; here they are called otherwise.
_OPTION = re.compile(r"(?<![\w-])--(?=(?:rules|file|class|arg|train|budget|device|threads|timeout|sandbox)\b)")


class Told(msgspec.Struct, frozen=True):
    """What one test has to tell: of which submission, by its node id, the report, and the place of its rule in it.

    `see` names the test that tells why the submission could not be graded, where that is another one.
    """

    submission: str
    report: Report
    place: int
    see: str = ""

    @property
    def rule(self) -> RuleReport | None:
        """The rule of the test; None for the check of the output where that has nothing to say."""
        return self.report.rules[self.place] if self.place < len(self.report.rules) else None

    @property
    def set_at(self) -> tuple[str, int]:
        """The file and the line of the rules that ask for it."""
        assert self.rule is not None
        file, _, line = self.rule.set.rpartition(":")
        return file, int(line)

    @property
    def headline(self) -> str:
        """What is the matter, in one line."""
        if self.report.error is not None:
            return visible(f"not graded: {self.report.error.message}")
        assert self.rule is not None
        return visible(self.rule.message)

    def page(self, options: Options) -> str:
        """Return the diagnostic as `s5-grade` shows it on a terminal."""
        if self.see:
            return f"{self.headline}\nSee {self.see}.\n"
        if self.report.error is not None:
            return render(self.report, "terminal", options)
        assert self.rule is not None
        return render_rule(self.report, self.rule, options)


def told_here(report: Report) -> Report:
    """Return a report whose advice names the options of the plugin."""
    error = report.error
    if error is not None:
        error = replace(error, fix=spelled(error.fix), option=spelled(error.option))
    rules = [
        replace(rule, message=spelled(rule.message)) if rule.status == "skipped" else rule for rule in report.rules
    ]
    gaps = tuple(replace(gap, fix=spelled(gap.fix)) for gap in report.sandbox.gaps)
    return replace(report, error=error, rules=tuple(rules), sandbox=replace(report.sandbox, gaps=gaps))


def spelled(text: str) -> str:
    """Return advice with the options called as they are here."""
    return _OPTION.sub("--s5-", text)


@dataclass(frozen=True)
class Diagnostic:
    """The representation of a failed test, in the form that pytest asks for; it has no traceback to show."""

    told: Told
    reprcrash: Crash

    def toterminal(self, writer: Any) -> None:
        """Write the page as wide, and as colourful, as pytest's own terminal."""
        writer.write(self.told.page(Options(writer.fullwidth, writer.hasmarkup)))

    def __str__(self) -> str:
        return self.told.page(Options())


@dataclass(frozen=True)
class Crash:
    """Where a test failed and why, in one line: for the short summary, `--tb=line` and JUnit."""

    path: str
    lineno: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.lineno}: {self.message}"


def diagnostic(told: Told) -> Diagnostic:
    """Return the representation of what a failed test tells."""
    report = told.report
    about = report.error or told.rule
    place = about.span if about is not None else None
    path = visible(file_of(report, place) if place else report.submission.path)
    return Diagnostic(told, Crash(path, place.line if place else 0, told.headline))


def file_of(report: Report, place: Place) -> str:
    """Return the file of a place as one names it in the folder of the call."""
    return posixpath.join(report.submission.folder, place.file)


def properties(told: Told) -> Iterator[tuple[str, str | int | float]]:
    """Yield what JUnit's XML carries about a rule."""
    rule = told.rule
    if rule is None:
        return
    for name in ("check", "status", "level", "points", "max_points", "measured", "limit"):
        value = getattr(rule, name)
        if value is not None:
            yield name, value
    if rule.span is not None:
        yield from (("file", file_of(told.report, rule.span)), ("line", rule.span.line))


def suite_properties(submission: str, report: Report) -> Iterator[tuple[str, str | int | float]]:
    """Yield what JUnit's XML carries about a submission as a whole."""
    for name in ("verdict", "score", "max_score"):
        yield f"s5[{submission}].{name}", getattr(report, name)
    yield f"s5[{submission}].rules_sha256", report.reproduce.rules_sha256


def summary(report: Report, options: Options, *, brief: bool) -> str:
    """Return the report on a submission without what its tests have told as they failed; or only its last line."""
    if brief or report.error is not None:
        return f"{closing(report)}\n"
    rules = [replace(rule, findings=()) if is_failure(rule) else rule for rule in report.rules]
    return render(replace(report, rules=tuple(rules)), "terminal", options)


def is_failure(rule: RuleReport) -> bool:
    """Tell whether a rule decides against the submission: broken, or undecided, and not a mere warning."""
    return rule.level == "error" and rule.status in ("fail", "error")
