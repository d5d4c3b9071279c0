"""Hostile captures and hostile rules files: whatever they hold, they are read or cleanly refused, and nothing else.

Each property holds on a few hundred examples, the same in every run, and with `-m slow` on thousands: new ones each
time, unless a seed is given (`--hypothesis-seed`).
"""

from __future__ import annotations

import math
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import hostile
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import Answers

from grader import cost, executor, wire
from grader.checks import checks
from grader.protocol import CheckRequest, Graded, GradeJob, Ungradable
from grader.rules import Problem, Rules, RulesError, read_rules

T = TypeVar("T")

SECONDS = 10.0  # of processor time for one example: none takes a tenth of it
GROWTH = 512 * 1024 * 1024  # bytes that all examples of a property may take at once


@pytest.fixture(scope="module", autouse=True)
def captured() -> None:
    """Capture the models that examples start from: to do so seeds generators, which no strategy may."""
    hostile.real()


def profiles(quick: int, slow: int) -> pytest.MarkDecorator:
    """Run a property on so many examples, the same each time, and on so many in the slow suite."""
    health = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    same = settings(max_examples=quick, deadline=None, derandomize=True, suppress_health_check=health)
    new = settings(max_examples=slow, deadline=None, suppress_health_check=health)
    runs = [pytest.param(same, id="quick"), pytest.param(new, id="long", marks=pytest.mark.slow)]
    return pytest.mark.parametrize("profile", runs)


def outcomes(profile: settings, examples: st.SearchStrategy[T], holds: Callable[[T], str]) -> Counter[str]:
    """Try a property on examples, each within bounds of time and memory, and count what it says of them."""
    counted: Counter[str] = Counter()
    before = peak()

    @profile
    @given(examples)
    def run(example: T) -> None:
        start = time.process_time()
        counted[holds(example)] += 1
        assert time.process_time() - start < SECONDS
        assert peak() - before < GROWTH

    run()
    return counted


def peak() -> int:
    """Return the most memory that this process has used, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def assert_reached(counted: Counter[str], **least: float) -> None:
    """Check that these outcomes came up in at least these shares of the examples: strategies may not go stale."""
    shares = {name: count / counted.total() for name, count in counted.items()}
    assert {name: share for name, share in least.items() if shares.get(name, 0) < share} == {}, shares


# What the messages of the decoder say, in the order of its steps.
STEPS = {
    "frame": r"not a capture|cut short",
    "form": r"the graph is out of form: .*",
    "tensors": r"the tensors can't be read: .*|the tensors hold more .*|a tensor has no proper id|tensor \d+ has .*",
    "table": r"the first tensor must be .*|more than .* tensors|tensor ids are .*|tensors and their numbers .*",
    "program": r"more than .* nodes|a place is .*|unknown operator .*|(the output|node \d+|an update) .*",
}


def step_of(error: wire.WireError) -> str:
    return next(step for step, pattern in STEPS.items() if re.fullmatch(pattern, str(error), re.DOTALL))


def decoded(data: bytes) -> str:
    try:
        graph, tensors, loaded = wire.decode(data)
    except wire.WireError as error:
        return step_of(error)
    assert wire.decode(wire.encode(graph, tensors, loaded))[0] == graph
    return "decoded"


@profiles(quick=200, slow=10_000)
def test_captures_are_decoded_or_refused(profile: settings) -> None:
    counted = outcomes(profile, hostile.captures(), decoded)
    assert_reached(counted, frame=0.02, form=0.1, tensors=0.05, table=0.005, program=0.02, decoded=0.15)


def decoded_tensors(data: bytes) -> str:
    try:
        tensors = wire.decode_tensors(data)
    except wire.WireError as error:
        return step_of(error)
    assert wire.decode_tensors(wire.encode_tensors(tensors)).keys() == tensors.keys()
    return "decoded"


@profiles(quick=200, slow=10_000)
def test_tensors_are_decoded_or_refused(profile: settings) -> None:
    counted = outcomes(profile, hostile.tensors(), decoded_tensors)
    assert_reached(counted, tensors=0.3, decoded=0.2)


OPTIONS: dict[str, Any] = {
    "kernel-size": {"allowed": [1]},
    "layer-count": {"kind": "conv", "at_most": 1},
    "macs": {"below": 500},
    "parameters": {"below": 500},
    "receptive-field": {"above": 4},
}
REQUESTS = tuple(CheckRequest(name, OPTIONS.get(name, {})) for name in checks())


def graded(sent: tuple[bytes, bytes]) -> str:
    """Grade what two workers sent as the executor's process does, answer included."""
    job = GradeJob(*sent, hostile.PROBE, hostile.SHAPE, 10, ((0.13,), (0.3,)), REQUESTS)
    channel = Answers(msgspec.msgpack.encode(job))
    executor.serve(channel)
    (answer,) = channel.sent
    if answer[:1] == b"U":
        message = msgspec.msgpack.decode(answer[1:], type=Ungradable).message
        return "malformed" if message.startswith("the captured graph is malformed: ") else "refused"
    results = msgspec.msgpack.decode(answer[1:], type=Graded).results
    assert [result.check for result in results] == list(checks())
    return "graded"


