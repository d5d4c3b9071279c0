"""What the fixtures do: which submission a test is about, its report, its graph."""

from __future__ import annotations

from typing import Union

import pytest

from grader.graph import Graph
from grader.pytest_plugin.gradings import gradings_of
from grader.pytest_plugin.targets import Target, configured, marked
from grader.render import Options, render
from grader.report import Report

NOTHING = "no submission to grade: give --s5 PATH, set s5_path in pytest's configuration, or mark the test with s5"

Asked = Union[Target, pytest.UsageError]


def parametrise(metafunc: pytest.Metafunc) -> None:
    """Run a test for each submission of its marks, or for each that is configured where these are several."""
    marks = nearest_marks(metafunc.definition)
    asked = [target for mark in marks for target in _asked(metafunc.config, mark)] or configured(metafunc.config)
    if marks or len(asked) > 1:
        names = [target.shown if isinstance(target, Target) else "s5" for target in asked]
        metafunc.parametrize("_s5_target", asked, indirect=True, scope="session", ids=names)


def nearest_marks(node: pytest.Item) -> list[pytest.Mark]:
    """Return the marks `s5` of a test, or else those of its class, of its module, and so on: the nearest count."""
    levels = ([mark for mark in level.own_markers if mark.name == "s5"] for level in reversed(node.listchain()))
    return next((marks for marks in levels if marks), [])


def target_of(request: pytest.FixtureRequest) -> Target:
    """Return the submission of the test that asks."""
    found: Asked | None = getattr(request, "param", None) or next(iter(configured(request.config)), None)
    if not isinstance(found, Target):
        pytest.fail(NOTHING if found is None else "\n".join(map(str, found.args)), pytrace=False)
    return found


def report_on(target: Target, config: pytest.Config) -> Report:
    """Return the report on a submission."""
    return gradings_of(config).report(target)


def graph_of(target: Target, config: pytest.Config) -> Graph:
    """Return the graph of a submission; without one, the test fails with what stood in the way."""
    gradings = gradings_of(config)
    graph = gradings.graph(target)
    if graph is None:
        pytest.fail(render(gradings.report(target), "text", Options()), pytrace=False)
    return graph


def _asked(config: pytest.Config, mark: pytest.Mark) -> list[Asked]:
    """Return what a mark asks for; a fault of it is told when its test runs."""
    try:
        return list(marked(config, mark)) or [pytest.UsageError(NOTHING)]
    except pytest.UsageError as error:
        return [error]
