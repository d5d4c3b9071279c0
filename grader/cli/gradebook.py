"""`s5-grade gradebook FILE`: the grades of a class in any form, and what a person decides beside them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from grader.cli.class_outputs import OUTPUTS, deliver_class, refuse_impossible
from grader.cli.classroom import faults_told, told
from grader.cli.options import given
from grader.cli.outcome import PASSED
from grader.cli.output import write

if TYPE_CHECKING:
    from grader.classroom.types import Override

NONE = "none"
DECISION = ("override", "points", "reason", "author")


class Points(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click alone
    """Points that a person gives, or `none` for those that the rules give."""

    name = "POINTS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        if str(value).lower() == NONE:
            return NONE
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number of points nor 'none'.", param, ctx)


@click.command("gradebook")
@click.argument("file", metavar="FILE")
@click.option("--override", metavar="STUDENT", help="Give this student other points than the rules do.")
@click.option("--points", type=Points(), help="How many; 'none' takes an override back.")
@click.option("--reason", metavar="TEXT", help="Why; the gradebook keeps it.")
@click.option("--author", metavar="NAME", help="Who decides.")
@click.option("--history", metavar="STUDENT", help="Show all overrides of a student.")
@OUTPUTS
def gradebook_command(
    file: str,
    override: str | None,
    points: float | str | None,
    reason: str | None,
    author: str | None,
    history: str | None,
    **options: Any,
) -> int:
    """Show the gradebook in FILE, write it in other forms, or override a grade in it."""
    _refuse_half(override, points, reason, author)
    if history is not None and (others := given(but=("file", "history", *DECISION))):
        raise click.UsageError(f"--history shows the overrides of a student and writes nothing: leave out {others}.")
    with faults_told():
        refuse_impossible(options)
    from grader.classroom.gradebook import Gradebook

    if override is not None:
        _override(file, override, points, reason or "", author or "")
    with faults_told(), Gradebook.read(file) as gradebook:
        if history is not None:
            return _history(gradebook.history(history), history)
        report = gradebook.class_report()
        told(report, file, gradebook.strays())
        deliver_class(report, gradebook, options)
    return PASSED


def _override(file: str, student: str, points: float | str | None, reason: str, author: str) -> None:
    """Write an override into the gradebook, which is the one thing here that writes to it."""
    from grader.classroom.gradebook import Gradebook, GradebookError

    given = points if isinstance(points, float) else None
    try:
        with Gradebook.open(file, create=False) as gradebook:
            gradebook.override(student, given, reason, author, datetime.now(timezone.utc))
    except GradebookError as error:
        raise click.UsageError(f"The override was not given: {error}") from None


def _refuse_half(override: str | None, *details: Any) -> None:
    """An override has its points, its reason and its author; without one they mean nothing."""
    if override is not None and any(detail in (None, "") for detail in details):
        raise click.UsageError("--override needs --points, --reason and --author: a grade is changed by a person.")
    if override is None and any(detail is not None for detail in details):
        raise click.UsageError("--points, --reason and --author belong to --override STUDENT.")


def _history(found: tuple[Override, ...], student: str) -> int:
    from grader.render.escape import visible

    for one in found:
        points = "taken back" if one.points is None else f"{one.points:g} points"
        write(f"{one.at:%Y-%m-%d %H:%M %Z}  {points}  {visible(one.author)}: {visible(one.reason)}\n")
    if not found:
        write(f"{visible(student)}: no overrides\n")
    return PASSED
