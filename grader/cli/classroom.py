"""`s5-grade class SUBMISSIONS`: grade a whole class and keep a gradebook; `s5-grade gradebook FILE`: what is in one."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.class_outputs import OUTPUTS, deliver_class, refuse_impossible, refuse_unfillable
from grader.cli.class_progress import class_progress
from grader.cli.options import GRADING, SANDBOXES, TRAINING, Amount, given, together
from grader.cli.outcome import FAILED, INTERNAL, PASSED, UNGRADED
from grader.cli.output import colour_on, options_for, write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.classroom.gradebook import Gradebook
    from grader.classroom.types import Class, ClassReport, Course, Grade
    from grader.manifest import Submission

BOOK_SUFFIX = ".gradebook.sqlite"

EPILOG = """\b
Examples:
  s5-grade class submissions/
  s5-grade class download.zip --roster roster.csv --train --html pages/
  s5-grade class submissions/ --canvas downloaded.csv=upload.csv
  s5-grade class --diff lastweek.sqlite today.sqlite

\b
Exit codes: 0 every submission was graded, whatever its grade; 1 --diff found
another grade; 2 the command line, the rules, the roster or a gradebook is
wrong; 3 some submissions could not be graded; 4 a fault of s5-grade itself."""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _late(command: Any) -> Any:
    """Add the options of the late policy."""
    percent = Amount(0, 100)
    return together(
        click.option("--late-per-day", metavar="PERCENT", type=percent, default=0.0, help="Lost for each day begun."),
        click.option("--late-grace", metavar="MINUTES", type=Amount(min=0), default=0.0, help="Not yet late."),
        click.option("--late-most", metavar="PERCENT", type=percent, default=100.0, help="Never lost more than this."),
    )(command)


@click.command("class", epilog=EPILOG)
@click.argument("submissions", metavar="SUBMISSIONS", required=False)
@click.option("--roster", metavar="FILE", help="CSV of the students; also Canvas's gradebook or Moodle's worksheet.")
@click.option("--gradebook", "book", metavar="FILE", help="The gradebook. [default: SUBMISSIONS.gradebook.sqlite]")
@click.option(
    "--attempt", type=click.Choice(["latest", "best"]), default="latest", show_default=True, help="The one that counts."
)
@click.option("--starter", metavar="PATH", help="The assignment's starting code, which look-alikes may share.")
@click.option("--again", is_flag=True, help="Grade also what the gradebook holds already.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 1024),
    default=_cores,
    help="At a time. [default: one for each core]",
)
@click.option("--cluster", metavar="ADDRESS", help="Of a Dask scheduler, such as tcp://10.0.0.1:8786, to grade there.")
@click.option("--diff", metavar="OLD NEW", nargs=2, help="Grade nothing: tell whose grade differs between gradebooks.")
@_late
@GRADING
@click.option(
    "--sandbox",
    type=SANDBOXES,
    default="strict",
    show_default=True,
    help="Refuse to run anything below a sealed one, take the best that this machine has, or use none.",
)
@TRAINING
@OUTPUTS
def class_command(submissions: str | None, diff: tuple[str, str] | None, **options: Any) -> int:
    """Grade every submission in a folder, or a zip archive, and keep a gradebook.

    What the gradebook knows already is not graded again, so that a run that was interrupted goes on where it was.
    """
    if diff is not None:
        if others := given(but=("diff",)):
            raise click.UsageError(f"--diff compares two gradebooks and does nothing else: leave out {others}.")
        return _difference(*diff)
    if submissions is None:
        raise click.UsageError("Missing argument 'SUBMISSIONS': a folder or a zip archive.")
    return _graded(submissions, **options)


def _graded(submissions: str, book: str | None, roster: str | None, **options: Any) -> int:
    with faults_told():
        refuse_impossible(options, submissions)
    if not options["late_per_day"] and (options["late_grace"] or options["late_most"] < 100):
        raise click.UsageError("--late-grace and --late-most mean nothing without --late-per-day.")
    from grader.classroom.gradebook import Gradebook, awaited
    from grader.classroom.intake import read_class
    from grader.classroom.types import LatePolicy

    course, now = _course(**options), datetime.now(timezone.utc)
    place = book or beside(submissions)
    starter = starting_code(options["starter"], options["file"])
    with faults_told():
        found = read_class(submissions, roster, options["file"])
        refuse_unfillable(awaited(found, course, now), options)
        with Gradebook.open(place) as gradebook:
            late = LatePolicy(options["late_per_day"], options["late_grace"], options["late_most"])
            terms = {name: options[name] for name in ("attempt", "again")}
            gradebook.begin(found, course, late=late, now=now, **terms)
            click.echo(f"{submissions}: {found.layout}", err=True)
            _run(found, gradebook, course, starter, options)
            report = gradebook.class_report()
            told(report, place, gradebook.strays())
            deliver_class(report, gradebook, options)
    return code_of_class(report)


def beside(submissions: str) -> str:
    """Return where the gradebook of a folder, or an archive, is unless somebody says otherwise."""
    place = Path(os.path.abspath(submissions))  # noqa: PTH100 - '..' is followed as text
    is_archive = place.suffix.lower() == ".zip" and not place.is_dir()  # of 'lab.1' and 'lab.2' all is the name
    return f"{place.with_suffix('') if is_archive else place}{BOOK_SUFFIX}"


def _course(**options: Any) -> Course:
    """Return how the options have a class graded; raise RulesError for faulty rules."""
    from grader.classroom.types import Course
    from grader.rules import read_rules
    from grader.settings import Settings

    named = ("class_name", "train", "seed", "budget", "device", "threads", "timeout")
    settings = Settings(arguments=dict(options["pairs"]), **{name: options[name] for name in named})
    return Course(read_rules(options["rules"]), settings)


def starting_code(path: str | None, file: str | None) -> Submission | None:
    """Return the assignment's starting code, where it is named: a folder with all that is in it, or a file by itself.

    What lies beside a file may be the class, or the solution, which nobody was given.
    """
    if path is None:
        return None
    from grader.manifest import SubmissionError, read_submission

    try:
        if os.path.isdir(path):  # noqa: PTH112 - as given
            return read_submission(path, file)
        code = read_submission(path)
        return replace(code, files={code.entry: code.files[code.entry]})
    except SubmissionError as error:
        raise click.UsageError(f"--starter {path}: {error}. {error.fix}".rstrip()) from None


def _run(
    found: Class, gradebook: Gradebook, course: Course, starter: Submission | None, options: dict[str, Any]
) -> None:
    from grader.classroom.run import grade_class

    engine = partial(_engine, course, options)
    try:
        with class_progress(sys.stderr, colour=colour_on(sys.stderr)) as on_step:
            grade_class(
                found.attempts,
                gradebook,
                engine,
                course,
                counted=options["attempt"],
                again=options["again"],
                sealed=options["sandbox"] == "strict",
                starter=starter,
                on_step=on_step,
            )
    except KeyboardInterrupt:
        click.echo("What is graded is kept: the same command goes on from there.", err=True)
        raise


def _engine(course: Course, options: dict[str, Any]) -> Any:
    """Return what grades: this machine, or a cluster."""
    if options["cluster"] is not None:
        from grader.classroom.cluster import Cluster

        return Cluster(course, options["cluster"], options["sandbox"])
    from grader.classroom.engine import Local

    return Local(course, options["jobs"], options["sandbox"])


def _difference(old: str, new: str) -> int:
    """Tell whose grade differs between two gradebooks, and why; the exit code says whether anybody's does."""
    from grader.classroom.gradebook import Gradebook, comparison
    from grader.classroom.summary import difference

    with faults_told(), Gradebook.read(old) as before, Gradebook.read(new) as after:
        found = comparison(before.class_report(), after.class_report())
    write(difference(found, options_for(sys.stdout).width))
    return FAILED if found.changes else PASSED


