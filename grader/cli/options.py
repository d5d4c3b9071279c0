"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import click
from click.core import ParameterSource

from grader.render import FORMATS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Amount(click.FloatRange):
    """A number in a range: 'nan' is in none, and 'inf' is no number that one can wait for, or keep."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


class Pairs(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click alone
    """An argument of the constructor: KEY=VALUE."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key.isidentifier():
            self.fail(f"{value!r} is not KEY=VALUE, such as classes=10.", param, ctx)
        return key, text


class Target(click.ParamType):  # type: ignore[type-arg]  # as above
    """A form of the report and the file that it goes to: FORMAT=FILE."""

    name = "FORMAT=FILE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        form, equals, file = str(value).partition("=")
        if not equals or not file:
            self.fail(f"{value!r} is not FORMAT=FILE, such as html=report.html.", param, ctx)
        if form not in FORMATS:
            self.fail(f"{form!r} is none of the formats {', '.join(FORMATS)}.", param, ctx)
        return form, file


def together(*options: Decorator) -> Decorator:
    """Return options as one decorator; they are listed in this order."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def given(*, but: Sequence[str]) -> str:
    """Return what the command line that is carried out names, apart from some parameters; '' for nothing."""
    context = click.get_current_context()
    found = [one for one in context.command.params if one.name is not None and one.name not in but]
    named = [one for one in found if context.get_parameter_source(one.name or "") is ParameterSource.COMMANDLINE]
    return ", ".join(str(one.metavar) if isinstance(one, click.Argument) else one.opts[-1] for one in named)


def _default_sandbox() -> str:
    from grader.settings import default_sandbox  # not for --help

    return default_sandbox()


OUTPUT = click.option("--output", metavar="FILE", help="Write to a file instead of the terminal.")
FORMAT = click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), default="terminal", show_default=True, help="Of the report."
)

SANDBOXES = click.Choice(["auto", "strict", "off"])
SANDBOX = click.option(
    "--sandbox",
    type=SANDBOXES,
    default=_default_sandbox,
    help="Take the best that this machine has, refuse to run below a sealed one, or use none."
    " [default: auto; strict where CI is set]",
)

GRADING = together(
    click.option("--rules", metavar="FILE", help="Rules to grade by. [default: those of the assignment]"),
    click.option("--file", metavar="NAME", help="The file of a folder that holds the model."),
    click.option("--class", "class_name", metavar="NAME", help="The class to grade, where a file has several."),
    click.option("--arg", "pairs", multiple=True, type=Pairs(), help="An argument for the constructor; repeatable."),
    click.option(
        "--timeout",
        metavar="S",
        type=Amount(min=0, min_open=True),
        default=60.0,
        show_default=True,
        help="Seconds that the submission's code may take.",
    ),
)
SOURCE = together(click.argument("path", metavar="PATH"), GRADING, SANDBOX)
SUBMISSION = together(SOURCE, OUTPUT)

TRAINING = together(
    click.option("--train/--no-train", default=False, help="Train the model and measure its accuracy. [default: no]"),
    click.option(
        "--seed",
        metavar="N",
        type=click.IntRange(0, 2**31 - 1),
        default=1,
        show_default=True,
        help="Seed of the initial weights and of the training.",
    ),
    click.option("--budget", metavar="S", type=Amount(min=0, min_open=True), help="Seconds that training may take."),
    click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="To train on."),
    click.option(
        "--threads", metavar="N", type=click.IntRange(1, 1024), default=1, show_default=True, help="To train with."
    ),
)
