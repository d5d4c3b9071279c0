"""A class on this machine: what grades several submissions at a time, good ones and bad ones side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from grader.classroom.engine import EngineError, Local, bench
from grader.classroom.types import Course, Done, Job
from grader.datasets import Source
from grader.grade import Grading, examine_submission
from grader.manifest import Submission
from grader.report import Report
from grader.rules import read_rules
from grader.sandbox import SandboxError, Template
from grader.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "reference_model" / "model.py").read_text("utf-8")
COURSE = Course(read_rules(None), Settings(timeout=6))

HEAD = """
import ctypes, os, signal, threading, time
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
"""
TAIL = """
    def forward(self, x):
        return self.conv(x).mean((2, 3))
"""

# Each bad submission: what its constructor does, and the codes of errors that may come of it.
# Where the machine is busy, time can run out first, or memory for the stacks of threads.
BAD = {
    "hangs": ("while True: pass", {"timeout"}),
    "sleeps": ("time.sleep(600)", {"timeout"}),
    "stops itself": ("os.kill(os.getpid(), signal.SIGSTOP)", {"timeout"}),
    "writes for ever": ("while True: os.write(1, bytes(65536)) + os.write(2, b'x')", {"timeout"}),
    "crashes": ("ctypes.string_at(0)", {"crash"}),
    "exits": ("os._exit(0)", {"crash"}),
    "closes its channel": ("os.close(3); time.sleep(600)", {"crash"}),
    "writes to its channel": ("os.write(3, b'x' * 64)", {"malformed"}),
    "forks": ("while True: os.fork()", {"constructor"}),
    "takes memory": ("self.all = [bytearray(2**24) for _ in range(2**20)]", {"limit", "timeout"}),
    "starts threads": (
        "for _ in range(4000): threading.Thread(target=time.sleep, args=(600,)).start()",
        {"limit", "constructor"},
    ),
}


def bad(statement: str) -> str:
    return f"{HEAD}        {statement}\n{TAIL}"


def job(key: str, source: str, *, train: bool = False) -> Job:
    return Job(key, Submission(f"{key}.py", "", f"{key}.py", {f"{key}.py": source.encode()}), train)


def graded(jobs: list[Job], course: Course = COURSE, *, at_a_time: int = 4, sandbox: Any = "auto") -> dict[str, Report]:
    with Local(course, at_a_time, sandbox) as engine:
        return reports(engine.grade(iter(jobs)))


def reports(results: Iterator[Done]) -> dict[str, Report]:
    found: dict[str, Report] = {}
    for done in results:
        assert done.key not in found
        found[done.key] = done.report
    return found


def codes(found: dict[str, Report]) -> dict[str, str]:
    return {key: report.error.code if report.error else report.verdict for key, report in found.items()}


def children(pid: int) -> list[int]:
    try:
        lists = [(task / "children").read_text("ascii") for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has ended
        return []
    return [int(child) for line in lists for child in line.split()]


def descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *descendants(child))]


def nurseries(pid: int) -> list[int]:
    """Return the templates below a process: their children, forked and never another program, look like them."""
    return [one for child in children(pid) for one in ([child] if is_nursery(child) else nurseries(child))]


def is_nursery(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"nursery" in line and b"bwrap" not in line.split(b"\0")[0]


def gone(pids: list[int], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def settled(value: Callable[[], Any], expected: Any, seconds: float = 10.0) -> Any:
    """Wait for a value to become what is expected, and return what it is at last."""
    deadline = time.monotonic() + seconds
    while (found := value()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


# Good ones and bad ones


def test_bad_submissions_leave_the_good_ones_as_they_are() -> None:
    good = [job(f"good{number}", REFERENCE) for number in range(4)]
    hostile = [job(name, bad(statement)) for name, (statement, _) in BAD.items()]
    mixed = [each for number, one in enumerate(hostile) for each in (*good[number : number + 1], one)]
    found = graded(mixed)
    with Template.start(sandbox="auto") as template:
        alone = {
            each.key: examine_submission(template, each.submission, COURSE.rules, COURSE.settings).report
            for each in good
        }
    assert {each.key: found[each.key] for each in good} == alone
    assert {name: codes(found)[name] for name, (_, expected) in BAD.items() if codes(found)[name] not in expected} == {}


def test_each_job_says_whether_its_model_is_trained() -> None:
    course = replace(COURSE, settings=replace(COURSE.settings, budget=0.2))
    found = graded([job("static", REFERENCE), job("trained", REFERENCE, train=True)], course, at_a_time=2)
    assert {key: report.training is not None for key, report in found.items()} == {"static": False, "trained": True}
    assert [report.reproduce.command for _, report in sorted(found.items())] == [
        "s5-grade static.py --timeout 6",
        "s5-grade trained.py --timeout 6 --train --budget 0.2 --threads 1 --seed 1",
    ]


# How jobs are taken, and results given


def test_jobs_are_taken_no_earlier_than_they_are_about_to_be_graded(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def jobs() -> Iterator[Job]:
        for number in range(20):
            taken.append(f"{number}")
            yield job(f"{number}", REFERENCE)

    monkeypatch.setattr(bench, "examine_submission", told)
    with Local(COURSE, 2, "off") as engine:
        ahead = [len(taken) - given for given, _ in enumerate(engine.grade(jobs()))]
    assert (taken, max(ahead)) == ([f"{number}" for number in range(20)], 2 + 2)


def test_a_result_is_there_as_soon_as_it_is_made() -> None:
    with Local(COURSE, 2, "off") as engine:
        slow = [job("slow", bad("time.sleep(2)")), *(job(f"{number}", REFERENCE) for number in range(2))]
        assert [done.key for done in engine.grade(iter(slow))] == ["0", "1", "slow"]
        assert engine.shown == "2 at a time on this machine"


def told(template: Template, submission: Submission, *rest: Any) -> Grading:
    """Stand in for a grading, by what the submission's name says."""
    what = submission.entry.removesuffix(".py")
    if what == "sandbox":
        raise SandboxError("no process could be started: Resource temporarily unavailable")
    if what == "fault":
        raise ZeroDivisionError("division by zero")
    return Grading(msgspec.structs.replace(REPORT, verdict="pass", error=None), submission)


