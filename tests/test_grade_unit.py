"""The way through one grading, with processes that are played: which outcome ends in which report."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from samples import result

import grader
from grader.finding import Span
from grader.protocol import Graded, GradeJob, Loaded, Probe, Progress, Refusal, TrainRequest, Ungradable
from grader.report import GapReport, SandboxReport
from grader.rules import RulesError, read_rules
from grader.sandbox import (
    Captured,
    Crashed,
    Executed,
    Exhausted,
    Gap,
    Malformed,
    Refused,
    Standing,
    TimedOut,
    TooLarge,
    Unexecuted,
    Unsealed,
)

MODEL = "class Net(nn.Module):\n    pass\n"
CAPTURED = Captured(b"graph", b"outputs", Probe(7, (4, 36)))
module: Any = importlib.import_module("grader.grade")


class Processes:
    """Plays the sandbox: notes what it is asked and gives the outcomes that it was made with."""

    def __init__(self, capture: Any = CAPTURED, execute: Any = None) -> None:
        self.outcomes = {"capture": capture, "execute": execute}
        self.asked: dict[str, Any] = {}
        self.closed = False
        self.sandbox, self.gpu = "", False
        self.standing = Standing(
            "partial", {"seccomp": "a filter"}, (Gap("it could read a file", "no Landlock", "Update."),)
        )

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *exception: object) -> None:
        self.closed = True

    def start(self, *, sandbox: str, gpu: bool) -> Processes:
        self.sandbox, self.gpu = sandbox, gpu
        return self

    def capture(self, template: Any, job: Any, batches: Any, timeout: float, normalise: Any) -> Any:
        self.asked["capture"] = (job, batches, timeout, normalise)
        return self.outcomes["capture"]

    def execute(self, template: Any, job: bytes, *, timeout: float, on_progress: Any, threads: int, device: str) -> Any:
        self.asked["limits"] = (threads, device)
        self.asked["execute"] = (msgspec.msgpack.decode(job, type=GradeJob), timeout)
        on_progress(Progress(1, 1, 1, 1, 0.5, 0.1))
        if self.outcomes["execute"] is not None:
            return self.outcomes["execute"]
        names = [request.check for request in self.asked["execute"][0].checks]
        return Executed(Graded(tuple(map(result, names)), Loaded("Net"), 9, ()))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def play(monkeypatch: pytest.MonkeyPatch, capture: Any = CAPTURED, execute: Any = None) -> Processes:
    played = Processes(capture, execute)
    monkeypatch.setattr(module, "Template", played)
    monkeypatch.setattr(module, "capture", played.capture)
    monkeypatch.setattr(module, "execute", played.execute)
    return played


def test_the_public_function(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch)
    assert grader.__all__ == ["grade"]
    assert [grade("model.py").verdict for grade in (grader.grade, module.grade, grader.grade)] == ["pass"] * 3
    with pytest.raises(AttributeError, match="module 'grader' has no attribute 'nothing'"):
        grader.nothing  # noqa: B018


def test_what_the_processes_are_asked(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch)
    seen: list[Progress] = []
    report = module.grade(
        "model.py", class_name="Net", arguments={"a": "1"}, seed=5, timeout=9, on_progress=seen.append
    )
    job, batches, timeout, normalise = played.asked["capture"]
    assert (job.files, job.entry, job.class_name, job.arguments) == (
        {"model.py": MODEL.encode()},
        "model.py",
        "Net",
        {"a": "1"},
    )
    assert (job.input_shape, job.classes, job.seed, job.untraced) == ((1, 28, 28), 10, 5, False)
    assert (batches, timeout, normalise) == ((4, 36), 9, ((0.1307,), (0.3081,)))
    graded, seconds = played.asked["execute"]
    assert (graded.capture, graded.untraced, graded.probe) == (b"graph", b"outputs", Probe(7, (4, 36)))
    assert (graded.input_shape, graded.classes, graded.normalise) == ((1, 28, 28), 10, ((0.1307,), (0.3081,)))
    assert [request.check for request in graded.checks] == [
        "parameters",
        "batch-norm",
        "dropout",
        "global-average-pool",
        "linear",
        "output",
    ]
    assert (graded.checks[0].options, graded.train, seconds) == ({"below": 20000}, None, 120)
    assert (report.verdict, report.score, report.max_score) == ("pass", 80, 80)
    assert report.sandbox == SandboxReport(
        "partial", {"seccomp": "a filter"}, (GapReport("it could read a file", "no Landlock", "Update."),)
    )
    assert (len(seen), played.closed, played.sandbox, played.asked["limits"]) == (1, True, "auto", (1, "cpu"))


def test_training_is_asked_for_with_the_recipe_of_the_rules(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch)
    module.grade("model.py", train=True, seed=5, budget=60, threads=3, device="cuda")
    job, seconds = played.asked["execute"]
    options = read_rules().rules[4].checks[0].options
    recipe = msgspec.msgpack.decode(msgspec.msgpack.encode(options["recipe"]))
    assert job.train == TrainRequest(99.0, recipe, 5, 60, 3, "cuda")
    assert "accuracy" in [request.check for request in job.checks]
    assert (seconds, played.asked["limits"], played.gpu) == (180, (3, "cuda"), True)


def test_training_without_an_accuracy_rule(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch)
    (here / "r.yaml").write_text("rules: [{id: a, checks: [dropout]}]")
    report = module.grade("model.py", "r.yaml", train=True)
    assert played.asked["execute"][0].train is None
    assert report.notes == ("nothing to train for: r.yaml has no accuracy rule",)


def test_rules_that_were_read_already(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch)
    assert module.grade("model.py", read_rules("gap-or-fc")).rules[-1].id == "gap-or-fc"


def test_faulty_rules_end_everything_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch)
    with pytest.raises(RulesError, match=r"absent\.yaml: there is no such file"):
        module.grade("model.py", "absent.yaml")
    assert (played.closed, played.asked) == (True, {})


def test_a_submission_that_cannot_be_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played = play(monkeypatch)
    (here / "other.py").write_text(MODEL)
    missing, several = module.grade("absent.py"), module.grade(".")
    assert (missing.error.code, missing.error.message) == ("missing", "there is no file 'absent.py'")
    assert (several.error.code, several.error.option, several.error.candidates) == (
        "ambiguous",
        "--file",
        ("model.py", "other.py"),
    )
    assert (missing.verdict, several.verdict, played.asked) == ("error", "error", {})


RESEARCH = "This is a fault of s5-grade. Please report it, with the file."
CAPTURES = {
    "refused": (
        Refused(Refusal("no-model", "no model in model.py", fix="Define one.")),
        ("no-model", "no model in model.py", "Define one.", ""),
    ),
    "timed out": (
        TimedOut(60.0),
        (
            "timeout",
            "the submission was still running after 60 seconds",
            "Look for a loop in __init__ or forward that does not end, or allow more with --timeout.",
            "",
        ),
    ),
    "too large": (
        TooLarge(70_000_000, 67_108_864),
        (
            "limit",
            "the answer of the submission's process has 70,000,000 bytes, the limit is 67,108,864",
            "Use fewer parameters, or smaller constants.",
            "",
        ),
    ),
    "malformed": (
        Malformed("it begins with b'x'"),
        (
            "malformed",
            "the submission's process gave an answer that cannot be read: it begins with b'x'",
            "Remove code that writes to file descriptors or patches other modules.",
            "",
        ),
    ),
    "unsealed": (
        Unsealed(Standing("partial", {}, (Gap("it could read a file", "no Landlock", "Update."),))),
        (
            "sandbox",
            "not run: the sandbox must be sealed, and this machine gives a part of it",
            "Update. On files that you trust, --sandbox=auto takes what there is.",
            "",
        ),
    ),
    "out of memory": (
        Exhausted("memory", "last words"),
        (
            "limit",
            "the submission's process was ended: most likely the memory ran out",
            "Look for tensors, lists or loops in __init__ or forward that are far larger than the task needs.",
            "last words",
        ),
    ),
    "crashed": (
        Crashed("signal 11 (SIGSEGV)", "last words"),
        (
            "crash",
            "the submission's process ended before it had answered (signal 11 (SIGSEGV))",
            "Remove calls that exit, and try the model by itself on a batch of images.",
            "last words",
        ),
    ),
}
EXECUTIONS = {
    "not gradable": (
        Unexecuted(Ungradable("other numbers", "why", "Do this.", Span("model.py", 1))),
        ("capture", "other numbers", "Do this.", ""),
    ),
    "timed out": (
        TimedOut(300.0),
        (
            "timeout",
            "grading was not finished after 300 seconds",
            "Try again; for training, give a --budget in seconds.",
            "",
        ),
    ),
    "unsealed": (
        Unsealed(Standing("none", {}, (Gap("it could fork", "no seccomp", "Update."),))),
        (
            "sandbox",
            "not run: the sandbox must be sealed, and this machine gives none",
            "Update. On files that you trust, --sandbox=auto takes what there is.",
            "",
        ),
    ),
    "out of processor time": (
        Exhausted("processor time", ""),
        (
            "limit",
            "the grading process was ended: it took more processor time than it was given",
            "Use smaller layers, or a smaller batch size in the recipe of the rules.",
            "",
        ),
    ),
    "too large": (TooLarge(9_000, 1_000), ("internal", "the result has 9,000 bytes, the limit is 1,000", RESEARCH, "")),
    "malformed": (Malformed("no tag"), ("internal", "the result cannot be read: no tag", RESEARCH, "")),
    "crashed": (
        Crashed("exit status 1", "Traceback"),
        ("internal", "the grading process ended before it had answered (exit status 1)", RESEARCH, "Traceback"),
    ),
}


@pytest.mark.parametrize(("outcome", "expected"), CAPTURES.values(), ids=CAPTURES)
def test_every_outcome_of_a_capture(
    here: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, expected: tuple[str, ...]
) -> None:
    played = play(monkeypatch, outcome)
    report = module.grade("model.py")
    assert (report.error.code, report.error.message, report.error.fix, report.error.error) == expected
    assert (report.verdict, "execute" in played.asked, played.closed) == ("error", False, True)


@pytest.mark.parametrize(("outcome", "expected"), EXECUTIONS.values(), ids=EXECUTIONS)
def test_every_outcome_of_an_execution(
    here: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, expected: tuple[str, ...]
) -> None:
    play(monkeypatch, execute=outcome)
    report = module.grade("model.py")
    assert (report.error.code, report.error.message, report.error.fix, report.error.error) == expected
    assert (report.verdict, report.score, report.max_score) == ("error", 0, 0)
