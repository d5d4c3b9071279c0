"""The parts of training, each alone: interval, images, initial weights, scores; and what the accuracy check says."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from grader.checks import Subject
from grader.checks.accuracy import LongStage, Options, Recipe, check, guessing
from grader.checks.receptive_field import Seen
from grader.facts import Facts
from grader.finding import CheckResult, Finding, Span
from grader.graph import Graph, Mode, Program
from grader.protocol import EpochRow, TrainingReport
from grader.training.data import HELD_OUT, DataError, load, moved, normalised, scaled
from grader.training.interval import accuracy_interval
from grader.training.scores import LOSSES, Kind, kind_of
from grader.training.start import permuted, redrawn

# --- interval --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "images", "expected"),
    [
        (0, 10, (69.1503, 100.0)),  # 0.025 ** (1 / 10)
        (10, 10, (0.0, 30.8497)),
        (5, 10, (18.7086, 81.2914)),  # as printed in statistical tables
        (1, 20, (75.1267, 99.8735)),
    ],
)
def test_the_interval_is_that_of_tables(errors: int, images: int, expected: tuple[float, float]) -> None:
    assert accuracy_interval(errors, images) == pytest.approx(expected, abs=1e-3)


def at_most(hits: int, trials: int, p: Fraction) -> Fraction:
    """Return P(X <= hits), exactly."""
    return sum((math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(hits + 1)), Fraction(0))


@pytest.mark.parametrize(("errors", "images"), [(3, 50), (20, 100), (70, 100)])
def test_the_interval_leaves_exactly_its_share_on_each_side(errors: int, images: int) -> None:
    low, high = accuracy_interval(errors, images)
    most, least = (Fraction(1 - bound / 100).limit_denominator(10**6) for bound in (low, high))
    assert float(at_most(errors, images, most)) == pytest.approx(0.025, abs=1e-5)
    assert float(1 - at_most(errors - 1, images, least)) == pytest.approx(0.025, abs=1e-5)


def test_the_interval_of_a_hundred_errors_in_ten_thousand() -> None:
    low, high = accuracy_interval(100, 10_000)
    rate = 0.01  # Wilson's approximation agrees to two places
    spread = 1.96 * math.sqrt(rate * (1 - rate) / 10_000 + 1.96**2 / (4 * 10_000**2)) / (1 + 1.96**2 / 10_000)
    centre = (rate + 1.96**2 / 20_000) / (1 + 1.96**2 / 10_000)
    assert (low, high) == pytest.approx((100 * (1 - centre - spread), 100 * (1 - centre + spread)), abs=0.01)


# --- images ----------------------------------------------------------------------------------------------------------


def test_the_embedded_images_are_mnist() -> None:
    data = load()
    assert [tuple(part.pixels.shape) for part in (data.training, data.held_out, data.test)] == [
        (55_000, 1, 28, 28),
        (HELD_OUT, 1, 28, 28),
        (10_000, 1, 28, 28),
    ]
    counts = data.training.labels.bincount() + data.held_out.labels.bincount()
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert data.test.labels.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    means = [float(part.pixels.double().mean()) * len(part) for part in (data.training, data.held_out)]
    assert sum(means) / 60_000 / 255 == pytest.approx(0.1307, abs=5e-5)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(b"PK")
    with pytest.raises(DataError) as caught:
        load(tmp_path / "mnist.npz")
    assert str(caught.value) == (
        "mnist.npz, the embedded MNIST, is damaged: "
        "its SHA-256 is fcab7fcc2b4c…, expected 39b9b1ffaa0b…: install s5-grade again"
    )


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        load(tmp_path / "mnist.npz")
    message = "mnist.npz, the embedded MNIST, can't be read (No such file or directory): install s5-grade again"
    assert str(caught.value) == message


def test_pixels_are_scaled_and_normalised_channel_by_channel() -> None:
    pixels = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)
    assert scaled(pixels).flatten().tolist() == [0.0, 1.0]
    assert normalised(scaled(pixels), ((0.5, 0.2), (0.5, 0.4))).flatten().tolist() == pytest.approx([-1.0, 2.0])


def test_an_image_that_is_not_moved_stays_as_it_is() -> None:
    images = torch.rand((4, 1, 28, 28), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(moved(images, 0.0, 0.0, torch.Generator()), images, atol=1e-4)


def test_images_move_within_their_bounds_each_by_itself() -> None:
    images = torch.zeros((200, 1, 28, 28))
    images[:, :, 13:15, 13:15] = 1.0  # at the centre, which turning leaves
    found = moved(images, 10.0, 3.0, torch.Generator().manual_seed(1))
    weights = found / found.sum((1, 2, 3), keepdim=True)
    offsets = (weights * (torch.arange(28.0) - 13.5)).sum((1, 2, 3))  # along a row
    assert 2.5 < float(offsets.max()) < 3.05
    assert -3.05 < float(offsets.min()) < -2.5
    assert len({round(offset, 3) for offset in offsets.tolist()}) > 150


# --- initial weights -------------------------------------------------------------------------------------------------


def test_permuting_keeps_the_numbers_and_the_structure() -> None:
    state = {
        1: torch.arange(24.0).view(2, 3, 4),
        2: torch.nn.init.dirac_(torch.empty(8, 8, 1, 1)),
        3: torch.tensor(5.0),
        4: torch.arange(100.0),
    }
    found = permuted(state, [1, 2, 3], seed=1)
    assert sorted(found[1].flatten().tolist()) == [float(number) for number in range(24)]
    rows = found[1].view(6, 4) % 4  # every row has the same order of columns
    assert all(row == rows[0].tolist() for row in rows.tolist())
    assert found[2].sum(0).flatten().tolist() == found[2].sum(1).flatten().tolist() == [1.0] * 8
    assert not torch.equal(found[2], state[2])
    assert (float(found[3]), found[4]) == (5.0, state[4])
    again = permuted(state, [3, 2, 1], seed=1)
    assert all(torch.equal(found[key], again[key]) for key in state)
    assert not torch.equal(found[1], permuted(state, [1], seed=2)[1])


def test_redrawing_keeps_mean_and_spread_only() -> None:
    state = {
        1: torch.arange(10_000.0),
        2: torch.ones(50),
        3: torch.arange(50),
        4: torch.empty(0),
        5: torch.arange(9.0),
    }
    found = redrawn(state, [1, 2, 3, 4], seed=1)
    assert float(found[1].mean()) == pytest.approx(float(state[1].mean()), rel=0.03)
    assert float(found[1].std()) == pytest.approx(float(state[1].std()), rel=0.03)
    assert len(set(found[1].tolist()) & set(state[1].tolist())) < 100
    assert found[2].tolist() == [1.0] * 50
    assert (sorted(found[3].tolist()), found[3].tolist() == state[3].tolist()) == (list(range(50)), False)
    assert found[4].numel() == 0
    assert found[5] is state[5]


# --- scores ----------------------------------------------------------------------------------------------------------

LOGITS = torch.randn((6, 10), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("scores", "kind"),
    [
        (LOGITS, "logits"),
        (LOGITS.log_softmax(1), "log-probabilities"),
        (LOGITS.softmax(1), "probabilities"),
        (LOGITS.sigmoid(), "logits"),
        (torch.zeros(6, 10), "logits"),
        (torch.full((6, 10), float("nan")), "logits"),
        ((LOGITS * 1000).log_softmax(1), "log-probabilities"),
        ((LOGITS * 1000).softmax(1), "probabilities"),
        (LOGITS.softmax(0), "logits"),
        (torch.full((6, 10), 0.1), "probabilities"),
    ],
)
def test_scores_are_told_apart_by_their_numbers(scores: torch.Tensor, kind: Kind) -> None:
    assert kind_of(scores) == kind


def test_every_kind_has_the_same_loss_and_gradient() -> None:
    labels = torch.arange(6)
    found = []
    for kind, transform in [
        ("logits", lambda x: x),
        ("log-probabilities", lambda x: x.log_softmax(1)),
        ("probabilities", lambda x: x.softmax(1)),
    ]:
        logits = LOGITS.clone().requires_grad_()
        loss = LOSSES[kind](transform(logits), labels)
        loss.backward()
        found.append((float(loss.detach()), logits.grad.flatten().tolist()))
    assert found[1] == (pytest.approx(found[0][0]), pytest.approx(found[0][1], abs=1e-6))
    assert found[2] == (pytest.approx(found[0][0]), pytest.approx(found[0][1], abs=1e-6))


def test_a_probability_of_zero_has_a_finite_loss_and_gradient() -> None:
    logits = torch.tensor([[0.0, 200.0]], requires_grad=True)
    loss = LOSSES["probabilities"](logits.softmax(1), torch.tensor([0]))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(87.3365, abs=1e-3)
    assert logits.grad.isfinite().all()


# --- the check -------------------------------------------------------------------------------------------------------

SPAN = Span("model.py", 3, 1, 3, 11)


def result(outcome: Any = None, *rows: tuple[float, float], errors: int | None = 79, reason: str = "") -> CheckResult:
    """Return what the check says of a report with this curve: pairs of training and held-out accuracy."""
    report = None
    if outcome is not None:
        curve = tuple(EpochRow(number, 0.1, train, held, 1.0) for number, (train, held) in enumerate(rows, 1))
        accuracy = None if errors is None else 100 - errors / 100
        report = TrainingReport(
            outcome, "", reason, 99.0, accuracy, errors, 10_000, None, 1, len(curve), 1.0, 1, "cpu", "logits", {}, curve
        )
    return check(subject(report), Options())


def subject(report: TrainingReport | None) -> Subject:
    empty = Program((), None)
    facts: dict[Mode, Facts] = {"eval": Facts("eval", 4, (), (), True)}
    return Subject(Graph("Net", (), empty, empty, span=SPAN), facts, {}, None, (1, 28, 28), 10, report)  # type: ignore[arg-type]


def test_without_training_the_check_is_skipped() -> None:
    assert result() == CheckResult("accuracy", "skipped", "not trained (add --train)", limit=99.0)


def test_a_confirmed_claim_passes_with_its_numbers() -> None:
    message = "99.21 % (79 errors in 10,000), target is 99.00 %"
    assert result("confirmed", (98.0, 99.1)) == CheckResult("accuracy", "pass", message, (), 99.21, 99.0)


def test_an_open_claim_is_an_error_with_its_reason() -> None:
    reason = "the budget of 20 s ended after epoch 1 of 3, held-out accuracy 98.1 %"
    message = f"accuracy could not be confirmed: {reason}"
    assert result("open", errors=None, reason=reason) == CheckResult("accuracy", "error", message, limit=99.0)


def test_a_near_miss_is_an_error_with_its_numbers_and_advice() -> None:
    reason = "104 errors are close to the 100 that the target allows: another seed or recipe may reach it"
    found = result("open", (99.0, 99.04), errors=104, reason=reason)
    message = "98.96 % (104 errors in 10,000), target is 99.00 %"
    why = "It came close: 99.04 % of the images that were held out, yet the test images decide."
    fix = "Leave yourself a margin: a few more channels in the widest layers, or one more convolution."
    finding = Finding("accuracy", "warning", message, why, fix, SPAN)
    reason = f"accuracy could not be confirmed: {reason}"
    assert found == CheckResult("accuracy", "error", reason, (finding,), 98.96, 99.0)


@pytest.mark.parametrize(
    ("errors", "rows", "why", "fix"),
    [
        (
            9020,
            [],
            "No gradient reaches a parameter, so training can't change what the model predicts.",
            "Look for detach(), .data or torch.no_grad() in forward, and for requires_grad=False.",
        ),
        (
            8865,
            [(11.0, 11.35)],
            "It never did better than guessing: the signal, or the gradient, dies on its way through the layers.",
            "Put batch normalisation after each convolution, and nothing between the last layer and the scores.",
        ),
        (
            101,
            [(98.0, 99.04), (98.4, 98.9)],
            "It came close: 99.04 % of the images that were held out, yet the test images decide.",
            "Leave yourself a margin: a few more channels in the widest layers, or one more convolution.",
        ),
        (
            155,
            [(94.0, 98.5), (95.0, 98.4)],
            "It is right on 98.50 % of new images, but on 95.00 % while dropout acts.",
            "Lower the dropout rate, 0.05 is often enough: a model this small has little to spare.",
        ),
        (
            250,
            [(99.8, 97.5)],
            "It is right on 99.80 % of the images it learns from, on 97.50 % of others.",
            "Let it generalise: more dropout, batch normalisation, fewer parameters where the map is large.",
        ),
        (
            1,
            [(96.0, 96.5)],
            "It is right on only 96.00 % of the images that it learns from: it can't express more.",
            "Give it room: more channels, and pooling later.",
        ),
    ],
)
def test_a_missed_claim_fails_with_advice(errors: int, rows: list[tuple[float, float]], why: str, fix: str) -> None:
    shown = "1 error" if errors == 1 else f"{errors:,} errors"
    message = f"{100 - errors / 100:.2f} % ({shown} in 10,000), target is 99.00 %"
    finding = Finding("accuracy", "error", message, why, fix, SPAN)
    assert result("missed", *rows, errors=errors) == CheckResult(
        "accuracy", "fail", message, (finding,), 100 - errors / 100, 99.0
    )


@pytest.mark.parametrize(
    ("seen", "why", "fix"),
    [
        (
            Seen(subject(None).facts["eval"], (6, 6), (Fraction(2), Fraction(2))),
            " A position of its last map sees 6×6 of the 28×28 pixels.",
            "4 more 3×3 convolutions",
        ),
        (
            Seen(subject(None).facts["eval"], (19, 40), (Fraction(4), Fraction(4))),
            " A position of its last map sees 19×40 of the 28×28 pixels.",
            "one more 3×3 convolution",
        ),
    ],
)
def test_a_model_that_sees_too_little_is_told_so(seen: Seen, why: str, fix: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("grader.checks.accuracy.look", lambda facts, silent: seen)
    (finding,) = result("missed", (96.0, 96.5)).findings
    assert finding.why == f"It is right on only 96.00 % of the images that it learns from: it can't express more.{why}"
    assert finding.fix == (
        f"Let it see all that an image shows, some 20 pixels: {fix} on the last map, each with batch normalisation"
        " and an activation. A second pooling by 2 before them halves that number."
    )


def test_guessing_is_a_matter_of_the_classes() -> None:
    assert [round(guessing(classes), 2) for classes in (2, 3, 10, 100)] == [55.56, 40.74, 20.0, 2.0]


def test_the_recipe_has_the_documented_defaults() -> None:
    assert msgspec.convert({"epochs": 2, "long": {"epochs": 4}}, Recipe) == Recipe(epochs=2, long=LongStage(epochs=4))
    common = {"batch": 128, "rise": 0.25, "momentum": 0.9, "weight_decay": 0.0005, "optimizer": "sgd"}
    assert msgspec.to_builtins(Options()) == {
        "target": 99.0,
        "claim": "model",
        "seeds": None,
        "sustained": None,
        "best": False,
        "recipe": {
            **common,
            "epochs": 2,
            "peak_lr": 0.3,
            "rotate": 0.0,
            "shift": 0.0,
            "medium": {**common, "epochs": 6, "peak_lr": 0.2, "rotate": 5.0, "shift": 0.5},
            "long": {
                **common,
                "epochs": 20,
                "peak_lr": 0.01,
                "weight_decay": 0.0,
                "optimizer": "adam",
                "rotate": 7.0,
                "shift": 0.0,
            },
        },
    }
