"""`s5-grade render REPORT`: a report that was saved as JSON in another form, without grading again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from grader.cli.options import FORMAT, OUTPUT
from grader.cli.outcome import PASSED
from grader.cli.output import deliver, read_capped, refuse_unwritable

if TYPE_CHECKING:
    from grader.report import Report

SIZE_CAP = 64 * 1024 * 1024  # bytes


@click.command("render")
@click.argument("report", metavar="REPORT")
@FORMAT
@OUTPUT
def render_command(report: str, form: str, output: str | None) -> int:
    """Show a REPORT that was saved with --format json, in any form, without grading again."""
    refuse_unwritable(output)
    deliver(saved(report), form, output)
    return PASSED


def saved(report: str) -> Report:
    """Return a report from its file; one that is none is a fault of the command line."""
    from grader.report import ReportError, read_report

    data = read_capped(report, SIZE_CAP, "report")
    try:
        return read_report(data)
    except ReportError as error:
        raise click.UsageError(f"{report}: {error}") from None