@contextmanager
def faults_told() -> Iterator[None]:
    """Make what is wrong with a file that was named a fault of the command line."""
    from grader.classroom.engine import EngineError
    from grader.classroom.gradebook import GradebookError
    from grader.classroom.intake import IntakeError
    from grader.classroom.out.form import FormError
    from grader.classroom.page import PagesError

    try:
        yield
    except (EngineError, FormError, GradebookError, IntakeError, PagesError) as error:
        raise click.ClickException(str(error)) from None  # which shows no usage: the command line may be right


def told(report: ClassReport, book: str, strays: Sequence[str]) -> None:
    """Write what a class came to, and where its gradebook is; `strays` have an override and are not in the class."""
    from grader.classroom.summary import summary

    write(f"{summary(report, options_for(sys.stdout).width, strays)}\nGradebook: {book}\n")


def code_of_class(report: ClassReport) -> int:
    """Return the exit code of a class."""
    if any(map(_is_unfinished, report.grades)):
        return INTERNAL
    return UNGRADED if any(grade.verdict == "error" for grade in report.grades) else PASSED


def _is_unfinished(grade: Grade) -> bool:
    """Tell whether a run that came to its end left a grade that it was to replace, or to make."""
    from grader.obstacles import INTERNAL as OUR_FAULT

    return grade.verdict == "waiting" or grade.earlier or grade.untrained or grade.error == OUR_FAULT
