"""A grading with what it is about, for the commands that write more than a report."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from grader.cli.output import colour_on

if TYPE_CHECKING:
    from grader.grade import Grading
    from grader.rules import Rules
    from grader.settings import Settings


def examined(
    path: str, rules: str | None, sandbox: Any, pairs: tuple[tuple[str, str], ...], **options: Any
) -> tuple[Grading, Rules, Settings]:
    """Grade what the options of a command say, with progress on stderr, and keep the graph."""
    from grader.grade import examine_in
    from grader.render.progress import progress_on
    from grader.rules import read_rules
    from grader.sandbox import Template
    from grader.settings import Settings

    settings = Settings(**options, arguments=dict(pairs), export=True)
    with (
        progress_on(sys.stderr, colour=colour_on(sys.stderr)) as listener,
        Template.start(sandbox=sandbox, gpu=settings.device == "cuda") as template,
    ):
        course = read_rules(rules)
        return examine_in(template, path, course, settings, listener), course, settings
