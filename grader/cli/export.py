"""`s5-grade export PATH`: the graph that was graded, as PyTorch source and as weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from grader.cli.examined import examined
from grader.cli.options import SOURCE
from grader.cli.outcome import PASSED, code_of
from grader.cli.output import deliver, refuse_unwritable, write, write_file

if TYPE_CHECKING:
    from grader.report import Report

NAME = "net.py"


@click.command("export")
@SOURCE
@click.option("--output", metavar="FILE", default=NAME, show_default=True, help="Where to: a .py file or a folder.")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="Seed of the initial weights.",
)
def export_command(output: str, **options: Any) -> int:
    """Write the graph of the model in PATH as PyTorch source, and its weights beside it."""
    source = _source(output)
    grading, _, _ = examined(**options)
    if grading.exported is None:
        deliver(grading.report, "terminal" if sys.stdout.isatty() else "text", None)
        return code_of(grading.report)
    from grader.export import export

    made = export(grading.exported, _heading(grading.report))
    weights = source.with_suffix(".safetensors")
    write_file(str(weights), made.weights)
    write_file(str(source), made.text)
    write(f"wrote {source} and {weights}\n")
    return PASSED


def _source(output: str) -> Path:
    """Return the file to write, which must not be one that somebody else wrote."""
    from grader.export import TITLE

    path = Path(output)
    source = path / NAME if path.is_dir() else path
    if source.suffix != ".py":
        raise click.UsageError(f"{output}: expected a .py file, or a folder that exists")
    refuse_unwritable(str(source))
    if source.is_file():
        with source.open("rb") as file:
            if file.read(len(TITLE.encode())) != TITLE.encode():
                raise click.UsageError(f"{source} is there already, and not an export; name another with --output")
    return source


def _heading(report: Report) -> tuple[str, ...]:
    submission, versions = report.submission, report.reproduce.versions
    return (
        f"{submission.path}, class {submission.class_name}, sha256 of the file {submission.sha256}",
        "by " + ", ".join(f"{name} {version}" for name, version in versions.items() if name != "platform"),
    )
