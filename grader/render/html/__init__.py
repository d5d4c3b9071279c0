"""The report as one self-contained HTML page, for students: no script, no request, light and dark, screen and paper."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from functools import cache, partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.checks.accuracy import rounded_down
from grader.render import Options
from grader.render.budget import budget
from grader.render.escape import visible
from grader.render.html.chain import chain
from grader.render.html.curves import FRAME, curves
from grader.render.html.cuts import cut
from grader.render.html.edits import changes
from grader.render.html.excerpts import Mark, excerpts, marks_of
from grader.render.html.figures import budget_bars, counts, facts, outcome, recipe, sections, segments, verdict
from grader.render.places import position
from grader.render.words import LOSSES
from grader.report import Report


def render(report: Report, options: Options) -> str:
    """Return the page; its size is bounded, however long the model and its lines are."""
    style = _style()
    page = _environment().get_template("page.html")
    return page.render(
        report=report,
        style=Markup(style),  # a file of ours
        style_digest=digest_of(style),
        verdict=verdict(report),
        counts=counts(report),
        facts=facts(report),
        segments=segments(report),
        sections=sections(report),
        budget=budget_bars(report, budget(report)),
        chain=chain(report.model.layers) if report.model is not None else None,
        curves=curves(report.training) if report.training is not None else (),
        outcome=partial(outcome, report),
        position=partial(position, report),
    )


def templates_of(package: str) -> Environment:
    """Return the templates of a package; every text that enters them is escaped, and shown where it does not print."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": "{:,}".format, "number": "{:g}".format, "decimals": _decimals}
    return environment


@cache
def base_style() -> str:
    """Return what all pages look like: colours, light and dark, and type."""
    return files(__name__).joinpath("base.css").read_text("utf-8")


@cache
def _style() -> str:
    return base_style() + files(__name__).joinpath("page.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = templates_of(__name__)
    environment.filters |= {"rounded_down": rounded_down}
    environment.filters |= {"cut": cut, "lines": str.splitlines, "quote": shlex.quote}
    environment.globals |= {"Mark": Mark, "excerpts": excerpts, "marks_of": marks_of, "changes": changes}
    environment.globals |= {"recipe": recipe, "frame": FRAME, "losses": LOSSES}
    return environment


def digest_of(text: str) -> str:
    """Return what a content security policy calls a style or a script of the page by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _decimals(value: float | None, digits: int) -> str:
    """Return a number with so many decimals; what training gives need not be there, nor be finite."""
    return f"{value:.{digits}f}" if value is not None and math.isfinite(value) else "–"


def _shown(value: Any) -> Any:
    """Spell out what does not print in every text that enters the page; markup is the templates' own."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
