"""Grades a text inside the test's own process: for trusted examples, where a fork for each would only cost time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import torch

from grader import executor
from grader.finding import CheckResult
from grader.protocol import CaptureJob, CheckRequest, Graded, GradeJob, Probe, Refusal
from grader.worker import environment, main
from grader.worker.refusal import Refused

torch.set_num_threads(1)

PROBE = Probe(12345, (4, 12))
HEADER = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"


class Answers:
    """A channel that plays the trusted side of a conversation."""

    def __init__(self, *questions: bytes) -> None:
        self.questions = list(questions)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def receive(self, cap: int) -> bytes | None:
        return self.questions.pop(0) if self.questions else None


def job_for(text: str, **changes: Any) -> CaptureJob:
    job = CaptureJob({"model.py": text.encode()}, "model.py", None, {}, (1, 28, 28), 10, 1)
    return msgspec.structs.replace(job, **changes)


@contextmanager
def prepared() -> Iterator[None]:
    """Undo, at the end, what a worker changes in torch for its whole process."""
    kept = [(owner, name, getattr(owner, name)) for owner, name, _ in environment.replacements()]
    try:
        yield
    finally:
        for owner, name, value in kept:
            setattr(owner, name, value)
        torch.backends.mkldnn.set_flags(True)


def capture_text(text: str, **changes: Any) -> bytes:
    """Return the capture of a text; raise Refused where the worker refuses."""
    channel = Answers(msgspec.msgpack.encode(job_for(text, **changes)))
    with prepared():
        main.serve(channel)
    return _answer(channel.sent[-1], b"G")


def untraced(text: str, probe: Probe, **changes: Any) -> bytes:
    job = job_for(text, untraced=True, **changes)
    channel = Answers(msgspec.msgpack.encode(job), msgspec.msgpack.encode(probe))
    with prepared():
        main.serve(channel)
    return _answer(channel.sent[-1], b"T")


def _answer(data: bytes, tag: bytes) -> bytes:
    if data[:1] == b"R":
        raise Refused(msgspec.json.decode(data[1:], type=Refusal))
    assert data[:1] == tag
    return data[1:]


def graded(text: str, *requests: CheckRequest, probe: Probe = PROBE, **changes: Any) -> Graded:
    """Return what the executor finds on a text."""
    job = GradeJob(
        capture_text(text, **changes),
        untraced(text, probe, **changes),
        probe,
        changes.get("input_shape", (1, 28, 28)),
        10,
        ((0.1307,), (0.3081,)),
        requests,
    )
    return executor.grade(job, lambda progress: None)


def checked(text: str, check: str, options: dict[str, Any] | None = None, **changes: Any) -> CheckResult:
    """Return the result of one check on a text."""
    return graded(text, CheckRequest(check, options or {}), **changes).results[0]
