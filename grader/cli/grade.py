"""`s5-grade PATH`: grade a submission; `s5-grade layers PATH`: show what it is made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from grader.cli.options import FORMAT, SUBMISSION, TRAINING, Target
from grader.cli.outcome import PASSED, code_of
from grader.cli.output import colour_on, deliver, refuse_unwritable

if TYPE_CHECKING:
    from grader.report import Report

EPILOG = """\b
Other commands:
  s5-grade layers PATH      every layer with its output shape and parameters
  s5-grade checks           all checks
  s5-grade explain CHECK    what a check, or a rule, looks for
  s5-grade init             a rules file to begin with
  s5-grade render REPORT    another form of a report that was saved as JSON
  s5-grade train --report REPORT
                            repeat a training to the last digit, and compare
  s5-grade export PATH      the graph that is graded, as PyTorch source
  s5-grade bundle PATH      one file that repeats the verdict elsewhere
  s5-grade replay BUNDLE    repeat it, and compare
  s5-grade class FOLDER     a whole class, with a gradebook
  s5-grade gradebook FILE   the grades of a class, and what a person decides

A file that is called like a command is named ./layers.

\b
Exit codes: 0 every rule passed, 1 one failed, 2 the command line or the rules
are wrong, 3 the submission could not be graded, 4 a fault of s5-grade itself."""


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"s5-grade {version('s5-grade')}")
        except PackageNotFoundError:  # run from its source, without an installation
            click.echo("s5-grade, not installed")
        ctx.exit()


@click.command("s5-grade", epilog=EPILOG)
@SUBMISSION
@TRAINING
@FORMAT
@click.option("--also", multiple=True, type=Target(), help="Write a further form of the report to a file; repeatable.")
@click.option("--watch", is_flag=True, help="Grade again after each save, and show what changed; Ctrl-C ends it.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def grade_command(form: str, output: str | None, also: tuple[tuple[str, str], ...], watch: bool, **options: Any) -> int:
    """Grade a PyTorch model: PATH is a Python file, a notebook or a folder."""
    targets = [(form, output), *also]
    if watch:
        from grader.cli.watching import watching

        return watching(targets, **options)
    report = _graded([file for _, file in targets], **options)
    for form_of, file in targets:
        deliver(report, form_of, file)
    return code_of(report)


@click.command("layers")
@SUBMISSION
def layers_command(output: str | None, **options: Any) -> int:
    """Show every layer of the model in PATH, in order, with its output shape, parameters and multiplications."""
    report = _graded([output], train=False, **options)
    deliver(report, "layers", output)
    return code_of(report) if report.model is None else PASSED


def _graded(outputs: list[str | None], pairs: tuple[tuple[str, str], ...], **options: Any) -> Report:
    """Grade what the options say, with progress on stderr."""
    for output in outputs:
        refuse_unwritable(output)
    from grader.grade import grade
    from grader.render.progress import progress_on

    with progress_on(sys.stderr, colour=colour_on(sys.stderr)) as listener:
        return grade(arguments=dict(pairs), on_progress=listener, **options)
