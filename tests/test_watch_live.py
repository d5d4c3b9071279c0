"""Watching for real: a process, a file that is saved, and what comes out."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grader.cli.screen import CLEAR

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = (ROOT / "reference_model" / "model.py").read_text("utf-8")
FIRST_TRY = (ROOT / "examples" / "first_try.py").read_text("utf-8")
HANGING = FIRST_TRY.replace("        x = self.drop(x)", "        while True: pass\n        x = self.drop(x)")
CRASHING = FIRST_TRY.replace("        x = self.drop(x)", "        import os; os.abort()\n        x = self.drop(x)")
PATIENCE = 120.0  # seconds; nothing is measured here

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="submissions cannot be confined on Windows")


class Watching:
    """A process that watches, and what it has written and was not looked at yet."""

    def __init__(self, process: subprocess.Popen[bytes], output: int) -> None:
        self.process = process
        self._output = output
        self._unseen = b""

    def until(self, end: str) -> str:
        """Return what comes out up to a text."""
        deadline = time.monotonic() + PATIENCE
        while end.encode() not in self._unseen:
            ready, _, _ = select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._output, 65536) if ready else b""
            assert data, f"{end!r} did not come, but {self._unseen.decode()!r}"
            self._unseen += data
        seen, found, self._unseen = self._unseen.partition(end.encode())
        return (seen + found).decode()

    def end(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(folder: Path, *arguments: str, terminal: bool = False) -> Iterator[Watching]:
    ours, theirs = pty.openpty() if terminal else os.pipe()
    temporary = folder / "tmp"
    temporary.mkdir()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(temporary),
        "TERM": "xterm",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "grader.cli", "--watch", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.STDOUT,
    )
    os.close(theirs)
    try:
        yield Watching(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def descendants(process: int) -> list[int]:
    children = [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [*children, *(other for child in children for other in descendants(child))]


def save(path: Path, text: str) -> None:
    beside = path.with_name(".saving")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text(FIRST_TRY, encoding="utf-8")
    return path


def test_saves_errors_and_the_end(model: Path) -> None:
    with watching(model.parent, "model.py", "--also", "json=report.json") as running:
        first = running.until("3 failed, 1 passed, 1 skipped. 20 of 80 points.\n")
        assert "since the last save" not in first
        save(model, FIRST_TRY.replace("nn.Dropout(0)", "nn.Dropout(0.05)"))
        second = running.until("2 failed, 2 passed, 1 skipped. 40 of 80 points.\n")
        assert "since the last save:\n  fixed: dropout\n  dropout 0 → 1\n  score 20 → 40\n" in second
        save(model, FIRST_TRY + "def broken(:\n")
        assert "  new: syntax: " in running.until("model.py was not graded.\n")
        model.unlink()
        assert "  new: missing: " in running.until("model.py was not graded.\n")
        model.mkdir()
        running.until("model.py was not graded.\n")
        model.rmdir()
        save(model, CRASHING)
        assert "  new: crash: " in running.until("model.py was not graded.\n")
        save(model, REFERENCE)
        last = running.until("4 passed, 1 skipped. 80 of 80 points.\n")
        assert "parameters 33,882 → 8,932 (−24,950)\n" in last
        assert "\x1b" not in first + second + last
        assert running.end() == 0
    assert '"verdict": "pass"' in (model.parent / "report.json").read_text("utf-8")
    assert list((model.parent / "tmp").iterdir()) == []


def test_a_save_ends_a_submission_that_hangs(model: Path) -> None:
    model.write_text(HANGING, encoding="utf-8")
    with watching(model.parent, "model.py", "--format", "concise", "--timeout", "3600") as running:
        running.until("s5-grade: grading model.py\n")
        time.sleep(1)  # it may run by then, or not yet: the answer is the same
        save(model, REFERENCE)
        assert running.until("80 of 80 points").endswith("s5-grade: grading model.py\ns5-grade: pass, 80 of 80 points")
        assert running.end(signal.SIGTERM) == 0
    assert list((model.parent / "tmp").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are found in /proc")
def test_a_template_that_was_killed_is_started_again(model: Path) -> None:
    with watching(model.parent, "model.py", "--format", "concise") as running:
        running.until("20 of 80 points")
        for process in reversed(descendants(running.process.pid)):  # the template, and what is put around it
            os.kill(process, signal.SIGKILL)
        save(model, REFERENCE)
        found = running.until("80 of 80 points")
        assert "s5-grade: started again, as the template process ended with " in found
        assert running.end() == 0


def test_faulty_rules_are_watched(model: Path) -> None:
    own = model.parent / "rules.yaml"
    own.write_text("rules: 3\n")
    with watching(model.parent, "model.py", "--format", "concise", "--rules", "rules.yaml") as running:
        assert "rules.yaml:1:8: error[rules] " in running.until("not graded: the rules are faulty\n")
        own.write_text("extends: default\ntitle: mine\n")
        running.until("s5-grade: fail, 20 of 80 points")
        own.write_text("extends: default\nwithout: [gap-no-linear]\ntitel: mine\n")
        assert "rules.yaml:3:1: error[rules] " in running.until("not graded: the rules are faulty\n")
        assert running.end() == 2


def test_a_terminal_is_drawn_again(model: Path) -> None:
    with watching(model.parent, "model.py", terminal=True) as running:
        first = running.until("model.py: watching. Ctrl-C ends.\r\n")
        assert first.count(CLEAR) == 2  # to begin with, and for the page
        save(model, REFERENCE)
        second = running.until("model.py: watching. Ctrl-C ends.\r\n")
        assert second.startswith("\r\ngrading model.py …\r\n" + CLEAR + "model.py, ")
        assert second.count(CLEAR) == 1
        assert running.end() == 0


def test_a_reader_that_goes_away_ends_it(model: Path) -> None:
    command = [sys.executable, "-m", "grader.cli", "--watch", "--format", "concise", "model.py"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=model.parent
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert (process.wait(PATIENCE), process.stderr.read()) == (1, b"")


PAGE = (ROOT / "docs" / "watch.md").read_text("utf-8")
LINES = """\
s5-grade: grading work/model.py
work/model.py:19:13: error[gap-no-linear] no pooling: [16, 14, 14] stays
work/model.py:7: warning[drop] still on: in eval mode
work/model.py: undecided[accuracy] could not be confirmed
rules.yaml:1:8: error[rules] expected a list
s5-grade: fail, 20 of 80 points, graded in 0.19 s (new: dropout)
s5-grade: error, not graded: the rules are faulty
"""
FOUND = [
    ("work/model.py", 19, 13, "gap-no-linear", "no pooling: [16, 14, 14] stays"),
    ("work/model.py", 7, 0, "drop", "still on: in eval mode"),
    ("rules.yaml", 1, 8, "rules", "expected a list"),
]


def test_the_problem_matcher_of_the_page() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    matcher = json.loads(block)["tasks"][0]["problemMatcher"]
    pattern, background = matcher["pattern"], matcher["background"]
    matches = [match for line in LINES.splitlines() if (match := re.search(pattern["regexp"], line))]
    fields = ("file", "line", "column", "code", "message")
    rows = [[match[pattern[field]] for field in fields] for match in matches]
    assert [(file, int(line), int(column or 0), *rest) for file, line, column, *rest in rows] == FOUND
    marks = [
        [line[:20] for line in LINES.splitlines() if re.search(background[name], line)]
        for name in ("beginsPattern", "endsPattern")
    ]
    assert marks == [["s5-grade: grading wo"], ["s5-grade: fail, 20 o", "s5-grade: error, not"]]


@pytest.mark.skipif(shutil.which("vim") is None, reason="there is no Vim")
def test_the_errorformat_of_the_page(tmp_path: Path) -> None:
    (setting,) = re.findall(r"^set errorformat=.*$", PAGE, re.MULTILINE)
    (tmp_path / "lines").write_text(LINES)
    script = (
        f"{setting}\ncgetfile lines\n"
        "call writefile([json_encode(map(getqflist(), '[bufname(v:val.bufnr), v:val.lnum, v:val.col, v:val.text]'))],"
        " 'found')\nqall!\n"
    )
    (tmp_path / "script").write_text(script)
    subprocess.run(
        ["vim", "-e", "-s", "-N", "-u", "NONE", "-S", "script"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=PATIENCE,
    )
    found = json.loads((tmp_path / "found").read_text())
    assert found == [[file, line, column, f"[{code}] {text}"] for file, line, column, code, text in FOUND]
