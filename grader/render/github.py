"""Annotations on GitHub: workflow commands that a step prints.

Source: GitHub's documentation, 'Workflow commands for GitHub Actions', and actions/runner,
src/Runner.Common/ActionCommand.cs, for what is escaped. GitHub shows ten errors and ten warnings of a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, NamedTuple

from grader.finding import Level
from grader.render import Options
from grader.render.escape import visible
from grader.render.paths import has_lines, path_of
from grader.render.places import by_place, position
from grader.report import Place, Report

Command = Literal["error", "warning", "notice"]
COMMANDS: dict[Level, Command] = {"error": "error", "warning": "warning", "note": "notice"}
SHOWN = 10  # of each kind


class Annotation(NamedTuple):
    """What is said about a place; without one, about the file with the model, or, `apart`, about no file."""

    command: Command
    title: str
    texts: tuple[str, ...]
    place: Place | None = None
    apart: bool = False


def render(report: Report, options: Options) -> str:
    """Return a command a line, in the order of the places; nothing where there is nothing to say."""
    lines = []
    counts: Counter[Command] = Counter()
    for annotation in remarks(report):
        counts[annotation.command] += 1
        if counts[annotation.command] <= SHOWN:
            lines.append(_line(report, annotation))
    if rest := {command: count - SHOWN for command, count in counts.items() if count > SHOWN}:
        lines.append(_rest(rest))
    return "".join(f"{line}\n" for line in lines)


def remarks(report: Report) -> Iterator[Annotation]:
    """Yield all that there is to say: the findings, what stays undecided, what the sandbox lacks."""
    if report.error is not None:
        error = report.error
        yield Annotation("error", f"not graded: {error.code}", (error.message, error.why, error.fix), error.span)
        return
    for rule, finding in by_place(report):
        texts = (finding.message, finding.why, finding.fix)
        yield Annotation(COMMANDS[finding.level], rule.id, texts, finding.span)
    for rule in report.rules:
        if not rule.findings and rule.status == "fail":
            yield Annotation(COMMANDS[rule.level], rule.id, (rule.message,))
        elif rule.status == "error":
            yield Annotation("warning", f"{rule.id} is undecided", (rule.message,))
    for gap in report.sandbox.gaps:
        yield Annotation(
            "warning", f"sandbox: {report.sandbox.level}", (f"{gap.what}: {gap.reason}", gap.fix), apart=True
        )


def _line(report: Report, annotation: Annotation) -> str:
    place, texts = annotation.place, [visible(text) for text in annotation.texts if text]
    properties = {} if annotation.apart else {"file": path_of(report, place)}
    if place is not None and has_lines(place):
        properties |= _region(place)
    elif place is not None:
        texts.insert(0, position(report, place))
    properties["title"] = annotation.title
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = "\n".join(texts)
    return f"::{annotation.command} {told}::{_data(text)}"


def _region(place: Place) -> dict[str, str]:
    """Return a place in the runner's terms, which takes columns for places within one line alone."""
    region = {"line": place.line, "endLine": max(place.line, place.end_line)}
    if place.column and region["endLine"] == place.line:
        region |= {"col": place.column, "endColumn": max(place.column, place.end_column)}
    return {name: str(number) for name, number in region.items()}


def _rest(rest: dict[Command, int]) -> str:
    counts = " and ".join(f"{count} more {command}{'' if count == 1 else 's'}" for command, count in rest.items())
    return f"::notice title=s5-grade::{_data(f'{counts}: the report has them all')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
