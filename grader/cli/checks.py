"""`s5-grade checks` and `s5-grade explain CHECK`: what is looked for."""

from __future__ import annotations

import sys

import click

from grader.cli.outcome import PASSED
from grader.cli.output import options_for, write


@click.command("checks")
def checks_command() -> int:
    """Show all checks, each with its first sentence."""
    from grader.checks import checks
    from grader.render.page import table

    write(table(checks().values(), options_for(sys.stdout)))
    return PASSED


@click.command("explain")
@click.argument("name", metavar="CHECK")
@click.option("--rules", "source", metavar="FILE", help="Rules that may be named. [default: those of the assignment]")
def explain_command(name: str, source: str | None) -> int:
    """Explain a CHECK, or the checks of a rule: what is looked for, why it matters, with examples."""
    from grader.checks import checks
    from grader.render.page import page
    from grader.rules import read_rules
    from grader.rules.typed import suggestion

    table = checks()
    rules = {rule.id: [use.check for use in rule.checks] for rule in read_rules(source).rules}
    names = [name] if name in table else rules.get(name)
    if names is None:
        hint = suggestion(name, dict.fromkeys([*table, *rules]))
        raise click.UsageError(f"there is no check and no rule {name!r}: {hint}")
    options = options_for(sys.stdout)
    write("\n".join(page(table[check], options) for check in names))
    return PASSED
