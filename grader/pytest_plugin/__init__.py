"""The pytest plugin: `pytest --s5 model.py` makes a test of each rule. What it is for stands in `docs/pytest.md`.

Every run of pytest imports this file where s5-grade is installed, so it needs nothing but pytest; the other modules of
this package are imported once there is something to grade.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from grader.graph import Graph
    from grader.pytest_plugin.targets import Target
    from grader.report import Report

# Options by name: `--s5-NAME` on the command line, `s5_NAME` in pytest's configuration.
OPTIONS: dict[str, tuple[str, str]] = {
    "rules": ("FILE", "rules to grade by; those of the assignment without it"),
    "file": ("NAME", "the file of a folder that holds the model"),
    "class": ("NAME", "the class to grade, where a file has several"),
    "arg": ("KEY=VALUE", "an argument for the constructor; repeatable, one a line in the configuration"),
    "train": ("", "train the model and measure its accuracy"),
    "seed": ("N", "seed of the initial weights and of the training"),
    "budget": ("S", "seconds that training may take"),
    "device": ("NAME", "cpu, or cuda to train on a GPU"),
    "threads": ("N", "threads to train with"),
    "timeout": ("S", "seconds that the submission's code may take"),
    "sandbox": ("NAME", "auto, strict or off; auto is the default, strict where CI is set"),
}
IniKind = Literal["linelist", "string"]
LISTS = frozenset(("path", "arg"))

MARK = (
    "s5(path=None, rules=None, **settings): grade another submission, by other rules or settings, for the fixtures "
    "s5_report and s5_graph of a test"
)
FOLDER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("s5-grade", "grading of PyTorch models (s5-grade)")
    what = "a file, notebook or folder to grade: one test for each rule"
    group.addoption("--s5", dest="s5_path", action="append", metavar="PATH", help=f"{what}; repeatable")
    parser.addini("s5_path", f"{what}; one a line", type="linelist")
    for name, (metavar, text) in OPTIONS.items():
        dest = f"s5_{name}"
        if name == "train":
            group.addoption("--s5-train", dest=dest, action="store_const", const="true", help=text)
            group.addoption("--s5-no-train", dest=dest, action="store_const", const="false", help="do not train")
        else:
            action = "append" if name in LISTS else "store"
            group.addoption(f"--s5-{name}", dest=dest, action=action, metavar=metavar, help=text)
        kind: IniKind = "linelist" if name in LISTS else "string"
        parser.addini(dest, text, type=kind, default=None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARK)
    if config.getoption("s5_path") or config.getini("s5_path"):
        from grader.pytest_plugin.collection import Submissions

        config.pluginmanager.register(Submissions(config), "s5-grade-submissions")


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash and not hasattr(config, "workerinput"):
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist where the others leave what they have graded."""
    node.workerinput["s5_folder"] = shared_folder(node.config)


def shared_folder(config: pytest.Config) -> str:
    """Return the folder for what is graded in this run; it is made when there is something to put into it."""
    if FOLDER not in config.stash:
        own = os.path.join(tempfile.gettempdir(), f"s5-grade-pytest-{uuid.uuid4().hex}")  # noqa: PTH118 - for execnet
        config.stash[FOLDER] = getattr(config, "workerinput", {}).get("s5_folder", own)
    return config.stash[FOLDER]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "_s5_target" in metafunc.fixturenames:
        from grader.pytest_plugin.fixtures import parametrise

        parametrise(metafunc)


@pytest.fixture(scope="session")
def _s5_target(request: pytest.FixtureRequest) -> Target:
    """What a test is about: a configured submission, or that of its mark `s5`."""
    from grader.pytest_plugin.fixtures import target_of

    return target_of(request)


@pytest.fixture(scope="session")
def s5_report(_s5_target: Target, pytestconfig: pytest.Config) -> Report:
    """The report on the submission (grader.report.Report), graded once in a run."""
    from grader.pytest_plugin.fixtures import report_on

    return report_on(_s5_target, pytestconfig)


@pytest.fixture(scope="session")
def s5_graph(_s5_target: Target, pytestconfig: pytest.Config) -> Graph:
    """What the submission computes (grader.graph.Graph): the graph that its verdict is about."""
    from grader.pytest_plugin.fixtures import graph_of

    return graph_of(_s5_target, pytestconfig)
