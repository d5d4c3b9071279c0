"""The command line: `s5-grade PATH`, and a few commands that say more."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

if TYPE_CHECKING:
    from grader.render import Options
    from grader.report import Report

PASSED, FAILED, USAGE, UNGRADED, INTERNAL, INTERRUPTED = 0, 1, 2, 3, 4, 130
CODES = {"pass": PASSED, "fail": FAILED, "error": UNGRADED}
FORMATS = ("terminal", "text", "concise", "json")
PIPE_WIDTH = 100  # columns, where there is no terminal to ask

EPILOG = """\b
Other commands:
  s5-grade layers PATH      every layer with its output shape and parameters
  s5-grade checks           all checks
  s5-grade explain CHECK    what a check, or a rule, looks for

A file that is called like a command is named ./layers.

\b
Exit codes: 0 every rule passed, 1 one failed, 2 the command line or the rules
are wrong, 3 the submission could not be graded, 4 a fault of s5-grade itself."""


class Pairs(click.ParamType):  # type: ignore[type-arg]  # generic in new releases of click alone
    """An argument of the constructor: KEY=VALUE."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        key, equals, text = str(value).partition("=")
        if not equals or not key.isidentifier():
            self.fail(f"{value!r} is not KEY=VALUE, such as classes=10.", param, ctx)
        return key, text


def _version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            click.echo(f"s5-grade {version('s5-grade')}")
        except PackageNotFoundError:  # run from its source, without an installation
            click.echo("s5-grade, not installed")
        ctx.exit()