REPORT = bench.failed(COURSE, COURSE.settings, job("model", ""), "")


# Faults of the machine and of the grader


def test_a_fault_with_one_job_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "examine_submission", told)
    found = graded([job(key, "") for key in ("sandbox", "one", "fault", "two")], sandbox="off")
    assert codes(found) == {"sandbox": "internal", "one": "pass", "fault": "internal", "two": "pass"}
    reasons = {
        "sandbox": "no process could be started: Resource temporarily unavailable",
        "fault": "ZeroDivisionError: division by zero",
    }
    assert {key: found[key].error.message for key in reasons} == {  # type: ignore[union-attr]
        key: f"the submission could not be graded, after a second try: {reason}" for key, reason in reasons.items()
    }


def test_when_the_template_dies_what_was_under_way_is_graded_again() -> None:
    jobs = [job(f"{number}", REFERENCE) for number in range(7)]
    with Local(COURSE, 4, "auto") as engine:
        results = engine.grade(iter(jobs))
        first = next(results)
        (template,) = nurseries(os.getpid())
        os.kill(template, signal.SIGKILL)
        found = {first.key: first.report, **reports(results)}
        assert len(nurseries(os.getpid())) == 1
    assert codes(found) == dict.fromkeys([each.key for each in jobs], "pass")


def test_a_submission_that_ends_the_template_ends_only_its_own_the_second_time() -> None:
    """Unconfined: a confined submission can't send a signal."""
    killer = job("killer", bad("time.sleep(0.3); os.kill(os.getppid(), signal.SIGKILL); time.sleep(600)"))
    found = graded([job("0", REFERENCE), killer, job("1", REFERENCE), job("2", REFERENCE)], at_a_time=3, sandbox="off")
    assert codes(found) == {"0": "pass", "1": "pass", "2": "pass", "killer": "internal"}
    assert found["killer"].error is not None
    assert found["killer"].error.message == (
        "the submission could not be graded, after a second try: the template process ended with signal 9 (SIGKILL)"
    )


def test_where_no_sealed_level_can_be_had_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Template, "start", partial(Template.start, layers=("limits", "seccomp")))
    with pytest.raises(EngineError) as error, Local(COURSE, 2, "strict"):
        pass
    assert str(error.value) == (
        "not run: the sandbox must be sealed, and this machine gives a part of it. What is missing: it could "
        "read a file (no layer against it was asked for). Use Linux 5.13 or newer with Landlock (kernel parameter "
        "lsm=landlock,…), or install bubblewrap. On files that you trust, --sandbox=auto takes what there is."
    )
    assert descendants(os.getpid()) == []


