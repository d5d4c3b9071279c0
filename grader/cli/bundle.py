"""`s5-grade bundle PATH`: one file that repeats a verdict; `s5-grade replay FILE`: repeat it, and compare."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.examined import examined
from grader.cli.options import FORMAT, OUTPUT, SANDBOX, SOURCE, TRAINING
from grader.cli.outcome import FAILED, PASSED, UNGRADED, code_of
from grader.cli.output import colour_on, deliver, refuse_unwritable, write, write_file

if TYPE_CHECKING:
    from grader.bundle import Bundle

SUFFIX = ".s5bundle"
FOR_PEOPLE = ("terminal", "text", "concise")  # forms that a comparison can follow; others are for programs


@click.command("bundle")
@SOURCE
@click.option("--output", metavar="FILE", help=f"Where to. [default: the submission's name with {SUFFIX}]")
@TRAINING
def bundle_command(path: str, output: str | None, **options: Any) -> int:
    """Grade the model in PATH, and write one file with all that repeats the verdict elsewhere.

    It holds the submitted source, the rules, the report, the graph and the weights.
    """
    target = output or f"{Path(path).stem or 'submission'}{SUFFIX}"
    refuse_unwritable(target)
    grading, course, settings = examined(path, **options)
    report = grading.report
    if grading.submission is None:
        deliver(report, "terminal" if sys.stdout.isatty() else "text", None)
        return code_of(report)
    from grader.bundle import bundled
    from grader.render.words import closing

    write_file(target, bundled(grading, course, settings))
    write(f"wrote {target}: {closing(report)}\n")
    return PASSED


@click.command("replay")
@click.argument("file", metavar="BUNDLE")
@click.option("--rules", metavar="FILE", help="Rules that the bundle must hold. [default: any]")
@click.option("--train/--no-train", default=True, help="Repeat a training that the bundle has. [default: yes]")
@SANDBOX
@FORMAT
@OUTPUT
def replay_command(file: str, rules: str | None, train: bool, sandbox: Any, form: str, output: str | None) -> int:
    """Grade what a BUNDLE holds once more, on this machine, and say whether the verdict is the same.

    \b
    Exit codes: 0 it is the same, 1 it is not, 2 the bundle is broken,
    3 what was graded there cannot be graded here.
    """
    refuse_unwritable(output)
    from grader.bundle import compared
    from grader.cli.repetition import told
    from grader.grade import examine_submission
    from grader.render.progress import progress_on
    from grader.rules import read_rules
    from grader.sandbox import Template

    bundle = _read(file)
    settings = dataclasses.replace(bundle.settings, train=bundle.settings.train and train)
    with (
        progress_on(sys.stderr, colour=colour_on(sys.stderr)) as listener,
        Template.start(sandbox=sandbox, gpu=settings.train and settings.device == "cuda") as template,
    ):
        expected = None if rules is None else read_rules(rules)
        grading = examine_submission(template, bundle.submission, bundle.rules, settings, listener)
    deliver(grading.report, form, output)
    comparison = compared(bundle, grading, trained=settings.train, rules=expected)
    text = told(comparison, bundle, file)
    if output is not None or form in FOR_PEOPLE:
        write(text)
    else:
        click.echo(text, err=True, nl=False)
    return UNGRADED if comparison.ungraded else PASSED if comparison.repeated else FAILED


def _read(file: str) -> Bundle:
    from grader.bundle import SIZE_CAP, BundleError, read_bundle
    from grader.render.escape import visible

    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - as given: /dev/stdin too
            data = stream.read(SIZE_CAP + 1)
        return read_bundle(data)
    except BundleError as error:
        raise click.UsageError(visible(f"{file}: {error}")) from None
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{file}: {getattr(error, 'strerror', None) or error}") from None
