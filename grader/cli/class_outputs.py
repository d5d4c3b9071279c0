"""The forms in which a class's grades leave the gradebook: their options, and the writing of their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.options import together
from grader.cli.output import read_capped, refuse_unwritable, write, write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.classroom.gradebook import Gradebook
    from grader.classroom.out.form import Filled
    from grader.classroom.types import ClassReport

SIZE_CAP = 64 * 1024 * 1024  # bytes of a platform's file


class FromTo(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click alone
    """A file of a learning platform, and the one to write: IN=OUT."""

    name = "IN=OUT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        source, equals, target = str(value).partition("=")
        if not equals or not source or not target:
            self.fail(f"{value!r} is not IN=OUT, such as downloaded.csv=upload.csv.", param, ctx)
        return source, target


OUTPUTS = together(
    click.option("--html", metavar="FOLDER", help="A page on the class, and one for each student."),
    click.option("--csv", metavar="FILE", help="A table of all grades."),
    click.option("--jsonl", metavar="FILE", help="A line of JSON for each student."),
    click.option("--canvas", type=FromTo(), help="Fill the gradebook that Canvas exported."),
    click.option("--moodle", type=FromTo(), help="Fill Moodle's offline grading worksheet."),
    click.option(
        "--assignment", metavar="NAME", help="Its name, or its number, in Canvas. [default: the rules' title]"
    ),
    click.option("--scale", is_flag=True, help="Scale the points to those that the platform gives."),
)


def refuse_impossible(options: dict[str, Any], submissions: str | None = None) -> None:
    """Refuse outputs that could not be written, and inputs that are not there, before the work is done.

    Raises PagesError beside faults of the command line.
    """
    for output in (options["csv"], options["jsonl"]):
        refuse_unwritable(output)
    for pair in (options["canvas"], options["moodle"]):
        if pair is not None:
            _read(pair[0])
            refuse_unwritable(pair[1])
    if options["assignment"] is not None and options["canvas"] is None:
        raise click.UsageError("--assignment names a column of the file that --canvas is given.")
    if options["scale"] and options["canvas"] is None and options["moodle"] is None:
        raise click.UsageError("--scale fits points to those of the file that --canvas or --moodle is given.")
    if options["html"] is not None:
        _refuse_pages(options["html"], submissions)


def _refuse_pages(folder: str, submissions: str | None) -> None:
    """Refuse a folder that can't be one, or whose pages the next run would take for a student's work."""
    if Path(folder).is_file():
        raise click.UsageError(f"{folder} is a file, --html needs a folder.")
    if submissions is not None and Path(folder).resolve().is_relative_to(Path(submissions).resolve()):
        raise click.UsageError(f"--html {folder} lies in {submissions}: name a folder that is no part of it.")
    from grader.classroom.page import refuse_foreign

    refuse_foreign(Path(folder))


def deliver_class(report: ClassReport, gradebook: Gradebook, options: dict[str, Any]) -> None:
    """Write what was asked for, and tell what was written; the files of platforms with all that is to be noted."""
    if options["csv"] is not None:
        from grader.classroom.out import csv

        write_file(options["csv"], csv.render(report))
    if options["jsonl"] is not None:
        from grader.classroom.out import jsonl

        write_file(options["jsonl"], jsonl.render(report))
    for target, filled in _forms(report, options):
        _put(target, filled)
    if options["html"] is not None:
        from grader.classroom.page import write_pages

        written = write_pages(Path(options["html"]), report, gradebook.report)
        removed = f", {written.removed:,} removed" if written.removed else ""
        write(f"{written.index}: {written.changed:,} pages written, {written.kept:,} kept{removed}\n")


def refuse_unfillable(report: ClassReport, options: dict[str, Any]) -> None:
    """Raise FormError where a platform's file could not be filled, before hours are spent on grading."""
    for _ in _forms(report, options):
        pass


def _forms(report: ClassReport, options: dict[str, Any]) -> Iterator[tuple[str, Filled]]:
    """Yield the files of platforms with the grades of a class, each with where it is to be written."""
    if options["canvas"] is not None:
        from grader.classroom.out import canvas

        source, target = options["canvas"]
        assignment, scale = options["assignment"], options["scale"]
        yield target, canvas.filled(_read(source), report, assignment, scale=scale, file=source)
    if options["moodle"] is not None:
        from grader.classroom.out import moodle

        source, target = options["moodle"]
        yield target, moodle.filled(_read(source), report, scale=options["scale"], file=source)


def _put(target: str, filled: Filled) -> None:
    write_file(target, filled.data)
    students = f"{filled.changed:,} student{'' if filled.changed == 1 else 's'}"
    write(f"{target}: {students} with another grade than before\n" + "".join(f"  {note}\n" for note in filled.notes))


def _read(file: str) -> bytes:
    return read_capped(file, SIZE_CAP, "gradebook")
