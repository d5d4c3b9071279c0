"""`s5-grade train --report REPORT`: the training that a saved report tells of, repeated and compared."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.options import SANDBOX, SOURCE, TRAINING
from grader.cli.outcome import FAILED, PASSED, UNGRADED
from grader.cli.output import colour_on, write
from grader.cli.render import saved

if TYPE_CHECKING:
    from grader.manifest import Submission
    from grader.protocol import TrainingReport
    from grader.report import Report
    from grader.rules import CheckUse, Rules


@click.command("train")
@click.option("--report", "file", metavar="REPORT", required=True, help="The report, saved with --format json.")
@click.argument("path", metavar="[PATH]", required=False)
@click.option("--rules", metavar="FILE", help="The rules, where they are no longer where the report says.")
@SANDBOX
def train_command(file: str, path: str | None, rules: str | None, sandbox: Any) -> int:
    """Train again as a saved REPORT says, and tell whether the result is the same to the last digit.

    The seed, the threads, the device, the recipe and the claim are the report's. PATH is the same submission, where it
    is no longer where the report says.

    \b
    Exit codes: 0 it is the same, 1 it is not, 2 the report is of no use or
    about another file, 3 the submission cannot be graded here.
    """
    from grader.grade import examine_submission
    from grader.render.progress import progress_on
    from grader.sandbox import Template
    from grader.settings import Settings

    report, training = _trained(file)
    how = _command(report, file)
    submission = _submission(report, file, path or report.submission.path)
    course = _as_claimed(_rules(rules or how["rules"], named=rules is not None), training)
    settings = Settings(
        class_name=how["class_name"],
        arguments=dict(how["pairs"]),
        train=True,
        seed=training.seed,
        budget=how["budget"] if training.outcome == "open" else None,  # it may have been the reason, or it was enough
        device=training.device,  # type: ignore[arg-type]  # one of two, which the executor looks at
        threads=training.threads,
        timeout=how["timeout"],
    )
    with (
        progress_on(sys.stderr, colour=colour_on(sys.stderr)) as listener,
        Template.start(sandbox=sandbox, gpu=settings.device == "cuda") as template,
    ):
        here = examine_submission(template, submission, course, settings, listener).report
    return _told(report, here, file)


def _trained(file: str) -> tuple[Report, TrainingReport]:
    report = saved(file)
    if report.training is None:
        raise click.UsageError(f"{file}: its model was not trained: grade it with --train --format json")
    return report, report.training


@click.command(add_help_option=False)
@SOURCE
@TRAINING
def _graded(**options: Any) -> None:
    """Stand for the command line that a report tells."""


def _command(report: Report, file: str) -> dict[str, Any]:
    """Return the options that a report was made with, from the command line that it tells."""
    try:
        words = shlex.split(report.reproduce.command)[1:]
        return _graded.make_context("s5-grade", words).params
    except (ValueError, click.ClickException, click.exceptions.Exit) as error:
        reason = error.format_message() if isinstance(error, click.ClickException) else str(error)
        raise click.UsageError(f"{file}: the command line that it tells can't be read: {reason}") from None


def _submission(report: Report, file: str, path: str) -> Submission:
    """Return the submission, which has to be the one that the report is about."""
    from grader.manifest import SubmissionError, read_submission

    told = report.submission
    try:
        submission = read_submission(path, told.file if Path(path).is_dir() else None)
    except SubmissionError as error:
        hint = "" if path != told.path else ": name the place where it is now as PATH"
        raise click.UsageError(f"{path}: {error}{hint}") from None
    if submission.sha256 != told.sha256:
        digests = f"its sha256 is {submission.sha256[:12]}…, the report's {told.sha256[:12]}…"
        raise click.UsageError(f"{path} is not the submission that {file} is about: {digests}")
    return submission


def _rules(source: str | None, *, named: bool) -> Rules:
    from grader.rules import RulesError, read_rules

    try:
        return read_rules(source)
    except RulesError as error:
        hint = "" if named else "\nThe report names these rules; name others with --rules."
        raise click.UsageError(f"{error}{hint}") from None


def _as_claimed(course: Rules, training: TrainingReport) -> Rules:
    """Return rules whose accuracy check is the one that a report tells, in case they have changed since."""
    from grader.report import ACCURACY

    if not course.uses_of(ACCURACY):
        raise click.UsageError(f"{course.file} has no accuracy rule: name the report's rules with --rules")
    rules = (
        dataclasses.replace(rule, checks=tuple(_use_as_claimed(use, training) for use in rule.checks))
        for rule in course.rules
    )
    return dataclasses.replace(course, rules=tuple(rules))


def _use_as_claimed(use: CheckUse, training: TrainingReport) -> CheckUse:
    import msgspec

    from grader.checks.accuracy import ID, Options

    if use.check != ID:
        return use
    claimed = {
        "target": training.target,
        "claim": training.claim_kind,
        "seeds": training.planned if training.claim_kind == "mean" else None,
        "sustained": training.sustained or None,
        "best": training.best,
        "recipe": training.recipe,
    }
    try:
        options = msgspec.convert({**use.options, **claimed}, Options)
    except msgspec.ValidationError as error:
        raise click.UsageError(f"the report's recipe is none that this version knows: {error}") from None
    return dataclasses.replace(use, options=msgspec.to_builtins(options))


def _told(there: Report, here: Report, file: str) -> int:
    from grader.cli.retraining import compared, told

    if here.training is None:
        reason = here.error.message if here.error is not None else "no reason is known"
        write(f"not repeated: here the submission can't be graded: {reason}\n")
        return UNGRADED
    comparison = compared(there, here)
    write(told(comparison, file))
    return PASSED if comparison.same else FAILED
