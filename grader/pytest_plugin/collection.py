"""The tests of a submission, one for each rule: how pytest collects, runs and reports them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grader.pytest_plugin.gradings import gradings_of
from grader.pytest_plugin.targets import Target, configured
from grader.pytest_plugin.told import (
    Told,
    diagnostic,
    is_failure,
    properties,
    suite_properties,
    summary,
    told_here,
)
from grader.render import Options
from grader.render.escape import visible
from grader.report import OUTPUT, Report

GROUP = "s5"
TOLD = "s5_told"  # the attribute of a pytest report that holds a Told as JSON: a worker can send it


class SubmissionFile(pytest.File):
    """A submission in the tree of tests, below the session itself: nothing is imported for its sake."""

    def __init__(self, *, target: Target, **given: Any) -> None:
        super().__init__(**given)
        self.target = target

    def collect(self) -> Iterator[pytest.Collector]:
        yield RuleGroup.from_parent(self, name=GROUP, target=self.target)


class RuleGroup(pytest.Collector):
    """The rules that a submission is graded by."""

    def __init__(self, *, target: Target, **given: Any) -> None:
        super().__init__(**given)
        self.target = target

    def collect(self) -> Iterator[pytest.Item]:
        rules = self.target.course.rules
        names = [rule.id for rule in rules]
        if not any(use.check == OUTPUT for rule in rules for use in rule.checks):
            names.append(OUTPUT)  # which is always checked
        for place, name in enumerate(names):
            yield RuleItem.from_parent(self, name=name, target=self.target, place=place)


class RuleItem(pytest.Item):
    """One rule, or the check of the output: passed, failed, skipped, or, where there is no verdict, an error."""

    def __init__(self, *, target: Target, place: int, **given: Any) -> None:
        super().__init__(**given)
        self.target = target
        self.place = place
        self.see = ""
        self.told: Told | None = None
        self.add_marker(GROUP)

    @property
    def submission(self) -> str:
        return self.nodeid.rsplit("::", 2)[0]

    def setup(self) -> None:
        report = told_here(gradings_of(self.config).report(self.target))
        told = Told(self.submission, report, self.place, self.see if report.error is not None else "")
        self.told = told
        self.user_properties.extend(properties(told))
        if report.error is not None:
            pytest.fail(told.headline, pytrace=False)

    def runtest(self) -> None:
        assert self.told is not None  # `setup` has told it
        rule = self.told.rule
        if rule is None or rule.status == "pass":
            return
        if rule.status == "skipped":
            pytest.skip(self.told.headline)
        if is_failure(rule) or self.config.getoption("runxfail"):
            pytest.fail(self.told.headline, pytrace=False)
        undecided = "undecided: " if rule.status == "error" else ""
        pytest.xfail(f"{undecided}{self.told.headline}")  # a rule that is a warning does not decide

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, f"{GROUP}::{self.name}"


class Submissions:
    """The part of the plugin that takes part where a submission is to be graded."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.targets = {target.path: target for target in configured(config)}
        self.reports: dict[str, Report] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the submissions to those tests that pytest finds; one that an argument names is among them."""
        report = yield
        if isinstance(collector, pytest.Session):
            report.result += [
                self._collector(collector, target)
                for path, target in self.targets.items()
                if path.is_dir() or not collector.isinitpath(path)
            ]
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        """Never let a submission be collected, and so imported, as a module or for its doctests."""
        found = yield
        if file_path not in self.targets:
            return found
        session = parent.session
        return [self._collector(session, self.targets[file_path])] if session.isinitpath(file_path) else []

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Look for no tests in the folder of a submission, unless an argument names it."""
        return True if collection_path in self.targets and collection_path.is_dir() else None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Settle which test tells why a submission could not be graded: the first of it that runs."""
        first: dict[Path, str] = {}
        for item in session.items:
            if isinstance(item, RuleItem):
                teller = first.setdefault(item.path, item.nodeid)
                item.see = "" if teller == item.nodeid else teller

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if isinstance(item, RuleItem) and item.told is not None and report.when != "teardown":
            setattr(report, TOLD, msgspec.json.encode(item.told).decode())
            if report.skipped and not hasattr(report, "wasxfail"):
                report.longrepr = (*item.told.set_at, f"Skipped: {item.told.headline}")
        return report

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        told = _told(report)
        if told is None:
            return
        self.reports[told.submission] = told.report
        if report.failed or hasattr(report, "wasxfail"):
            report.longrepr = diagnostic(told)  # type: ignore[assignment]  # what pytest calls for is there

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """A rule that could not be decided counts as failed, in words of its own."""
        told = _told(report)
        if told is None or told.rule is None or told.rule.status != "error":
            return None
        return ("failed", "F", "UNDECIDED") if report.when == "call" and report.failed else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        """Add the verdicts to JUnit's XML, which pytest writes at this time."""
        plugins = self.config.pluginmanager.get_plugins()
        writer = next((plugin for plugin in plugins if hasattr(plugin, "add_global_property")), None)
        if writer is None:  # no XML is asked for, or this is a worker
            return
        for submission, report in self.reports.items():
            for name, value in suite_properties(submission, report):
                writer.add_global_property(name, value)

    def pytest_terminal_summary(self) -> None:
        writer = self.config.get_terminal_writer()
        options = Options(writer.fullwidth, writer.hasmarkup)
        for report in self.reports.values():
            writer.sep("=", f"s5-grade: {visible(report.submission.path)}")
            writer.write(summary(report, options, brief=self.config.get_verbosity() < 0))

    def _collector(self, session: pytest.Session, target: Target) -> pytest.Collector:
        given: dict[str, Any] = {"path": target.path, "target": target}
        root = self.config.rootpath
        if not target.path.is_relative_to(root):
            given["nodeid"] = os.path.relpath(target.path, root).replace(os.sep, "/")
        collector: pytest.Collector = SubmissionFile.from_parent(session, **given)
        return collector


def _told(report: Any) -> Told | None:
    data = getattr(report, TOLD, None)
    return None if data is None else msgspec.json.decode(data, type=Told)
