"""The benchmark behind the rule that gives hopeless runs up: what it counts, and the models that it trains."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from grader.grade import grade_in
from grader.protocol import EpochRow, StageName
from grader.rules import read_rules
from grader.sandbox import Template
from grader.settings import Settings
from grader.training.giving_up import Limits

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts, which find each other beside them
giving_up = importlib.import_module("giving_up")
del sys.path[0]

LIMITS = Limits(after=0.5, times=8, floor=4, patience=3, progress=0.9)


def rows(wrong: list[float], stage: StageName = "long", test_errors: int | None = None) -> tuple[EpochRow, ...]:
    """Return a curve of so many percent of held-out images wrong, ten seconds an epoch."""
    last = len(wrong)
    return tuple(
        EpochRow(epoch, share, 0.0, 100 - share, 10.0 * epoch, stage, test_errors if epoch == last else None)
        for epoch, share in enumerate(wrong, 1)
    )


def trained(curve: tuple[EpochRow, ...], notes: tuple[str, ...] = ()) -> object:
    return giving_up.Trained("a_net", 1, "", "missed", None, notes, curve)


FAR = giving_up.Run("far", rows([30, 20, 20, 20, 20, 20, 20, 20]), 99.0)
NEAR = giving_up.Run("near", rows([30, 6, 3, 3, 2, 2, 1.5, 1.5], test_errors=133), 99.0)


def test_a_run_is_near_by_its_test_errors_or_else_by_its_held_out_images() -> None:
    runs = [
        NEAR,
        giving_up.Run("", rows([1, 1], test_errors=134), 99.0),
        giving_up.Run("", rows([2, 1.3]), 99.0),
        giving_up.Run("", rows([2, 1.4]), 99.0),
        giving_up.Run("", rows([2, 1.4]), 98.5),
    ]
    assert [run.is_near for run in runs] == [True, False, True, False, True]


def test_a_run_is_as_far_behind_as_its_best_epoch_was() -> None:
    assert [NEAR.behind(share) for share in (0.1, 0.25, 0.3, 1.0)] == [30, 6, 3, 1.5]
    learned = [EpochRow(1, None, 90.0, 40.0, 0.0)]
    assert giving_up.Run("lags", tuple(learned), 98.0).behind(1.0) == 5


def test_a_rule_keeps_the_epochs_until_it_gives_a_run_up() -> None:
    assert [run.kept(LIMITS) for run in (FAR, NEAR)] == [5, 8]


def test_runs_are_stages_that_ended_each_once() -> None:
    short, medium, long = rows([5, 4], "short"), rows([4, 3, 3, 3, 2, 2], "medium"), rows([6, 5, 4, 3, 2])
    note = "the long stage was given up after epoch 5 of 20: 2.0 % of held-out images wrong"
    found = giving_up.runs_of([trained(short + medium), trained(medium + long), trained(rows([9] * 5), (note,))], 99.0)
    assert [(run.name, run.rows) for run in found] == [("a net, medium", medium), ("a net, long", long)]


def test_tables_tell_what_was_lost_and_what_was_saved() -> None:
    assert giving_up.margins([NEAR], [FAR]).splitlines()[2:5] == [
        "| 10% | 30.0 × | near | 30.0 × | far |",
        "| 25% | 6.0 × | near | 20.0 × | far |",
        "| 35% | 3.0 × | near | 20.0 × | far |",
    ]
    found = giving_up.compare([NEAR], [FAR]).splitlines()
    assert len(found) == len(set(found)) == 2 + len([*giving_up.alternatives()])
    assert "| 50% | 8 × | whatever | 0 of 1 | 2.7 | 1 of 1 | 50% of the epochs, 40 s |" in found


@pytest.fixture(scope="module")
def template() -> object:
    with Template.start() as started:
        yield started


def test_a_hopeless_model_gets_the_verdict_that_its_docstring_declares(template: Template) -> None:
    models = [giving_up.read_model(path.stem, path) for path in sorted(giving_up.HOPELESS.glob("*.py"))]
    assert len(models) == 8
    course = read_rules(None)
    for model in models:
        report = grade_in(template, model.path, course, Settings())
        assert report.error is None
        assert {rule.id for rule in report.rules if rule.status == "fail"} == model.fails, model.name