def _default_sandbox() -> str:
    """At the keyboard a file is one's own; where nobody looks, it is anybody's."""
    return "strict" if os.environ.get("CI", "").lower() not in ("", "0", "false", "no") else "auto"


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _submission_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what `s5-grade PATH` and `s5-grade layers PATH` have in common."""
    options: list[Decorator] = [
        click.argument("path", metavar="PATH"),
        click.option("--rules", metavar="FILE", help="Rules to grade by. [default: those of the assignment]"),
        click.option("--file", metavar="NAME", help="The file of a folder that holds the model."),
        click.option("--class", "class_name", metavar="NAME", help="The class to grade, where a file has several."),
        click.option(
            "--arg", "pairs", multiple=True, type=Pairs(), help="An argument for the constructor; repeatable."
        ),
        click.option(
            "--timeout",
            metavar="S",
            type=click.FloatRange(min=0, min_open=True),
            default=60.0,
            show_default=True,
            help="Seconds that the submission's code may take.",
        ),
        click.option(
            "--sandbox",
            type=click.Choice(["auto", "strict", "off"]),
            default=_default_sandbox,
            help="Take the best that this machine has, refuse to run below a sealed one, or use none."
            " [default: auto; strict where CI is set]",
        ),
        click.option("--output", metavar="FILE", help="Write to a file instead of the terminal."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command("s5-grade", epilog=EPILOG)
@_submission_options
@click.option("--train/--no-train", default=False, help="Train the model and measure its accuracy. [default: no]")
@click.option(
    "--seed",
    metavar="N",
    type=click.IntRange(0, 2**31 - 1),
    default=1,
    show_default=True,
    help="Seed of the initial weights and of the training.",
)
@click.option(
    "--budget", metavar="S", type=click.FloatRange(min=0, min_open=True), help="Seconds that training may take."
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="To train on.")
@click.option("--threads", metavar="N", type=click.IntRange(1, 1024), help="To train with. [default: up to 8]")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="terminal", show_default=True, help="Of the report."
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
def grade_command(form: str, output: str | None, **options: Any) -> int:
    """Grade a PyTorch model: PATH is a Python file, a notebook or a folder."""
    report = _graded(output, **options)
    _deliver(report, form, output)
    return _code(report)


@click.command("layers")
@_submission_options
def layers_command(output: str | None, **options: Any) -> int:
    """Show every layer of the model in PATH, in order, with its output shape, parameters and multiplications."""
    report = _graded(output, train=False, **options)
    _deliver(report, "layers", output)
    return _code(report) if report.model is None else PASSED


@click.command("checks")
def checks_command() -> int:
    """Show all checks, each with its first sentence."""
    from grader.checks import checks
    from grader.render.page import table

    _write(table(checks().values(), _options(sys.stdout)))
    return PASSED


@click.command("explain")
@click.argument("name", metavar="CHECK")
def explain_command(name: str) -> int:
    """Explain a CHECK, or the checks of a rule: what is looked for, why it matters, with examples."""
    from grader.checks import checks
    from grader.render.page import page
    from grader.rules import read_rules
    from grader.rules.typed import suggestion

    table = checks()
    rules = {rule.id: [use.check for use in rule.checks] for rule in read_rules().rules}
    names = [name] if name in table else rules.get(name)
    if names is None:
        hint = suggestion(name, dict.fromkeys([*table, *rules]))
        raise click.UsageError(f"there is no check and no rule {name!r}: {hint}")
    options = _options(sys.stdout)
    _write("\n".join(page(table[check], options) for check in names))
    return PASSED


COMMANDS = {"layers": layers_command, "checks": checks_command, "explain": explain_command}


def _graded(output: str | None, pairs: tuple[tuple[str, str], ...], **options: Any) -> Report:
    """Grade what the options say, with progress on stderr."""
    if output is not None:
        _refuse_unwritable(output)
    from grader.grade import grade
    from grader.render.progress import progress_on

    with progress_on(sys.stderr, colour=_colour(sys.stderr)) as listener:
        return grade(arguments=dict(pairs), on_progress=listener, **options)


def _code(report: Report) -> int:
    """Return the exit code of a report."""
    if report.error is not None and report.error.code == "internal":
        return INTERNAL
    return CODES[report.verdict]


def _deliver(report: Report, form: str, output: str | None) -> None:
    """Write a report to its file, or to stdout."""
    from grader.render import Options, render

    if output is None:
        plain = form == "text"
        options = Options(PIPE_WIDTH) if plain else _options(sys.stdout)
        _write(render(report, form, options))
    else:
        _write_file(output, render(report, form, Options(PIPE_WIDTH)))


def _options(stream: TextIO) -> Options:
    from shutil import get_terminal_size

    from grader.render import Options

    return Options(get_terminal_size((PIPE_WIDTH, 24)).columns, _colour(stream))


def _colour(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _refuse_unwritable(output: str) -> None:
    """Refuse an output that could not be written, before the work is done."""
    folder = os.path.dirname(output) or "."  # noqa: PTH120 - a string, as given
    if os.path.isdir(output):  # noqa: PTH112
        raise click.UsageError(f"--output {output} is a folder, expected a file")
    if not os.path.isdir(folder):  # noqa: PTH112
        raise click.UsageError(f"--output {output}: there is no folder {folder}")
    if not os.access(folder, os.W_OK):
        raise click.UsageError(f"--output {output}: the folder {folder} cannot be written to")


def _write_file(output: str, text: str) -> None:
    """Write a whole file or none: it takes its name when it is complete."""
    import tempfile
    from pathlib import Path

    path = Path(output)
    if path.exists() and not path.is_file():  # a device such as /dev/stdout takes no other file's place
        path.write_text(text, encoding="utf-8")
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write(text: str) -> None:
    """Write to stdout; a reader that has gone away is no fault."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more at its end, and would complain then.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run(arguments: list[str]) -> int:
    """Carry out a command line, the program's name left out, and return the exit code."""
    first = arguments[0] if arguments else ""
    command = COMMANDS.get(first, grade_command)
    name, rest = (f"s5-grade {first}", arguments[1:]) if first in COMMANDS else ("s5-grade", arguments)
    try:
        if not arguments:
            _invoke(command, ["--help"], name)
            return USAGE
        return _invoke(command, rest, name)
    except click.ClickException as error:
        error.show()
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        _complain("interrupted")
        return INTERRUPTED
    except Exception as error:
        return _failure(error)


def _invoke(command: click.Command, arguments: list[str], name: str) -> int:
    result = command.main(arguments, prog_name=name, standalone_mode=False)
    return result if isinstance(result, int) else PASSED


def _failure(error: Exception) -> int:
    """Say what went wrong; only an exception that nobody foresaw is a fault of the grader's code."""
    from grader.rules import RulesError
    from grader.sandbox import SandboxError

    if isinstance(error, RulesError):
        _complain(str(error), prefix="")
        return USAGE
    if os.environ.get("S5_GRADE_DEBUG"):
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    if isinstance(error, SandboxError):
        _complain(str(error))
    elif isinstance(error, OSError) and error.filename is not None:
        _complain(f"{error.strerror}: {error.filename}")
    else:
        _complain(f"a fault of s5-grade: {type(error).__name__}: {error}")
        _complain("please report it, with the file that it was given; S5_GRADE_DEBUG=1 shows where it happened")
    return INTERNAL


def _complain(message: str, prefix: str = "s5-grade: ") -> None:
    from grader.render.escape import visible

    for line in message.splitlines():
        click.echo(f"{prefix}{visible(line)}", err=True)


def _open_closed_streams() -> None:
    """Give closed standard streams the null device, lest a file or pipe takes their descriptors."""
    if all(stream is not None for stream in (sys.stdin, sys.stdout, sys.stderr)):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def main() -> NoReturn:
    """Carry out the command line of this process and end it with the exit code."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a text file at the start
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
