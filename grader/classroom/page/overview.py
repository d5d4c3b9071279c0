"""The whole class as one self-contained HTML page, for the instructor: a script of ours, no request, usable without."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

from grader.classroom.page.figures import bars, facts, headline, segments, terms
from grader.classroom.page.histogram import FRAME, histogram
from grader.classroom.page.look import look
from grader.classroom.page.rows import COLUMNS, VERDICTS, rows, shown_points, shown_time
from grader.classroom.types import ClassReport, Grade
from grader.render.html import base_style, digest_of, templates_of


def class_page(report: ClassReport, link: Callable[[Grade], str | None]) -> str:
    """Return the page; `link` gives the address of a student's own report, relative to the page, where there is one."""
    style, script = base_style() + _asset("class.css"), _asset("class.js")
    found = rows(report, link)
    return (
        _environment()
        .get_template("class.html")
        .render(
            report=report,
            style=Markup(style),  # files of ours
            script=Markup(script),
            style_digest=digest_of(style),
            script_digest=digest_of(script),
            headline=headline(report),
            segments=segments(report),
            facts=facts(report),
            terms=terms(report),
            histogram=histogram(report),
            bars=bars(report),
            look=look(report, found),
            rows=found,
            columns=[column for column in COLUMNS if column.needed(report)],
            verdicts=VERDICTS,
        )
    )


@cache
def _asset(name: str) -> str:
    return files("grader.classroom.page").joinpath(name).read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = templates_of("grader.classroom.page")
    environment.globals |= {"frame": FRAME}
    environment.filters |= {"time": shown_time, "points": shown_points}
    return environment
