"""What an accuracy rule claims: its options, its statement, the numbers behind it, and what training shows of it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from test_training import LINEAR, net, synthetic, trained

from grader.checks.accuracy import Options, headline
from grader.protocol import Progress, SeedReport, TrainingReport
from grader.rules import RulesError, read_rules
from grader.training.claims import Claim
from grader.training.interval import (
    accuracy_interval,
    errors_that_prove,
    least_accuracy,
    least_mean,
    most_accuracy,
    t_quantile,
)

# --- numbers ---------------------------------------------------------------------------------------------------------


def at_most(hits: int, trials: int, p: Fraction) -> Fraction:
    """Return P(X <= hits) for X binomial, exactly."""
    hit, miss = p.numerator, p.denominator - p.numerator
    ways = (math.comb(trials, k) * hit**k * miss ** (trials - k) for k in range(hits + 1))
    return Fraction(sum(ways), p.denominator**trials)


@pytest.mark.parametrize(
    ("target", "images", "errors"),
    [("99", 10_000, 83), ("99.4", 10_000, 47), ("99", 1_000, 4), ("50", 10, 1), ("99", 300, 0), ("99.97", 10_000, 0)],
)
def test_errors_that_prove_a_target_are_the_most_that_chance_rarely_gives(
    target: str, images: int, errors: int
) -> None:
    p = 1 - Fraction(target) / 100
    assert at_most(errors, images, p) <= Fraction(1, 20) < at_most(errors + 1, images, p)
    assert errors_that_prove(float(target), images) == errors
    assert least_accuracy(errors, images) >= float(target) > least_accuracy(errors + 1, images)


def test_some_targets_are_beyond_proof() -> None:
    assert errors_that_prove(99.98, 10_000) == -1  # 0.9998 ** 10,000 is 0.135
    assert errors_that_prove(100, 10_000) == -1


def test_one_sided_bounds_are_those_of_a_wider_interval() -> None:
    for errors, images in [(0, 20), (3, 20), (20, 20), (79, 10_000)]:
        bounds = least_accuracy(errors, images, 0.025), most_accuracy(errors, images, 0.025)
        assert bounds == accuracy_interval(errors, images)
        assert least_accuracy(errors, images) >= bounds[0]
    assert least_accuracy(0, 20) == pytest.approx(100 * 0.05 ** (1 / 20))
    assert most_accuracy(20, 20) == pytest.approx(100 * (1 - 0.05 ** (1 / 20)))


@pytest.mark.parametrize(
    ("freedom", "expected"),
    [(1, 6.313752), (2, 2.919986), (3, 2.353363), (4, 2.131847), (5, 2.015048), (9, 1.833113), (19, 1.729133)],
)
def test_quantiles_of_student_are_those_of_tables(freedom: int, expected: float) -> None:
    assert t_quantile(0.95, freedom) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("freedom", [2, 3, 4, 7])
def test_quantiles_of_student_leave_their_share_below(freedom: int) -> None:
    """Add the density up, in small steps: an independent way."""
    quantile, steps = t_quantile(0.95, freedom), 20_000
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    places = (quantile * (step + 0.5) / steps for step in range(steps))
    area = sum(scale * (1 + t * t / freedom) ** (-(freedom + 1) / 2) for t in places) * quantile / steps
    assert 0.5 + area == pytest.approx(0.95, abs=1e-8)


def test_the_bound_of_a_mean() -> None:
    assert least_mean([99.1, 99.2, 99.3]) == pytest.approx(99.2 - 2.919986 * 0.1 / math.sqrt(3), abs=1e-6)
    assert least_mean([99.2] * 5) == 99.2


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("seeds: 3", "'seeds' is for 'claim: mean'; other claims are about one training"),
        ("claim: population, seeds: 3", "'seeds' is for 'claim: mean'; other claims are about one training"),
        (
            "sustained: 3, best: true",
            "'sustained' asks for each of the last epochs and 'best' for any epoch: choose one",
        ),
        *[
            (
                f"claim: {claim}, {option}",
                "'sustained' and 'best' are for 'claim: model': the other claims look at the test images once",
            )
            for claim, option in itertools.product(("mean", "population"), ("sustained: 2", "best: true"))
        ],
        (
            "claim: population, target: 100",
            "'claim: population' needs a target below 100: no number of images proves that a model never errs",
        ),
        ("sustained: 21", "'sustained' asks for more epochs than any stage of the recipe has"),
        (
            "sustained: 4, recipe: {medium: null, long: null}",
            "'sustained' asks for more epochs than any stage of the recipe has",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_their_line(
    options: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"rules:\n  - id: a\n    checks:\n      - accuracy: {{{options}}}\n")
    with pytest.raises(RulesError) as caught:
        read_rules(path)
    assert [(one.mark.line, one.mark.column, one.message) for one in caught.value.problems] == [
        (4, 19, f"the check 'accuracy': {message}")
    ]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("seeds: 2", "seeds: expected a whole number of at least 3 and of at most 20 or nothing, got 2"),
        ("claim: average", "claim: expected mean, model or population, got 'average'"),
        ("best: 1", "best: expected true or false, got 1"),
    ],
)
def test_options_out_of_form_are_refused(option: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(f"rules:\n  - id: a\n    checks:\n      - accuracy: {{{option}}}\n")
    with pytest.raises(RulesError) as caught:
        read_rules(path)
    assert [one.message for one in caught.value.problems] == [message]


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ({}, {"short": 2, "medium": 6, "long": 20}),
        ({"recipe": {"medium": None}}, {"short": 2, "long": 20}),
        ({"recipe": {"epochs": 15, "long": {"epochs": 19}}}, {"short": 15, "long": 19}),
        ({"sustained": 5}, {"medium": 6, "long": 20}),
        ({"best": True, "recipe": {"long": None}}, {"short": 2, "medium": 6}),
        ({"claim": "mean"}, {"long": 20}),
        ({"claim": "population", "recipe": {"long": None}}, {"medium": 6}),
        ({"claim": "mean", "recipe": {"medium": None, "long": None}}, {"short": 2}),
    ],
)
def test_the_claim_decides_which_stages_there_are(options: dict[str, Any], stages: dict[str, int]) -> None:
    found = msgspec.convert(options, Options).stages
    assert {name: stage.epochs for name, stage in found.items()} == stages


def test_a_mean_is_over_five_seeds_where_no_number_is_named() -> None:
    assert [
        msgspec.convert(options, Options).planned
        for options in ({}, {"claim": "mean"}, {"claim": "mean", "seeds": 3}, {"claim": "population"})
    ] == [1, 5, 3, 1]


# --- statements ------------------------------------------------------------------------------------------------------

ALL = 10_000


@pytest.mark.parametrize(
    ("claim", "allowed", "statement"),
    [
        (Claim("model", 99.0, ALL, (1,)), 100, "makes at most 100 errors on the 10,000 test images"),
        (Claim("model", 99.99, ALL, (1,)), 1, "makes at most 1 error on the 10,000 test images"),
        (
            Claim("model", 99.4, ALL, (1,), sustained=3),
            60,
            "makes at most 60 errors on the 10,000 test images after each of the last 3 epochs",
        ),
        (
            Claim("model", 99.4, ALL, (1,), best=True),
            60,
            (
                "makes at most 60 errors on the 10,000 test images after the best of its epochs"
                " (the optimistic measure, as the test images were looked at after each epoch)"
            ),
        ),
        (
            Claim("population", 99.0, ALL, (1,)),
            83,
            (
                "is right on at least 99 % of all such images"
                " (at most 83 errors on the 10,000 test images: Clopper-Pearson bound, one-sided, 95 %)"
            ),
        ),
    ],
)
def test_a_claim_is_stated_exactly(claim: Claim, allowed: int, statement: str) -> None:
    assert (claim.allowed, claim.statement) == (allowed, f"this trained model {statement}")


def test_a_mean_is_stated_exactly() -> None:
    assert Claim("mean", 99.0, ALL, (4, 5, 6)).statement == (
        "this model, trained, is right on at least 99 % of the 10,000 test images on average over seeds"
        " (Student's t bound over seeds 4 to 6, one-sided, 95 %)"
    )


@pytest.mark.parametrize(
    ("errors", "holds", "lost"),
    [
        ([80, 81, 82], True, False),
        ([95, 96, 97], True, False),
        ([60, 80, 110], False, False),  # 83 on average, but they differ too much
        ([99, 100, 101], False, False),
        ([80, 81], False, False),  # a seed is missing
        ([301], False, True),
        ([300], False, False),
        ([200, 101], False, True),
    ],
)
def test_a_mean_holds_by_the_bound_of_all_seeds(errors: list[int], holds: bool, lost: bool) -> None:
    claim = Claim("mean", 99.0, ALL, (1, 2, 3))
    assert (claim.holds(errors), claim.is_lost(errors)) == (holds, lost)


SEEDS = tuple(SeedReport(seed, 70 + seed, 99.3 - seed / 100, 3, 1.0) for seed in (1, 2, 3))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "99.21 % (79 errors in 10,000), target is 99.00 %"),
        (
            {"claim_kind": "population", "bound": 99.0499},
            "99.21 % (79 errors in 10,000), at least 99.04 % with 95 % confidence, target is 99.00 %",
        ),
        (
            {"claim_kind": "mean", "errors": None, "seeds": SEEDS, "planned": 3, "bound": 99.1},
            (
                "99.21 % on average over 3 seeds (71, 72, 73 errors in 10,000), at least 99.10 % with 95 % confidence, "
                "target is 99.00 %"
            ),
        ),
        (
            {"claim_kind": "mean", "errors": None, "seeds": SEEDS[:1], "planned": 3},
            "99.21 % on average over 1 of 3 seeds (71 errors in 10,000), target is 99.00 %",
        ),
        ({"sustained": 3}, "99.21 % (79 errors in 10,000) in the worst of the last 3 epochs, target is 99.00 %"),
        (
            {"best": True},
            "99.21 % after the best epoch (79 errors in 10,000), an optimistic measure, target is 99.00 %",
        ),
    ],
)
def test_the_headline_says_what_the_number_is_that_of(changes: dict[str, Any], expected: str) -> None:
    known = (99.21, 79, 10_000, None, 1, 3, 1.0, 1, "cpu", "logits", {})
    report = msgspec.structs.replace(TrainingReport("confirmed", "", "", 99.0, *known), **changes)
    assert headline(report) == expected


# --- training --------------------------------------------------------------------------------------------------------

SHORT_AND_LONG = {"long": {"epochs": 3, "batch": 64, "peak_lr": 0.05, "rotate": 0, "shift": 0}}
NOISY = synthetic(noise=300.0)  # a linear layer makes some errors on them


def looks(report: TrainingReport) -> list[tuple[str, int, int | None]]:
    return [(row.stage, row.epoch, row.test_errors) for row in report.curve]


def test_the_test_images_are_looked_at_when_a_stage_ends() -> None:
    report = trained(LINEAR)
    assert looks(report) == [("short", 1, None), ("short", 2, 0)]
    assert report.seeds == (SeedReport(1, 0, 100.0, 2, 0.0, "short"),)
    assert (report.claim_kind, report.allowed, report.bound, report.planned) == ("model", 3, None, 1)
    assert set(report.environment) == {"torch", "cpu", "arithmetic"}


def test_a_stage_that_cannot_have_reached_the_target_is_not_looked_at() -> None:
    report = trained(LINEAR, data=synthetic(noise=400.0), **SHORT_AND_LONG)
    assert report.outcome == "missed"
    assert [row.test_errors is not None for row in report.curve] == [False, False, False, False, True]
    (note,) = report.notes
    assert note.startswith("after the short stage ")
    assert note.endswith(
        " of the 200 held-out images were wrong, too many for 99 %: the test images were not looked at"
    )


def test_a_short_stage_that_misses_by_a_little_is_no_failure() -> None:
    plan = {"peak_lr": 0.01, "long": {"epochs": 4, "batch": 64, "peak_lr": 0.05, "rotate": 0, "shift": 0}}
    report = trained(LINEAR, data=NOISY, target=98.5, **plan)
    assert (report.outcome, report.allowed) == ("confirmed", 4)
    (first, second) = [row for row in report.curve if row.test_errors is not None]
    assert (first.stage, second.stage) == ("short", "long")
    assert (first.test_errors or 0) > 4 >= (second.test_errors or 0)
    assert report.notes == (
        f"after epoch 2 of the short stage {first.test_errors} of the test images were wrong, 4 may be",
    )


def test_a_medium_stage_is_for_models_that_are_near() -> None:
    plan = {"peak_lr": 0.01, "medium": {"epochs": 3, "batch": 64, "peak_lr": 0.05, "rotate": 0, "shift": 0}}
    far = trained(LINEAR, data=NOISY, target=99.5, **plan, **SHORT_AND_LONG)
    assert [row.stage for row in far.curve] == ["short"] * 2 + ["long"] * 3
    assert any("the medium stage was left out: " in note and "more than twice the 0.5 %" in note for note in far.notes)
    near = trained(LINEAR, data=NOISY, target=98.5, **plan, **SHORT_AND_LONG)
    assert [row.stage for row in near.curve] == ["short"] * 2 + ["medium"] * 3
    assert near.outcome == "confirmed"


def test_a_mean_tells_all_its_seeds() -> None:
    found: list[Progress] = []
    report = trained(LINEAR, claim="mean", seeds=3, seed=5, progress=found.append, data=NOISY, target=90.0)
    assert report.outcome == "confirmed"
    assert [(one.seed, one.epochs, one.reason) for one in report.seeds] == [(5, 2, ""), (6, 2, ""), (7, 2, "")]
    counts = [one.errors for one in report.seeds]
    assert counts == [row.test_errors for row in report.curve if row.epoch == 2]
    assert [row.seed for row in report.curve] == [5, 5, 6, 6, 7, 7]
    accuracies = [100 * (300 - (count or 0)) / 300 for count in counts]
    assert [one.accuracy for one in report.seeds] == accuracies
    assert report.accuracy == pytest.approx(sum(accuracies) / 3)
    assert report.bound == pytest.approx(least_mean(accuracies))
    assert (report.errors, report.interval, report.allowed, report.planned) == (None, None, None, 3)
    assert {(one.run, one.runs) for one in found} == {(1, 3), (2, 3), (3, 3)}


def test_each_seed_of_a_mean_is_what_it_is_alone() -> None:
    report = trained(LINEAR, claim="mean", seeds=3, seed=5, data=NOISY, target=90.0)
    alone = [trained(LINEAR, seed=seed, data=NOISY, target=90.0) for seed in (5, 6, 7)]
    assert [one.errors for one in report.seeds] == [one.errors for one in alone]
    rows = [msgspec.structs.replace(row, seed=None) for row in report.curve]
    assert rows == [row for one in alone for row in one.curve]


def test_a_mean_that_is_lost_is_not_trained_to_its_end() -> None:
    report = trained(LINEAR, claim="mean", seeds=4, data=synthetic(noise=400.0), target=99.0)
    assert (report.outcome, len(report.seeds), report.bound) == ("missed", 1, None)
    assert report.notes == ("3 more seeds could not lift the mean to the target even without an error: not trained",)


def test_a_seed_that_is_not_finished_leaves_a_mean_open_and_the_others_told() -> None:
    ticks = itertools.count()
    clock = lambda: float(next(ticks))  # noqa: E731
    report = trained(LINEAR, claim="mean", seeds=3, budget=60.5, clock=clock, target=90.0)
    assert (report.outcome, report.accuracy, report.bound) == ("open", 100.0, None)
    assert [(one.seed, one.errors) for one in report.seeds] == [(1, 0), (2, None)]
    assert report.reason == f"seed 2: {report.seeds[1].reason} (errors until then: 0)"
    assert report.seeds[1].reason.startswith("the budget of 60.5 s ended ")


def test_a_population_needs_a_margin() -> None:
    report = trained(LINEAR, claim="population", target=98.0)
    assert (report.outcome, report.errors, report.allowed) == ("confirmed", 0, 1)
    assert report.bound == pytest.approx(100 * 0.05 ** (1 / 300))
    plain = trained(LINEAR, target=97.0, data=NOISY, peak_lr=0.01)
    assert (plain.outcome, plain.allowed) == ("confirmed", 9)
    strict = trained(LINEAR, claim="population", target=97.0, data=NOISY, peak_lr=0.01)
    assert (strict.outcome, strict.errors, strict.allowed) == ("missed", plain.errors, 3)
    assert strict.bound is not None
    assert strict.bound < 97.0 <= (strict.accuracy or 0.0)


def test_a_population_that_so_few_images_cannot_prove_is_left_open_at_once() -> None:
    report = trained(LINEAR, claim="population", target=99.5)
    assert report.reason == "300 test images are too few to prove 99.5 %, even without an error"
    assert (report.outcome, report.epochs) == ("open", 0)
    assert "at most" not in report.claim


def test_the_best_epoch_is_looked_for_after_each_one() -> None:
    plan = {"epochs": 4, "peak_lr": 0.02}
    missed = trained(LINEAR, data=NOISY, target=100.0, best=True, **plan)
    counts = [row.test_errors for row in missed.curve]
    assert None not in counts
    assert (missed.outcome, missed.errors, missed.interval) == ("missed", min(counts), None)  # type: ignore[type-var]
    target = 100 - 100 * (counts[1] or 0) / 300
    early = trained(LINEAR, data=NOISY, target=target, best=True, **plan)
    assert (early.outcome, [row.test_errors for row in early.curve]) == ("confirmed", counts[:2])


def test_a_sustained_target_is_asked_of_each_of_the_last_epochs() -> None:
    plan = {"epochs": 4, "peak_lr": 0.02, "data": NOISY}
    counts = [row.test_errors or 0 for row in trained(LINEAR, target=100.0, best=True, **plan).curve]
    worst = max(counts[2:])
    target = 100 - 100 * worst / 300
    kept = trained(LINEAR, target=target, sustained=2, **plan)
    assert (kept.outcome, kept.errors, kept.interval) == ("confirmed", worst, None)
    assert [row.test_errors for row in kept.curve] == [None, None, *counts[2:]]
    above = trained(LINEAR, target=target, sustained=4, **plan)
    assert above.outcome == "missed"
    assert [row.test_errors for row in above.curve] == counts[:1]  # one miss is enough


def test_a_seed_decides_alone_about_dropout_and_order() -> None:
    text = net("return self.fc(F.dropout(x.flatten(1), 0.5, self.training))")
    first, other = trained(text, claim="mean", seeds=3, target=50.0), trained(text, claim="mean", seeds=3, target=50.0)
    assert first == other
    assert len({row.loss for row in first.curve if row.epoch == 1}) == 3
