"""Every submission of the corpus gets the verdict that its header says, through the real processes."""

from __future__ import annotations

from collections.abc import Iterator

import corpus
import pytest

from grader import executor
from grader.finding import CheckResult
from grader.protocol import CaptureJob, CheckRequest, GradeJob
from grader.sandbox import Captured, Crashed, Refused, Template, TimedOut, capture

CASES = corpus.load()
REQUESTS = tuple(
    CheckRequest(check, {"below": corpus.LIMIT} if check == "parameters" else {}) for check in corpus.CHECKS
)


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template.start(many=True) as started:  # as a class is graded
        yield started


def job_of(case: corpus.Case) -> CaptureJob:
    return CaptureJob({case.path.name: case.path.read_bytes()}, case.path.name, None, {}, (1, 28, 28), 10, 1)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case: corpus.Case, template: Template) -> None:
    seconds = 4.0 if case.name == "refuse_infinite_loop" else 60.0
    outcome = capture(template, job_of(case), (4, 36), seconds)
    if isinstance(outcome, Captured):
        job = GradeJob(
            outcome.graph, outcome.untraced, outcome.probe, (1, 28, 28), 10, ((0.1307,), (0.3081,)), REQUESTS
        )
        assert_verdict(case, job)
    elif isinstance(outcome, Refused):
        assert case.refusal_allowed(outcome.refusal.code), outcome.refusal.message
    else:
        assert isinstance(outcome, (Crashed, TimedOut))
        assert case.refusal_allowed(corpus.ANY_REFUSAL), outcome


def assert_verdict(case: corpus.Case, job: GradeJob) -> None:
    try:
        results: tuple[CheckResult, ...] = executor.grade(job, lambda progress: None).results
    except executor.NotGradable as error:
        assert case.refusal_allowed("capture"), error.answer.message
        return
    assert case.mismatches(results) == []


def test_corpus_covers_every_check_in_both_directions() -> None:
    seen = {(each.check, each.verdict == "fail") for case in CASES for each in case.expectations}
    assert seen == {(check, failed) for check in corpus.CHECKS for failed in (True, False)}
