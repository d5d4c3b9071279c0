"""Watching: when a save is noticed, what a session answers to it, and what is shown."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from samples import LINEAR, SOURCE, graded, result, rule, rules, submission
from two_rules import report, ungraded

from grader import cli
from grader.cli import screen
from grader.cli.watching import watching
from grader.manifest import Submission
from grader.render.changes import Change, changes
from grader.report import UNUSED, Report, graded_report
from grader.rules import Rules, RulesError
from grader.sandbox import SandboxError
from grader.settings import Settings
from grader.watch import Began, Faulty, Graded, session, watch
from grader.watch.lookout import PATIENCE_SECONDS, SETTLE_SECONDS, Lookout, Sight

RULES = "rules:\n  - id: small\n    checks:\n      - parameters: {below: 20000}\n    points: 10\n"


# When a save is noticed


class Clock:
    """Stands still unless it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        assert self.now < 300, "this would wait for ever"


class Watcher:
    """A lookout over files in a folder of the test's, whose time the test makes pass."""

    def __init__(self, folder: Path, path: str = "model.py", rules: str | None = "rules.yaml") -> None:
        self.clock = Clock()
        self.lookout = Lookout(folder / path, None, None if rules is None else str(folder / rules), self.clock)
        assert self.sight(1.0) is None

    def sight(self, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> Sight | None:
        """Look for so long, and return what is noticed first; `meanwhile` happens between two looks."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            found = self.lookout.new()
            if found is not None:
                return found
            self.clock.sleep(self.lookout.pause)
            meanwhile()
        return None

    def delay(self, seconds: float) -> tuple[Sight | None, float]:
        """Return what is noticed, and after how long."""
        started = self.clock.now
        found = self.sight(seconds)
        return found, self.clock.now - started


def content(sight: Sight | None, file: str = "model.py") -> bytes | str | None:
    """Return what a sight shows of a file, or why it shows none."""
    if sight is None:
        return None
    return sight.submission.files.get(file) if isinstance(sight.submission, Submission) else sight.submission.code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.py").write_bytes(SOURCE)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def replaced(path: Path, data: bytes) -> None:
    beside = path.with_name(".saving")
    beside.write_bytes(data)
    beside.replace(path)


@pytest.mark.parametrize("write", [Path.write_bytes, replaced], ids=["written", "replaced"])
def test_a_save_is_noticed_when_it_rests(folder: Path, write: Any) -> None:
    watcher = Watcher(folder)
    write(folder / "model.py", SOURCE + b"# more\n")
    found, delay = watcher.delay(5)
    assert content(found) == SOURCE + b"# more\n"
    assert delay <= 3 * SETTLE_SECONDS
    assert watcher.sight(2) is None


def test_a_touch_is_no_save(folder: Path) -> None:
    watcher = Watcher(folder)
    (folder / "model.py").touch()
    os.utime(folder / "rules.yaml", (1, 1))
    replaced(folder / "model.py", SOURCE)
    assert watcher.sight(2) is None


def test_a_file_that_is_being_written_is_left_alone(folder: Path) -> None:
    watcher = Watcher(folder)
    path = folder / "model.py"
    lines = iter(range(40))

    def write() -> None:
        number = next(lines, None)
        if number is not None:
            path.write_bytes(path.read_bytes() + b"# line %d\n" % number)

    path.write_bytes(SOURCE)
    found = watcher.sight(5, write)
    assert content(found) == SOURCE + b"".join(b"# line %d\n" % number for number in range(40))
    assert watcher.sight(2) is None


def test_an_emptied_file_is_waited_for(folder: Path) -> None:
    watcher = Watcher(folder)
    (folder / "model.py").write_bytes(b"")
    assert watcher.sight(0.6 * PATIENCE_SECONDS) is None
    (folder / "model.py").write_bytes(SOURCE + b"# more\n")
    found, delay = watcher.delay(5)
    assert (content(found), delay <= 3 * SETTLE_SECONDS) == (SOURCE + b"# more\n", True)


def test_a_file_that_is_gone_for_a_moment_never_was(folder: Path) -> None:
    watcher = Watcher(folder)
    (folder / "model.py").unlink()
    assert watcher.sight(0.6 * PATIENCE_SECONDS) is None
    (folder / "model.py").write_bytes(SOURCE)
    assert watcher.sight(2) is None


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b" \n")


def grow(path: Path) -> None:
    path.write_bytes(b"#" * 10 * 1024 * 1024)


def become_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lock(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    path.chmod(0)


@pytest.mark.parametrize(
    ("harm", "code"),
    [(remove, "missing"), (empty, "empty"), (grow, "too-large"), (become_folder, "no-model"), (lock, "unreadable")],
)
def test_what_stays_wrong_is_told(folder: Path, harm: Any, code: str) -> None:
    watcher = Watcher(folder)
    path = folder / "model.py"
    harm(path)
    found, delay = watcher.delay(5)
    assert content(found) == code
    assert PATIENCE_SECONDS <= delay <= PATIENCE_SECONDS + 0.1
    assert watcher.sight(2) is None
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(SOURCE)
    found, delay = watcher.delay(5)
    assert (content(found), delay <= 3 * SETTLE_SECONDS) == (SOURCE, True)


def test_a_file_that_is_not_there_yet(folder: Path) -> None:
    (folder / "model.py").unlink()
    watcher = Watcher(folder)
    assert content(watcher.lookout.first) == "missing"
    (folder / "model.py").write_bytes(SOURCE)
    assert content(watcher.sight(5)) == SOURCE


def test_files_beside_the_model_count(folder: Path) -> None:
    watcher = Watcher(folder)
    (folder / "blocks.py").write_text("a = 1\n")
    assert content(watcher.sight(5), "blocks.py") == b"a = 1\n"
    (folder / "blocks.py").write_text("a = 2\n")
    assert content(watcher.sight(5), "blocks.py") == b"a = 2\n"
    (folder / "parts").mkdir()
    (folder / "parts" / "stem.py").write_text("b = 1\n")
    assert content(watcher.sight(5), "parts/stem.py") == b"b = 1\n"
    (folder / "notes.txt").write_text("nothing to grade\n")
    assert watcher.sight(2) is None
    (folder / "blocks.py").unlink()
    found, delay = watcher.delay(5)
    assert (content(found, "blocks.py"), delay >= PATIENCE_SECONDS) == (None, True)


def test_a_folder_and_what_is_in_it(folder: Path) -> None:
    (folder / "model.py").rename(folder / "one.py")
    (folder / "one.py").write_text("print('no model')\n")
    (folder / "other.py").write_text("print('none either')\n")
    watcher = Watcher(folder, ".")
    assert content(watcher.lookout.first) == "no-model"
    (folder / "other.py").write_bytes(SOURCE)
    assert content(watcher.sight(5), "other.py") == SOURCE
    (folder / "third.py").write_bytes(SOURCE.replace(b"Net", b"Third"))
    assert content(watcher.sight(5)) == "ambiguous"


def test_a_notebook(folder: Path) -> None:
    (folder / "work.ipynb").write_text("{}")
    watcher = Watcher(folder, "work.ipynb")
    (folder / "work.ipynb").write_text('{"cells": []}')
    assert content(watcher.sight(5), "work.ipynb") == b'{"cells": []}'


def test_a_path_through_a_link(folder: Path) -> None:
    (folder / "link.py").symlink_to("model.py")
    watcher = Watcher(folder, "link.py")
    (folder / "model.py").write_bytes(SOURCE + b"# more\n")
    assert content(watcher.sight(5), "link.py") == SOURCE + b"# more\n"


def shown_rules(sight: Sight | None) -> object:
    if sight is None:
        return None
    return sight.rules.title if isinstance(sight.rules, Rules) else str(sight.rules).rpartition("/")[2]


def test_rules_and_what_they_extend_count(folder: Path) -> None:
    (folder / "rules.yaml").write_text("extends: base.yaml\n")
    watcher = Watcher(folder)
    assert shown_rules(watcher.lookout.first) == "rules.yaml:1:10: extends 'base.yaml': there is no such file"
    (folder / "base.yaml").write_text("title: one\n" + RULES)
    assert shown_rules(watcher.sight(5)) == "one"
    (folder / "base.yaml").write_text("title: two\n" + RULES)
    assert shown_rules(watcher.sight(5)) == "two"
    (folder / "rules.yaml").write_text("extends: base.yaml\ntitel: three\n")
    assert shown_rules(watcher.sight(5)).startswith("rules.yaml:2:1: ")  # type: ignore[union-attr, attr-defined]
    (folder / "rules.yaml").write_text("extends: base.yaml\ntitle: three\n")
    assert shown_rules(watcher.sight(5)) == "three"


def test_rules_that_are_being_saved(folder: Path) -> None:
    watcher = Watcher(folder)
    (folder / "rules.yaml").write_text("")
    assert watcher.sight(0.6 * PATIENCE_SECONDS) is None
    (folder / "rules.yaml").write_text("title: new\n" + RULES)
    assert shown_rules(watcher.sight(5)) == "new"


# What a session answers


class FakeTemplate:
    """A template that dies as often as it is told to; it knows who heeds."""

    started: ClassVar[list[FakeTemplate]] = []

    def __init__(self) -> None:
        self.heed: Callable[[], None] = lambda: None
        self.closed = False
        self.started.append(self)

    @classmethod
    def start(cls, **options: Any) -> FakeTemplate:
        return cls()

    def close(self) -> None:
        self.closed = True


class Examiner:
    """Stands in for `examine_submission`: returns a report on the bytes it is given, or does what it was made for."""

    def __init__(self, *turns: Any) -> None:
        self.turns = list(turns)
        self.given: list[bytes] = []

    def __call__(self, template: FakeTemplate, given: Submission, course: Rules, settings: Settings) -> Any:
        data = given.files[given.entry]
        self.given.append(data)
        turn = self.turns.pop(0) if self.turns else None
        if isinstance(turn, Exception):
            raise turn
        if turn is not None:
            turn(template)
        return type("Grading", (), {"report": report(drop="fail" if data == SOURCE else "pass")})


@pytest.fixture
def clock() -> Clock:
    return Clock()


def examined(monkeypatch: pytest.MonkeyPatch, *turns: Any) -> Examiner:
    examiner = Examiner(*turns)
    FakeTemplate.started = []
    monkeypatch.setattr(session, "examine_submission", examiner)
    monkeypatch.setattr(session, "Template", FakeTemplate)
    return examiner


def watched(folder: Path, clock: Clock, sandbox: Any = "auto") -> Any:
    path = folder / "model.py"
    return watch(path, str(folder / "rules.yaml"), Settings(), sandbox=sandbox, clock=clock, sleep=clock.sleep)


def test_a_report_for_each_save(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch)
    events = watched(folder, clock)
    assert [next(events), next(events)] == [Began(), Graded(report(drop="fail"), 0.0, None)]
    (folder / "model.py").write_bytes(SOURCE + b"# more\n")
    expected = changes(report(drop="fail"), report())
    assert [next(events), next(events)] == [Began(), Graded(report(), 0.0, expected)]
    (template,) = FakeTemplate.started
    assert not template.closed
    events.close()
    assert template.closed


def test_a_save_ends_the_grading_under_way(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    path = folder / "model.py"

    def save(template: FakeTemplate) -> None:
        path.write_bytes(SOURCE + b"# newer\n")
        for _ in range(100):
            clock.sleep(0.05)
            template.heed()
        raise AssertionError("nobody interrupts")

    examiner = examined(monkeypatch, save)
    events = watched(folder, clock)
    assert [next(events), next(events), next(events)] == [Began(), Began(), Graded(report(), 0.0, None)]
    assert examiner.given == [SOURCE, SOURCE + b"# newer\n"]
    assert len(FakeTemplate.started) == 1


def test_a_touch_does_not_end_a_grading(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    def touch(template: FakeTemplate) -> None:
        (folder / "model.py").touch()
        for _ in range(100):
            clock.sleep(0.05)
            template.heed()

    examined(monkeypatch, touch)
    events = watched(folder, clock)
    assert [next(events), next(events)] == [Began(), Graded(report(drop="fail"), pytest.approx(5.0), None)]


def test_a_template_that_died_is_started_again(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch, SandboxError("the template process ended"))
    events = watched(folder, clock)
    expected = Graded(report(drop="fail"), 0.0, None, "the template process ended")
    assert [next(events), next(events)] == [Began(), expected]
    assert [template.closed for template in FakeTemplate.started] == [True, False]


def test_a_file_that_no_template_survives_is_reported(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch, None, SandboxError("once"), SandboxError("twice"))
    events = watched(folder, clock)
    assert [type(next(events)), type(next(events))] == [Began, Graded]
    (folder / "model.py").write_bytes(SOURCE + b"# kills\n")
    assert next(events) == Began()
    error = next(events).report.error
    assert (error.code, error.message) == ("internal", "twice")
    (folder / "model.py").write_bytes(SOURCE + b"# does not\n")
    assert [next(events), next(events).report] == [Began(), report()]


def test_a_machine_that_cannot_grade_is_told_at_once(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch, SandboxError("no torch"), SandboxError("no torch"))
    events = watched(folder, clock)
    assert next(events) == Began()
    with pytest.raises(SandboxError, match=r"^no torch$"):
        next(events)
    assert [template.closed for template in FakeTemplate.started] == [True, True]


def test_a_fault_of_the_grader_is_a_report(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch, ValueError("never thought of"))
    events = watched(folder, clock)
    assert next(events) == Began()
    error = next(events).report.error
    assert (error.code, error.message) == ("internal", "a fault of s5-grade: ValueError: never thought of")
    assert error.error.endswith("ValueError: never thought of\n")
    (folder / "model.py").write_bytes(SOURCE + b"# more\n")
    assert [next(events), next(events).report] == [Began(), report()]


def test_faulty_rules_are_told_and_watched(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch)
    (folder / "rules.yaml").write_text("rules: 3\n")
    events = watched(folder, clock)
    assert next(events) == Began()
    faulty = next(events)
    assert isinstance(faulty, Faulty)
    assert [problem.mark.line for problem in faulty.error.problems] == [1]
    (folder / "rules.yaml").write_text(RULES)
    assert [next(events), next(events)] == [Began(), Graded(report(drop="fail"), 0.0, None)]


def test_a_missing_file_is_a_report(folder: Path, clock: Clock, monkeypatch: Any) -> None:
    examined(monkeypatch)
    (folder / "model.py").unlink()
    events = watched(folder, clock)
    assert [next(events), next(events).report.error.code] == [Began(), "missing"]


# What is shown


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen.time, "strftime", lambda form: "12:00:00")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")


def failing() -> Report:
    results = graded(result("linear", "fail", LINEAR.message, LINEAR))
    return graded_report(rules(rule("a", "linear")), submission(), results, UNUSED, trained=False)


SAVED = Graded(failing(), 0.2149, (Change("better", "fixed: dropout"), Change("better", "score 20 → 80")))
GONE = Graded(ungraded("missing", "there is no file"), 0.0, ())


def test_lines_for_an_editor(noon: None) -> None:
    show = screen.screen("concise", None, "model.py")
    assert show(Began()) == "s5-grade: grading model.py\n"
    assert show(SAVED) == (
        "model.py:10:16: error[a] a linear layer makes the prediction\n"
        "s5-grade: fail, 0 of 20 points, graded in 0.21 s (fixed: dropout; score 20 → 80)\n"
    )
    assert show(GONE) == (
        "model.py: error[missing] there is no file\ns5-grade: error, graded in 0.00 s, waiting for it to come back\n"
    )


def test_faulty_rules_as_lines(noon: None, folder: Path) -> None:
    show = screen.screen("concise", None, "model.py")
    (folder / "rules.yaml").write_text("rules: 3\n")
    sight = Lookout(folder / "model.py", None, str(folder / "rules.yaml"), Clock()).first
    assert isinstance(sight.rules, RulesError)
    first, last = show(Faulty(sight.rules)).splitlines()
    assert re.sub("^.*/", "", first).startswith("rules.yaml:1:8: error[rules] ")
    assert last == "s5-grade: error, not graded: the rules are faulty"


def test_pages_one_below_the_other(noon: None) -> None:
    show = screen.screen("terminal", None, "model.py")  # under pytest stdout is no terminal
    first = show(Graded(report(), 1.2, None))
    assert first == (
        "model.py, 12:00:00, graded in 1.20 s\n\n"
        "Checked model.py (class Net) against rules.yaml\n\n"
        "ok[size]: parameters is pass\nok[drop]: dropout is pass\n\n2 passed. 40 of 40 points.\n"
    )
    assert show(Began()) == ""
    second = show(Graded(report(), 0.2, (Change("other", "parameters 1 → 2"),), "it ended"))
    assert second == (
        f"\n{'─' * 60}\n\nmodel.py, 12:00:00, graded in 0.20 s\ns5-grade: started again, as it ended\n\n"
        "since the last save:\n  parameters 1 → 2\n\n" + first.partition("\n\n")[2]
    )


def test_pages_that_take_each_others_place(noon: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(screen.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show = screen.screen("terminal", None, "mo\x1bdel.py")
    assert show(Began()) == "\n" * 24 + "\x1b[H\x1b[J\ngrading mo\\x1bdel.py …\n"
    short = show(Graded(report(), 0.2, ()))
    assert short.startswith("\x1b[H\x1b[Jmo\\x1bdel.py, 12:00:00, graded in 0.20 s\n\nsince the last save: no change")
    assert short.endswith("2 passed. 40 of 40 points.\n\nmo\\x1bdel.py: watching. Ctrl-C ends.\n")
    assert show(Began()) == "\ngrading mo\\x1bdel.py …\n"
    assert show(GONE).endswith("was not graded.\n\nmo\\x1bdel.py: waiting for it to come back. Ctrl-C ends.\n")
    monkeypatch.setenv("LINES", "12")
    assert show(SAVED).count("since the last save:\n  fixed: dropout\n  score 20 → 80\n") == 2
    assert "\x1b" not in show(SAVED).removeprefix(screen.CLEAR)


def test_a_dumb_terminal_gets_no_codes(noon: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(screen.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    show = screen.screen("terminal", None, "model.py")
    assert [show(Began()), "\x1b" in show(SAVED)] == ["", False]


def test_the_outcome_where_the_report_goes_to_a_file(noon: None) -> None:
    show = screen.screen("html", "report.html", "model.py")
    assert show(Graded(report(), 1.2, None)) == ("model.py, 12:00:00, graded in 1.20 s\n\n2 passed. 40 of 40 points.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--train"], "--watch answers at once and --train takes minutes: train when the other rules are met"),
        (["--format", "json"], "--watch shows terminal, text, concise; for json name a file: --also json=FILE"),
        (["--also", "json=absent/report.json"], "absent/report.json: there is no folder absent"),
    ],
)
def test_refused_beside_watch(
    arguments: list[str], message: str, capsys: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code = cli.run(["model.py", "--watch", *arguments])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert " ".join(captured.err.replace("│", " ").split()).endswith(message)


def played(monkeypatch: pytest.MonkeyPatch, *events: Any) -> Callable[..., int]:
    """Return `watching` where these events happen, exceptions are raised, and then the user ends it."""

    def watch(*given: Any, **options: Any) -> Iterator[Any]:
        for event in events:
            if isinstance(event, BaseException):
                raise event
            yield event
        raise KeyboardInterrupt

    monkeypatch.setattr("grader.cli.watching.watch", watch)

    def run(*targets: tuple[str, str | None]) -> int:
        return watching(list(targets), path="model.py", rules=None, sandbox="auto", pairs=(), train=False)

    return run


def test_the_exit_code_is_that_of_the_last_report(monkeypatch: Any, capsys: Any, folder: Path) -> None:
    sight = Lookout(folder / "model.py", None, str(folder / "absent.yaml"), Clock()).first
    assert isinstance(sight.rules, RulesError)
    passed, failed, unread = Graded(report(), 0, None), Graded(failing(), 0, None), Graded(ungraded(), 0, None)
    internal = Graded(ungraded("internal"), 0, None)
    codes = [
        played(monkeypatch, *events)(("concise", None))
        for events in (
            [],
            [Began()],
            [Began(), failed, Began(), passed],
            [Began(), passed, Began(), failed],
            [Began(), failed, Began()],
            [Began(), passed, Began(), unread],
            [Began(), internal],
            [Began(), passed, Began(), Faulty(sight.rules)],
        )
    ]
    assert codes == [130, 130, 0, 1, 1, 3, 4, 2]


def test_files_are_written_after_each_grading(monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "report.json", tmp_path / "report.txt"
    seen: list[tuple[str, str]] = []

    class Looking(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            for event in super().__iter__():
                yield event
                if isinstance(event, Graded):
                    seen.append((first.read_text(), second.read_text()))

    monkeypatch.setattr("grader.cli.watching.watch", lambda *given, **options: _closable(Looking([SAVED, GONE])))
    code = watching(
        [("json", str(first)), ("text", str(second))],
        path="model.py",
        rules=None,
        sandbox="auto",
        pairs=(),
        train=False,
    )
    verdicts = [json.loads(text)["verdict"] for text, _ in seen]
    assert (code, verdicts) == (3, ["fail", "error"])
    assert [text.splitlines()[-1] for _, text in seen] == [
        "1 failed. 0 of 20 points.",
        "model.py was not graded.",
    ]


def _closable(events: Any) -> Iterator[Any]:
    yield from events


def test_a_file_that_cannot_be_written_is_told(monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    run = played(monkeypatch, SAVED)
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.setattr("grader.cli.watching.refuse_unwritable", lambda output: folder.rmdir())
    assert run(("text", str(folder / "report.txt"))) == 1
    captured = capsys.readouterr()
    assert captured.err == f"s5-grade: {folder}/report.txt was not written: No such file or directory\n"
    assert captured.out.endswith("1 failed. 0 of 20 points.\n")
