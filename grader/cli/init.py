"""`s5-grade init`: a rules file to begin with."""

from __future__ import annotations

from pathlib import Path

import click

from grader.cli.outcome import PASSED
from grader.cli.output import refuse_unwritable, write, write_file


@click.command("init")
@click.argument("name", metavar="[NAME]", default="default")
@click.option("--output", metavar="FILE", default="rules.yaml", show_default=True, help="Where to; - is the terminal.")
def init_command(name: str, output: str) -> int:
    """Write a commented rules file; NAME is a ready one to begin with, such as cifar10."""
    from grader.rules.starter import starter

    if output == "-":
        write(starter(name))
        return PASSED
    if Path(output).exists():
        raise click.UsageError(f"{output} is there already; name another file with --output")
    refuse_unwritable(output)
    write_file(output, starter(name))
    write(f"wrote {output}: s5-grade model.py --rules {output}\n")
    return PASSED
