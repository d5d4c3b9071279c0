"""A class on a real cluster of Dask, made of processes on this machine."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from test_class_engine import BAD, COURSE, REFERENCE, bad, codes, descendants, gone, graded, job, nurseries, reports

from grader.classroom.cluster import Cluster, connect, front, task, wire
from grader.classroom.engine import EngineError, lacking
from grader.classroom.engine.bench import failed
from grader.classroom.types import Course, Done, Job
from grader.datasets import Source
from grader.likeness import Likeness
from grader.manifest import Submission
from grader.report import Report
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings

ROOT = Path(__file__).parents[1]
INSTALLED = importlib.util.find_spec("distributed") is not None
needs_dask = pytest.mark.skipif(not INSTALLED, reason="distributed is not installed: pip install 's5-grade[cluster]'")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

START_SECONDS = 60.0


class Site:
    """A scheduler and workers, started by the commands that people use."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", **environment}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.log = folder / "log"
        self._start("scheduler", "--port", "0")
        self.address = self._told(r"Scheduler at:\s*(tcp://\S+)", 1)[0]

    def workers(self, count: int, *options: str) -> list[subprocess.Popen[bytes]]:
        """Start workers, each with one thread; wait until they have joined."""
        with self.log.open("a") as log:
            print("workers", file=log)
        local = ["--local-directory", str(self.folder), "--nthreads", "1", "--memory-limit", "0"]
        started = [self._start("worker", self.address, *local, *options) for _ in range(count)]
        self._told(r"Registered to:\s*(tcp://\S+)", count)
        return started

    def close(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        deadline = time.monotonic() + 10
        while any(process.poll() is None for process in self.processes) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in self.processes:
            process.kill()
            process.wait()

    def _start(self, what: str, *arguments: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "dask", what, "--host", "127.0.0.1", "--no-dashboard", *arguments]
        with self.log.open("ab") as log:
            self.processes.append(subprocess.Popen(line, stdout=log, stderr=log, cwd=ROOT, env=self.environment))
        return self.processes[-1]

    def _told(self, pattern: str, count: int) -> list[str]:
        """Wait until the log has so many matches after its last mark."""
        deadline = time.monotonic() + START_SECONDS
        while len(found := re.findall(pattern, self.log.read_text().rpartition("workers\n")[2])) < count:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)
        return found


@contextmanager
def site(folder: Path, **environment: str) -> Iterator[Site]:
    made = Site(folder, **environment)
    try:
        yield made
    finally:
        made.close()


def differences(some: dict[str, Report], others: dict[str, Report]) -> list[tuple[str, str, object, object]]:
    """Return where reports differ: the key, the field, and both values."""
    assert some.keys() == others.keys()
    return [
        (key, name, getattr(report, name), getattr(others[key], name))
        for key, report in some.items()
        for name in report.__struct_fields__
        if getattr(report, name) != getattr(others[key], name)
    ]


# Real clusters


@needs_dask
def test_a_cluster_gives_the_same_reports_also_when_a_worker_is_killed(tmp_path: Path) -> None:
    names = ("crashes", "closes its channel", "forks")
    jobs = [
        *(job(f"good{number}", REFERENCE) for number in range(6)),
        *(job(name, bad(BAD[name][0])) for name in names),
    ]
    with site(tmp_path) as cluster:
        workers = cluster.workers(3, "--no-nanny")
        with Cluster(COURSE, cluster.address, "auto") as engine:
            assert engine.shown == f"3 at a time on 3 workers of {cluster.address}"
            results = engine.grade(iter(jobs))
            first = next(results)
            family = [workers[0].pid, *descendants(workers[0].pid)]
            workers[0].send_signal(signal.SIGKILL)
            workers[0].wait()
            found = {first.key: first.report, **reports(results)}
        families = [pid for worker in workers[1:] for pid in descendants(worker.pid)]
        assert (len(nurseries(workers[1].pid)) > 0, gone(family)) == (True, True)
    assert differences(found, graded(jobs)) == []
    assert gone(families)