@profiles(quick=50, slow=1_000)
def test_what_is_decoded_is_graded_or_refused(profile: settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "Limits", lambda: hostile.LIMITS)
    counted = outcomes(profile, hostile.jobs(), graded)
    assert_reached(counted, malformed=0.02, refused=0.03, graded=0.2)


# Problems of a file as a whole.
PLACELESS = re.compile(
    "the file is empty|[0-9,]+ bytes, the limit .*|no rules: .*|(a folder|not a file), expected .*|cannot be read: .*"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the process, with files that a rules file may extend."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "base.yaml").write_text("rules: [{id: a, checks: [dropout]}, {id: b, checks: [linear]}]\n")
    (tmp_path / "circle.yaml").write_text("extends: sub/up.yaml\n")
    (tmp_path / "sub" / "up.yaml").write_text("extends: ../r.yaml\nrules: [{id: c, any: [batch-norm]}]\n")
    (tmp_path / "top.yaml").write_text("extends: r.yaml\nrules: [{id: top, any: [dropout]}]\n")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def rules_read(example: tuple[bytes, str]) -> str:
    """Read a rules file, or one that extends it."""
    data, name = example
    Path("r.yaml").write_bytes(data)
    try:
        rules = read_rules(name)
    except RulesError as error:
        assert str(error).splitlines() == [str(problem) for problem in error.problems] != []
        for problem in error.problems:
            assert_placed(problem)
        return kind_of(error.problems[0])
    assert_usable(rules)
    return "read"


def assert_placed(problem: Problem) -> None:
    """Check that a problem begins with file, line and column, and that there is such a place."""
    mark = problem.mark
    if not mark.line:
        assert str(problem) == f"{mark.file}: {problem.message}"
        assert PLACELESS.fullmatch(problem.message)
        return
    assert str(problem) == f"{mark.file}:{mark.line}:{mark.column}: {problem.message}"
    if Path(mark.file).is_file():  # not one that is shipped
        text = Path(mark.file).read_bytes().decode("utf-8-sig", "replace")
        lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
        assert 1 <= mark.line <= len(lines)
        assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1


def assert_usable(rules: Rules) -> None:
    """Check that rules hold nothing that a later step can't take."""
    assert rules.rules
    assert all(map(math.isfinite, (*rules.input.mean, *rules.input.std)))
    uses = [use for rule in rules.rules for use in rule.checks]
    assert all(msgspec.convert(use.options, checks()[use.check].options) for use in uses)
    assert msgspec.json.decode(msgspec.json.encode(rules), type=Rules) == rules


def kind_of(problem: Problem) -> str:
    ends = (
        "not YAML: .*|not UTF-8.*|a tab: .*|the (tag|alias) .*|the character .*|a second .*|nested .*|.* is half of .*"
    )
    if re.fullmatch(ends + "|a key must .*", problem.message, re.DOTALL):
        return "syntax"
    return "extends" if "extend" in problem.message else "content"


@pytest.mark.usefixtures("folder")
@profiles(quick=200, slow=10_000)
def test_rules_files_are_read_or_refused(profile: settings) -> None:
    names = st.sampled_from(["r.yaml", "r.yaml", "top.yaml"])
    counted = outcomes(profile, st.tuples(hostile.rules_files(), names), rules_read)
    assert_reached(counted, syntax=0.1, content=0.2, extends=0.01, read=0.05)
