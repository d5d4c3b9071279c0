"""What a run of pytest has graded: each submission once, by whichever worker comes first."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from grader.grade import Grading, examine_in
from grader.graph import Graph
from grader.protocol import Exported
from grader.pytest_plugin import shared_folder
from grader.pytest_plugin.targets import Target, working_in
from grader.render.escape import visible
from grader.report import Report
from grader.sandbox import Sandbox, SandboxError, Template


class Gradings:
    """Reports and graphs of one run, kept in a folder that all workers share; one template serves this process."""

    def __init__(self, folder: Path, here: Path) -> None:
        self._folder = folder
        self._here = here
        self._templates: dict[tuple[Sandbox, bool], Template] = {}
        self._reports: dict[str, Report] = {}

    def report(self, target: Target) -> Report:
        """Return the report on a submission; where no process can be started, the test fails."""
        key = _key(target)
        if key not in self._reports:
            data = self._kept(f"{key}.report", lambda: msgspec.json.encode(self._examined(target).report))
            self._reports[key] = msgspec.json.decode(data, type=Report)
        return self._reports[key]

    def graph(self, target: Target) -> Graph | None:
        """Return what a submission computes, None where that could not be captured: its report says why.

        It is captured by itself: a report needs no graph, and a graph no training.
        """
        untrained = replace(target, settings=replace(target.settings, train=False, export=True))
        data = self._kept(f"{_key(untrained)}.graph", lambda: msgspec.json.encode(self._examined(untrained).exported))
        exported = msgspec.json.decode(data, type=Exported | None)
        return None if exported is None else exported.graph

    def close(self) -> None:
        """End the processes that were started."""
        for template in self._templates.values():
            template.close()

    def _examined(self, target: Target) -> Grading:
        try:
            with working_in(self._here):
                return examine_in(self._template(target), target.shown, target.course, target.settings)
        except SandboxError as error:
            raise pytest.fail.Exception(f"s5-grade: {visible(str(error))}", pytrace=False) from None

    def _template(self, target: Target) -> Template:
        kind = (target.sandbox, target.settings.device == "cuda")
        if kind not in self._templates:
            self._templates[kind] = Template.start(sandbox=kind[0], gpu=kind[1])
        return self._templates[kind]

    def _kept(self, name: str, make: Callable[[], bytes]) -> bytes:
        """Return the content of a file in the shared folder, made by the first who asks while the others wait."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / name
        with _locked(path.with_suffix(f"{path.suffix}.lock")):
            if not path.exists():
                unfinished = path.with_suffix(f"{path.suffix}.new")
                unfinished.write_bytes(make())
                unfinished.replace(path)
            return path.read_bytes()


GRADINGS = pytest.StashKey[Gradings]()


def gradings_of(config: pytest.Config) -> Gradings:
    """Return the gradings of a run; what they start ends with it."""
    if GRADINGS not in config.stash:
        gradings = Gradings(Path(shared_folder(config)), config.invocation_params.dir)
        config.stash[GRADINGS] = gradings
        config.add_cleanup(gradings.close)
    return config.stash[GRADINGS]


def _key(target: Target) -> str:
    """Return a name for a target that all workers give it who run on the same interpreter."""
    course = [target.course.sha256, target.course.file]
    meaning = [sys.version, str(target.path), target.shown, course, target.settings, target.sandbox]
    return hashlib.sha256(msgspec.json.encode(meaning, order="deterministic")).hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that a dying process lets go of."""
    if sys.platform == "win32":  # where nothing is graded
        yield
        return
    import fcntl

    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