@needs_dask
def test_what_nobody_waits_for_ends_and_a_submission_that_kills_workers_is_given_up(tmp_path: Path) -> None:
    """The killer is unconfined: a confined submission can't send a signal."""
    hanging = job("hangs", bad("while True: pass"))
    worker = "int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])"  # its parent's parent
    killer = job("killer", bad(f"os.kill({worker}, signal.SIGKILL); time.sleep(600)"))
    with site(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as cluster:
        (nanny,) = cluster.workers(1)
        with Cluster(COURSE, cluster.address, "off") as engine:
            results = engine.grade(iter([job("0", REFERENCE), hanging]))
            assert next(results).key == "0"
            time.sleep(1)
            (template,) = nurseries(nanny.pid)
            at_work = descendants(template)
            results.close()  # type: ignore[attr-defined]
            assert (len(at_work) > 0, gone(at_work, 3)) == (True, True)
            found = reports(engine.grade(iter([killer])))
            assert codes(found) == {"killer": "internal"}
            assert found["killer"].error is not None
            assert found["killer"].error.message.startswith(
                "the submission could not be graded, on the cluster: Attempted to run task"
            )
            assert codes(reports(engine.grade(iter([job("1", REFERENCE)])))) == {"1": "pass"}
            nanny.kill()
            cluster.processes[0].kill()
            with pytest.raises(EngineError) as error:
                list(engine.grade(iter([job("2", REFERENCE)])))
            assert str(error.value) == (
                f"the scheduler at {cluster.address} is gone. "
                "What is graded is kept: when it is back, start the class again."
            )


@needs_dask
def test_a_cluster_that_has_no_worker_or_others_versions_or_loses_all_is_said_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "WORKERS_SECONDS", 0.5)
    monkeypatch.setattr(front, "LOST_SECONDS", 0.5)
    with site(tmp_path) as cluster:
        with pytest.raises(EngineError) as error, Cluster(COURSE, cluster.address, "off"):
            pass
        assert str(error.value) == (
            f"the cluster at {cluster.address} has no worker, and none came within 0.5 seconds. "
            f"Start some with: dask worker {cluster.address}"
        )
        (worker,) = cluster.workers(1, "--no-nanny")
        here = wire.versions_here(COURSE)
        with monkeypatch.context() as patch:
            patch.setattr(wire, "versions_here", lambda course: {**here, "torch": "2.4.0"})
            with pytest.raises(EngineError) as error, Cluster(COURSE, cluster.address, "off"):
                pass
        assert re.sub(r"tcp://[\d.]+:\d+", "ADDRESS", str(error.value)) == (
            "the cluster cannot grade this class, as its versions differ from those here: worker ADDRESS: torch "
            f"{here['torch']} instead of 2.4.0. Install there: pip install s5-grade=={here['s5-grade']} torch==2.4.0"
        )
        with Cluster(COURSE, cluster.address, "off") as engine:
            worker.kill()
            with pytest.raises(EngineError) as error:
                list(engine.grade(iter([job("0", REFERENCE)])))
        assert str(error.value) == (
            f"the cluster at {cluster.address} has lost all its workers. What is graded is kept: when it is back, "
            "start the class again."
        )


# What is refused


@needs_dask
def test_where_no_scheduler_answers_it_is_said_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "CONNECT_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # and never answer
        for address in (f"tcp://127.0.0.1:{silent.getsockname()[1]}", "tcp://127.0.0.1:1", "nonsense://here", "tcp://"):
            began = time.monotonic()
            with pytest.raises(EngineError) as error, Cluster(COURSE, address, "off"):
                pass
            assert re.sub(r" \(.*\)", "", str(error.value)) == (
                f"no Dask scheduler answers at {address} within 1 seconds. "
                "Expected an address such as tcp://10.0.0.1:8786, as `dask scheduler` prints it when it starts."
            )
            assert time.monotonic() - began < 8


def test_without_distributed_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError) as error, Cluster(COURSE, "tcp://127.0.0.1:1", "off"):
        pass
    assert str(error.value).startswith("grading on a cluster needs the package distributed (")
    assert str(error.value).endswith("): pip install 's5-grade[cluster]'")