def test_where_models_cannot_be_trained_as_asked_nothing_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("grader.classroom.engine.readiness.GPUS", ("/no/such/device*",))
    on_gpu = replace(COURSE, settings=Settings(train=True, device="cuda"))
    elsewhere = replace(COURSE.rules.input, dataset=Source("images.npz", folder=str(tmp_path)))
    without = Course(replace(COURSE.rules, input=elsewhere), Settings(train=True))
    for course, problem in ((on_gpu, "there is no CUDA device here"), (without, "images.npz: there is no such file")):
        with pytest.raises(EngineError, match=problem), Local(course, 1, "off"):
            pass
    assert descendants(os.getpid()) == []


def test_where_no_process_can_be_started_nothing_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Template, "start", partial(Template.start, preload=("no_such_thing",)))
    with pytest.raises(EngineError) as error, Local(COURSE, 2, "off"):
        pass
    assert str(error.value) == (
        "no_such_thing could not be imported: ModuleNotFoundError: No module named 'no_such_thing'"
    )


# Ends


def test_leaving_early_ends_what_is_under_way_and_the_engine_can_be_used_again() -> None:
    with Local(COURSE, 2, "auto") as engine:
        before = descendants(os.getpid())
        results = engine.grade(
            iter([job("0", REFERENCE), *(job(f"hangs{n}", bad("while True: pass")) for n in range(5))])
        )
        assert next(results).key == "0"
        began = time.monotonic()
        results.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 3
        assert settled(lambda: descendants(os.getpid()), before) == before
        assert codes(reports(engine.grade(iter([job("1", REFERENCE)])))) == {"1": "pass"}
    assert descendants(os.getpid()) == []


def test_closing_while_results_are_awaited_ends_all_of_it() -> None:
    engine = Local(COURSE, 2, "auto")
    with engine:
        results = engine.grade(
            iter([job("0", REFERENCE), *(job(f"hangs{n}", bad("while True: pass")) for n in range(5))])
        )
        next(results)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    assert descendants(os.getpid()) == []
    results.close()  # type: ignore[attr-defined]


def test_ctrl_c_ends_a_class_at_once_and_leaves_no_process() -> None:
    program = f"""
        import sys; sys.path[:0] = [{str(ROOT / "tests")!r}, {str(ROOT)!r}]
        import test_class_engine as t
        hanging = (t.job(f"hangs{{n}}", t.bad("while True: pass")) for n in range(9))
        with t.Local(t.COURSE, 3, "auto") as engine:
            print("began", flush=True)
            t.reports(engine.grade(hanging))
    """
    front = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert front.stdout is not None
    with front:
        assert front.stdout.readline() == "began\n"
        time.sleep(1)
        family = descendants(front.pid)
        began = time.monotonic()
        front.send_signal(signal.SIGINT)
        front.wait(20)
        assert (len(family) > 3, gone(family), time.monotonic() - began < 5) == (True, True, True)
        assert front.stderr is not None
        assert front.stderr.read().splitlines()[-1] == "KeyboardInterrupt"


# Nothing grows


def test_neither_descriptors_nor_threads_nor_processes_are_left_by_a_job() -> None:
    def held() -> tuple[int, int, int]:
        (template,) = nurseries(os.getpid())
        return (
            len(list(Path("/proc/self/fd").iterdir())),
            len(list(Path(f"/proc/{template}/fd").iterdir())),
            len(descendants(os.getpid())),
        )

    kinds = [REFERENCE, "class Net(", bad("os._exit(1)"), bad("os.close(3); time.sleep(9)")]
    others = threading.active_count()
    with Local(COURSE, 2, "auto") as engine:
        reports(engine.grade(iter([job("first", REFERENCE)])))
        before = held()
        reports(engine.grade(job(f"{number}", kinds[number % len(kinds)]) for number in range(12)))
        assert settled(held, before) == before
        assert threading.active_count() <= others + 2  # those of the pool


def test_as_many_descriptors_may_be_open_as_the_jobs_need() -> None:
    program = """
        import resource
        from test_class_engine import COURSE, Local
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 700))
        Local(COURSE, 10, "off").close()
        print(resource.getrlimit(resource.RLIMIT_NOFILE))
        Local(COURSE, 1000, "off").close()
        print(resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.stdout == "(248, 700)\n(700, 700)\n"