def test_neither_distributed_nor_torch_is_imported_before_a_cluster_is_made() -> None:
    program = (
        "import sys, grader.classroom.cluster, grader.classroom.cluster.task\n"
        "print(sorted({'dask', 'distributed', 'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


class Answers:
    """A client whose workers answer what they are told to."""

    def __init__(self, answers: dict[str, object]) -> None:
        self.answers = answers

    def run(self, function: object, *arguments: object, on_error: str) -> dict[str, object]:
        return self.answers


def test_a_worker_that_would_grade_nothing_is_named_with_its_reason() -> None:
    unable = {f"tcp://10.0.0.{number}:1": EngineError("not run: the sandbox must be sealed") for number in range(2, 7)}
    client: Any = Answers({"tcp://10.0.0.1:1": "", **unable})
    with pytest.raises(EngineError) as error:
        connect.begin(client, b"")
    assert str(error.value) == (
        "the cluster cannot grade this class: "
        + "".join(f"worker tcp://10.0.0.{number}:1: not run: the sandbox must be sealed; " for number in (2, 3, 4))
        + "and 2 more workers."
    )
    client = Answers({"tcp://10.0.0.1:1": ""})
    connect.begin(client, b"")


def test_a_worker_where_no_sealed_level_can_be_had_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Template, "start", partial(Template.start, layers=("limits",)))
    monkeypatch.setattr(task, "_benches", {})
    worker: Any = SimpleNamespace(state=SimpleNamespace(nthreads=1))
    told = asyncio.run(task.begin(wire.encode_terms(COURSE, "strict"), worker))
    for bench in task._benches.values():
        bench.close()
    assert told.startswith("not run: the sandbox must be sealed, and this machine gives none. What is missing: ")


def test_a_worker_without_the_images_to_train_on_says_so(tmp_path: Path) -> None:
    rules = read_rules(str(ROOT / "rules" / "mnist-8k.yaml"))
    elsewhere = Source("images.npz", folder=str(tmp_path))
    course = Course(replace(rules, input=replace(rules.input, dataset=elsewhere)), Settings(train=True))
    assert lacking(course) == "images.npz: there is no such file or folder"
    assert lacking(replace(course, settings=Settings())) == ""
    assert lacking(Course(rules, Settings(train=True))) == ""


# Bytes


@pytest.mark.parametrize("rules", [None, *sorted(map(str, (ROOT / "rules").glob("*.yaml")))])
def test_a_course_and_a_job_arrive_as_they_were(rules: str | None) -> None:
    settings = Settings("model.py", "Net", {"width": "8"}, seed=3, budget=1.5, export=True)
    course = Course(read_rules(rules), settings)
    terms = wire.decode_terms(wire.encode_terms(course, "strict"))
    assert (terms.course, terms.rules.sha256, terms.rules.source) == (course, course.rules.sha256, course.rules.source)
    assert (terms.sandbox, terms.versions) == ("strict", wire.versions_here(course))
    sent = Job("key", Submission("é/x", "é", "x/model.py", {"x/model.py": b"\0\xff", "b.ipynb": b"{}"}), train=True)
    assert wire.decode_job(wire.encode_job(sent)) == sent


DONE = Done("key", failed(COURSE, COURSE.settings, job("model", ""), "x"), 1.25, Likeness("digest", {"conv": 3}))


def test_a_result_arrives_as_it_was() -> None:
    assert wire.decode_done(wire.encode_done(DONE), "key") == DONE


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the worker's answer is not a result"),
        (DONE, "the worker's answer is not a result"),
        (b"", "the worker's answer cannot be read: Input data was truncated"),
        (wire.encode_done(DONE)[:-1], "the worker's answer cannot be read: Input data was truncated"),
        (b"\x80", "the worker's answer cannot be read: Object missing required field `key`"),
        (wire.encode_done(msgspec.structs.replace(DONE, key="other")), "the worker's answer is that to another job"),
    ],
)
def test_an_answer_of_another_form_is_no_result(answer: object, reason: str) -> None:
    with pytest.raises(wire.WireError) as error:
        wire.decode_done(answer, "key")
    assert str(error.value) == reason
