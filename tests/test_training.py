"""Training on synthetic images: what is trained, what is reported, and what leaves the claim open."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch.optim.adam import adam
from torch.optim.sgd import sgd

from grader import wire
from grader.checks.accuracy import Recipe, Stage
from grader.protocol import ClaimKind, EpochRow, Progress, TrainingReport, TrainRequest
from grader.replay import Replay
from grader.training import train
from grader.training.bench import Bench
from grader.training.budget import Budget
from grader.training.calibrate import Calibration
from grader.training.data import Data, Images, load
from grader.training.descent import Descent, rule_of
from grader.training.giving_up import Limits, hopeless
from grader.training.loop import rate
from grader.training.stages import REDRAWN, Stages
from grader.training.turns import finished
from tests.support import HEADER, capture_text

NORMALISE = ((0.5,), (0.25,))
CPU = torch.device("cpu")

LINEAR = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def net(forward: str, layers: str = "self.fc = nn.Linear(784, 10)") -> str:
    """Return a model with these statements in its constructor and this forward, one statement a line."""
    inside = "\n        ".join(layers.split("\n"))
    body = "\n        ".join(forward.split("\n"))
    return f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {inside}

    def forward(self, x):
        {body}
"""


def replay_of(text: str) -> Replay:
    graph, tensors, _ = wire.decode(capture_text(HEADER + text))
    return Replay(graph, tensors)


def synthetic(training: int = 640, classes: int = 10, noise: float = 40.0) -> Data:
    """Return images of ten random patterns under noise."""
    generator = torch.Generator().manual_seed(11)
    patterns = torch.rand((classes, 1, 28, 28), generator=generator) * 255

    def draw(count: int) -> Images:
        labels = torch.arange(count) % classes
        pixels = patterns[labels] + noise * torch.randn((count, 1, 28, 28), generator=generator)
        return Images(pixels.clamp(0, 255).to(torch.uint8), labels)

    return Data(draw(training), draw(200), draw(300))


def trained(
    text: str | Replay,
    *,
    target: float = 99.0,
    seed: int = 1,
    budget: float | None = None,
    device: str = "cpu",
    clock: Callable[[], float] = lambda: 0.0,
    progress: Callable[[Progress], None] = lambda progress: None,
    data: Data | None = None,
    threads: int = 1,
    claim: ClaimKind = "model",
    seeds: int = 1,
    sustained: int = 0,
    best: bool = False,
    **recipe: Any,
) -> TrainingReport:
    replay = replay_of(text) if isinstance(text, str) else text
    plan = {"epochs": 2, "batch": 64, "peak_lr": 0.05, "medium": None, "long": None, **recipe}
    request = TrainRequest(target, plan, seed, budget, threads, device, claim, seeds, sustained, best)
    return train(replay, request, NORMALISE, 10, (), progress, data=data or synthetic(), clock=clock)


def bench_of(replay: Replay, data: Data) -> Bench:
    calibration = Calibration(replay.graph)
    return Bench(replay, data, NORMALISE, 10, calibration, Budget(lambda: 0.0, None), lambda progress: None)


def test_a_model_that_reaches_the_target_is_confirmed() -> None:
    report = trained(LINEAR)
    assert (report.outcome, report.errors, report.accuracy, report.reason) == ("confirmed", 0, 100.0, "")
    assert report.claim == "this trained model makes at most 3 errors on the 300 test images"
    assert report.interval == pytest.approx((100 * 0.025 ** (1 / 300), 100.0))
    assert (report.target, report.images, report.seed, report.epochs, report.threads) == (99.0, 300, 1, 2, 1)
    assert [(row.epoch, row.stage) for row in report.curve] == [(1, "short"), (2, "short")]
    assert report.notes == ()


def test_the_recipe_is_reported_with_its_defaults() -> None:
    report = trained(LINEAR)
    expected = msgspec.to_builtins(Recipe(epochs=2, batch=64, peak_lr=0.05, medium=None, long=None))
    assert report.recipe == expected


def test_the_same_seed_gives_the_same_report_and_another_seed_another() -> None:
    text = net("return self.fc(F.dropout(x.flatten(1), 0.5, self.training))")
    first, again, other = trained(text), trained(text), trained(text, seed=2)
    assert first == again
    assert first.curve[0].loss != other.curve[0].loss


def test_progress_tells_where_training_stands() -> None:
    ticks = itertools.count()
    found: list[Progress] = []
    trained(LINEAR, clock=lambda: float(next(ticks)), progress=found.append)
    assert [(item.epoch, item.epochs, item.step, item.steps) for item in found] == [
        (1 + step // 10, 2, step + 1, 20) for step in range(20)
    ]


@pytest.mark.parametrize(
    ("forward", "kind"),
    [
        ("return self.fc(x.flatten(1))", "logits"),
        ("return torch.sigmoid(self.fc(x.flatten(1)))", "logits"),
        ("return F.log_softmax(self.fc(x.flatten(1)), dim=1)", "log-probabilities"),
        ("return F.softmax(self.fc(x.flatten(1)), dim=1)", "probabilities"),
        ("x = self.fc(x.flatten(1))\nreturn x if self.training else F.softmax(x, dim=1)", "logits"),
    ],
)
def test_every_kind_of_scores_is_learned_from(forward: str, kind: str) -> None:
    report = trained(net(forward))
    assert (report.output, report.outcome) == (kind, "confirmed")


def test_a_missed_target_is_followed_by_the_long_stage() -> None:
    data = synthetic(noise=400.0)
    report = trained(LINEAR, data=data, long={"epochs": 3, "peak_lr": 0.01, "rotate": 3.0})
    assert report.outcome == "missed"
    assert [(row.epoch, row.stage) for row in report.curve] == [
        (1, "short"), (2, "short"), (1, "long"), (2, "long"), (3, "long")
    ]  # fmt: skip
    assert report.accuracy == pytest.approx(100 * (300 - (report.errors or 0)) / 300)
    assert report.epochs == 5


def test_a_medium_stage_that_is_the_last_is_trained_however_far_the_short_one_was() -> None:
    report = trained(LINEAR, data=synthetic(noise=400.0), medium={"epochs": 3, "batch": 64, "peak_lr": 0.01})
    assert [row.stage for row in report.curve] == ["short"] * 2 + ["medium"] * 3
    assert (report.outcome, report.errors) == ("missed", report.curve[-1].test_errors)


def test_the_long_stage_can_confirm() -> None:
    report = trained(LINEAR, peak_lr=1e-6, long={"epochs": 2, "batch": 64, "peak_lr": 0.05})
    assert (report.outcome, report.curve[-1].stage) == ("confirmed", "long")


# --- what is trained -------------------------------------------------------------------------------------------------

PARTS = net(
    "return self.fc(x.flatten(1)) * self.scale",
    "self.fc = nn.Linear(784, 10)\nself.scale = nn.Parameter(torch.rand(10) + 1, requires_grad=False)\n"
    "self.unused = nn.Linear(3, 2)\nself.register_buffer('mask', torch.arange(4.0))",
)


def test_only_parameters_that_a_gradient_reaches_change() -> None:
    replay = replay_of(PARTS)
    names = {info.id: info.name for info in replay.graph.tensors}
    stages = Stages(bench_of(replay, synthetic()), (), 99.0, 1, CPU)
    run = finished(stages.train("short", Recipe(epochs=1, batch=64, peak_lr=0.05), stages.examine()))
    assert run is not None
    start = stages.start()
    changed = {names[key] for key, tensor in run.state.items() if not torch.equal(tensor, start[key])}
    assert changed == {"fc.weight", "fc.bias"}


def test_trained_weights_are_worthless_as_a_start() -> None:
    replay = replay_of(LINEAR)
    bench = bench_of(replay, synthetic())
    stages = Stages(bench, (), 99.0, 1, CPU)
    run = finished(stages.train("short", Recipe(epochs=2, batch=64, peak_lr=0.05), stages.examine()))
    assert run is not None
    assert bench.errors(bench.data.test, run.state) == 0
    pretrained = Replay(replay.graph, {key: tensor.detach() for key, tensor in run.state.items()})
    again = bench_of(pretrained, synthetic())
    assert again.errors(again.data.test, Stages(again, (), 99.0, 2, CPU).start()) > 200  # of 300: guessing


def test_a_model_that_is_right_too_early_is_trained_from_random_weights() -> None:
    report = trained(LINEAR, data=synthetic(training=2000, noise=10.0), epochs=1)
    assert report.outcome == "confirmed"
    assert report.notes == (REDRAWN,)
    assert [row.epoch for row in report.curve] == [1]


@pytest.mark.parametrize(
    "forward",
    [
        "return self.fc(x.flatten(1)).detach()",
        "with torch.no_grad():\n    x = self.fc(x.flatten(1))\nreturn x",
    ],
)
def test_a_model_with_nothing_to_learn_misses(forward: str) -> None:
    report = trained(net(forward))
    assert (report.outcome, report.epochs) == ("missed", 0)
    assert report.notes == ("no gradient reaches a parameter: the model was not trained",)


# --- what leaves the claim open --------------------------------------------------------------------------------------

SQUARE = """
class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return Square.apply(self.fc(x.flatten(1)))
"""


def test_a_custom_gradient_is_not_trained() -> None:
    report = trained(SQUARE)
    expected = "the custom autograd function at model.py:6 has its own backward, which the graph does not hold"
    assert (report.outcome, report.reason, report.epochs) == ("open", expected, 0)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (".view(-1, 10, 1, 1)", "on 64 images the output is of shape (64, 10, 1, 1), expected (64, 10)"),
        ("[:, :5]", "on 64 images the output is of shape (64, 5), expected (64, 10)"),
        (".long()", "the output holds int64 numbers, expected scores"),
    ],
)
def test_an_output_that_is_no_row_of_scores_is_open(end: str, reason: str) -> None:
    report = trained(net(f"return self.fc(x.flatten(1)){end}"))
    assert (report.outcome, report.reason) == ("open", reason)


def test_a_gradient_that_torch_refuses_is_open() -> None:
    report = trained(net("x = self.fc(x.flatten(1)).exp()\nx.add_(1)\nreturn x"))
    assert report.outcome == "open"
    assert report.reason.startswith("the gradient can't be computed: one of the variables needed for gradient")


def test_a_loss_that_is_not_finite_is_tried_again_at_lower_rates_and_then_left_open() -> None:
    text = net("return self.fc(x.flatten(1)).exp().exp().exp()")
    report = trained(text, long={"epochs": 1, "peak_lr": 0.09, "shift": 1})
    assert report.outcome == "open"
    assert report.reason == "the loss did not stay finite at any peak learning rate down to 0.0011"
    assert report.notes == tuple(
        f"the {name} stage at a peak learning rate of {peak} had a loss that was not finite at step {step} of {steps}"
        for name, peak, step, steps in [
            ("short", "0.05", 0, 20),
            ("short", "0.017", 0, 20),
            ("long", "0.01", 0, 5),
            ("long", "0.0033", 0, 5),
            ("long", "0.0011", 0, 5),
        ]
    )


def test_a_rate_that_is_too_high_is_lowered() -> None:
    layers = "self.a = nn.Linear(784, 32)\nself.fc = nn.Linear(32, 10)"
    text = net("return self.fc(F.relu(self.a(x.flatten(1))))", layers)
    report = trained(text, peak_lr=10.0, epochs=5, target=50.0, long={"epochs": 5, "batch": 64, "peak_lr": 0.5})
    assert report.outcome == "confirmed"
    assert [note.split(" of 10 ")[0] for note in report.notes[:1]] == ["the short stage at a peak learning rate"]


def test_a_run_that_only_guesses_is_begun_again() -> None:
    report = trained(LINEAR, peak_lr=1e-7, long={"epochs": 2, "batch": 64, "peak_lr": 0.15})
    assert report.outcome == "confirmed"
    assert report.notes == (
        "the short stage at a peak learning rate of 1e-07 did no better than guessing at step 10 of 20",
        (
            "after the short stage 193 of the 200 held-out images were wrong, too many for 99 %: "
            "the test images were not looked at"
        ),
    )


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        (0.5, "the budget of 0.5 s ended at step 0 of 20"),
        (15.5, "the budget of 15.5 s ended at step 7 of 20"),
        (30.5, "the budget of 30.5 s ended after epoch 1 of 2, held-out accuracy 100.0 %"),
        (45.5, "the budget of 45.5 s ended after epoch 2 of 2, held-out accuracy 100.0 %"),
    ],
)
def test_a_budget_ends_in_a_report_with_what_is_known(seconds: float, reason: str) -> None:
    ticks = itertools.count()
    report = trained(LINEAR, budget=seconds, clock=lambda: float(next(ticks)))
    assert (report.outcome, report.reason) == ("open", reason)


def test_a_budget_that_ends_in_the_long_stage_says_so() -> None:
    ticks = itertools.count()
    clock, data = lambda: float(next(ticks)), synthetic(noise=150.0)
    recipe = {"peak_lr": 0.002, "long": {"epochs": 2, "batch": 64, "peak_lr": 0.002, "rotate": 0, "shift": 0}}
    report = trained(LINEAR, budget=75.5, clock=clock, data=data, target=100.0, **recipe)
    assert report.outcome == "open"
    assert report.notes == (
        (
            "after the short stage 4 of the 200 held-out images were wrong, too many for 100 %: "
            "the test images were not looked at"
        ),
    )
    accuracy = f"{report.curve[-1].held_out_accuracy:.1f}"
    assert report.reason == (
        f"the budget of 75.5 s ended after epoch 1 of 2 of the long stage, held-out accuracy {accuracy} %"
    )
    assert (report.errors, report.accuracy) == (None, None)
    assert [row.stage for row in report.curve] == ["short", "short", "long"]


def test_a_budget_counts_where_nothing_can_be_learned() -> None:
    ticks = itertools.count()
    text = net("return self.fc(x.flatten(1)).detach()")
    report = trained(text, budget=0.5, clock=lambda: float(next(ticks)))
    assert report.reason == "the budget of 0.5 s ended before the test images were classified"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_absent_is_open() -> None:
    report = trained(LINEAR, device="cuda")
    assert (report.outcome, report.reason) == ("open", "there is no CUDA device here (use --device cpu)")


def test_images_of_another_shape_are_open() -> None:
    data = synthetic()
    parts = (data.training, data.held_out, data.test)
    wide = Data(*(Images(part.pixels.repeat(1, 1, 1, 2), part.labels) for part in parts))
    report = trained(LINEAR, data=wide)
    assert report.outcome == "open"
    assert report.reason.startswith("the captured graph does not run on the training images: linear failed: ")


# --- decisions -------------------------------------------------------------------------------------------------------


LIMITS = Limits(after=0.5, times=8, floor=4, patience=3, progress=0.9)


@pytest.mark.parametrize(
    ("accuracies", "target", "expected"),
    [
        ([50, 60, 70, 80], 99.0, ""),  # it still learns
        ([80, 80, 80], 99.0, ""),  # too early to tell
        (
            [80, 80, 80, 80],
            99.0,
            (
                "20.0 % of held-out images wrong, more than 8 times the 1 % that the target allows, and not falling"
                " (20.0 → 20.0 in 3 epochs)"
            ),
        ),
        (
            [80, 80.5, 80.9, 80.4],
            98.0,
            (
                "19.6 % of held-out images wrong, more than 8 times the 2 % that the target allows, and not falling"
                " (20.0 → 19.1 in 3 epochs)"
            ),
        ),
        ([80, 80, 80, 83], 99.0, ""),
        ([95, 95, 95, 95], 99.0, ""),  # too near to the target
        ([97, 97, 97, 97], 99.9, ""),  # a rate near its peak may hold it there
        (
            [95, 95, 95, 95],
            99.9,
            (
                "5.0 % of held-out images wrong, more than the 4 % from which a run may recover, and not falling"
                " (5.0 → 5.0 in 3 epochs)"
            ),
        ),
    ],
)
def test_hopeless_means_far_and_slow(accuracies: list[float], target: float, expected: str) -> None:
    rows = [EpochRow(number, 1.0, 0.0, accuracy, 0.0) for number, accuracy in enumerate(accuracies)]
    assert hopeless(rows, 8, target, LIMITS) == expected


def test_a_run_is_given_up_from_a_share_of_its_epochs_on_and_not_at_its_end() -> None:
    rows = [EpochRow(number, 1.0, 20.0, 20.0, 0.0) for number in range(1, 21)]
    given_up = [len(rows[:count]) for count in range(21) if hopeless(rows[:count], 20, 99.0, LIMITS)]
    assert given_up == [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]


def test_a_hopeless_long_stage_is_given_up() -> None:
    text = net("return self.fc(x.mean((1, 2, 3)).view(-1, 1))", "self.fc = nn.Linear(1, 10)")
    report = trained(text, long={"epochs": 8, "batch": 64, "peak_lr": 1e-5})
    assert report.outcome == "missed"
    assert report.notes[-1] == (
        "the long stage was given up after epoch 4 of 8: 90.0 % of held-out images wrong, more than 12 times the 1 % "
        "that the target allows, and not falling (90.0 → 90.0 in 3 epochs)"
    )
    assert report.curve[-1].test_errors == report.errors  # a verdict has its number
    assert [row.epoch for row in report.curve if row.stage == "long"] == [1, 2, 3, 4]


def test_the_learning_rate_rises_and_falls_linearly() -> None:
    found = [rate(step, 8, 1.0, 0.25) for step in range(8)]
    assert found == pytest.approx([1 / 2, 1, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])


def test_images_left_over_by_the_batches_wait_for_another_epoch() -> None:
    replay = replay_of(LINEAR)
    found: list[Progress] = []
    ticks = itertools.count()
    trained(replay, data=synthetic(training=150), clock=lambda: float(next(ticks)), progress=found.append)
    assert [(item.epoch, item.step, item.steps) for item in found] == [(1, 1, 4), (1, 2, 4), (2, 3, 4), (2, 4, 4)]


def test_descent_follows_torch() -> None:
    start = torch.randn(5, generator=torch.Generator().manual_seed(1))
    ours, theirs, velocity = start.clone(), start.clone(), [None]
    descent = Descent([ours], 0.9, 0.01)
    for step in range(3):
        gradient = torch.full((5,), step + 1.0)
        ours.grad = gradient.clone()
        descent.step(0.1)
        options = {"weight_decay": 0.01, "momentum": 0.9, "lr": 0.1, "dampening": 0.0, "nesterov": True}
        sgd([theirs], [gradient], velocity, has_sparse_grad=False, foreach=False, maximize=False, **options)
    assert torch.allclose(ours, theirs, rtol=1e-6, atol=0)


def test_adam_follows_torch() -> None:
    start = torch.randn(5, generator=torch.Generator().manual_seed(1))
    ours, theirs = start.clone(), start.clone()
    state = {name: [torch.zeros(5)] for name in ("means", "squares")}
    counts = [torch.tensor(0.0)]
    rule = rule_of(Stage(optimizer="adam", weight_decay=0.01), [ours])
    for step in range(4):
        gradient = torch.linspace(-2, 3, 5) * (step + 1.0)
        ours.grad = gradient.clone()
        rule.step(0.1)
        options = {"amsgrad": False, "beta1": 0.9, "beta2": 0.999, "lr": 0.1, "weight_decay": 0.01, "eps": 1e-8}
        lists = ([theirs], [gradient], state["means"], state["squares"], [], counts)
        adam(*lists, foreach=False, maximize=False, **options)
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("errors", "outcome"), [(3, "confirmed"), (4, "open"), (5, "missed")])
def test_a_near_miss_is_left_open(errors: int, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Bench, "errors", lambda self, images, state: errors if len(images) == 300 else 1)
    report = trained(LINEAR)
    assert (report.outcome, report.errors) == (outcome, errors)
    told = "4 errors are close to the 3 that the target allows: another seed or recipe may reach it"
    assert report.reason == (told if outcome == "open" else "")


def test_a_parameter_without_a_gradient_stays() -> None:
    for optimizer in ("sgd", "adam"):
        still = torch.ones(3)
        rule_of(msgspec.convert({"optimizer": optimizer}, Stage), [still]).step(0.1)
        assert torch.equal(still, torch.ones(3))


def test_a_model_that_learns_is_not_given_up_for_statistics_that_lag() -> None:
    rows = [EpochRow(number, 1.0, 95.0, 80.0, 0.0) for number in range(1, 9)]
    assert hopeless(rows, 16, 99.0, LIMITS) == ""
    assert hopeless([msgspec.structs.replace(row, train_accuracy=91.0) for row in rows], 16, 99.0, LIMITS) != ""


# --- batch normalisation ---------------------------------------------------------------------------------------------


def norm(momentum: str) -> str:
    layers = f"self.norm = nn.BatchNorm2d(1, momentum={momentum})\nself.fc = nn.Linear(784, 10)"
    return net("return self.fc(self.norm(x).flatten(1))", layers)


@pytest.mark.parametrize(("momentum", "count"), [("None", 1), ("0.9", 1), ("0.3", 1), ("0.1", 0), ("0.01", 0)])
def test_statistics_that_follow_the_last_batches_are_found(momentum: str, count: int) -> None:
    assert len(Calibration(replay_of(norm(momentum)).graph).statistics) == count


def test_calibration_averages_over_all_batches() -> None:
    replay = replay_of(norm("None"))
    names = {info.name: info.id for info in replay.graph.tensors}
    batches = [torch.randn((16, 1, 28, 28), generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    state = replay.state()
    Calibration(replay.graph).run(replay, batches, state)
    mean, var = state[names["norm.running_mean"]], state[names["norm.running_var"]]
    assert float(mean) == pytest.approx(sum(float(batch.mean()) for batch in batches) / 4, abs=1e-6)
    assert float(var) == pytest.approx(sum(float(batch.var()) for batch in batches) / 4, rel=1e-5)


def test_a_cumulative_average_is_confirmed() -> None:
    assert trained(norm("None")).outcome == "confirmed"


def test_the_submitted_tensors_stay_as_they_were() -> None:
    replay = replay_of(norm("0.1"))
    before = {key: tensor.clone() for key, tensor in replay.tensors.items()}
    trained(replay)
    assert all(torch.equal(tensor, before[key]) for key, tensor in replay.tensors.items())
    assert not any(tensor.requires_grad for tensor in replay.tensors.values())


# --- the reference model on MNIST ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_reference_model_learns_and_what_it_learned_is_worthless_as_a_start() -> None:
    text = (Path(__file__).parent.parent / "reference_model" / "model.py").read_text(encoding="utf-8")
    graph, tensors, _ = wire.decode(capture_text(text))
    data, normalise = load(), ((0.1307,), (0.3081,))

    def stages(of: dict[int, torch.Tensor], seed: int) -> Stages:
        replay = Replay(graph, of)
        budget = Budget(time.monotonic, None)
        bench = Bench(replay, data, normalise, 10, Calibration(graph), budget, lambda progress: None)
        return Stages(bench, (), 99.0, seed, CPU)

    fresh = stages(tensors, 1)
    run = finished(fresh.train("short", Recipe(epochs=2), fresh.examine()))
    assert run is not None
    assert fresh.bench.accuracy(data.test, run.state) > 98.0

    pretrained = stages({key: tensor.detach() for key, tensor in run.state.items()}, 2)
    first = data.held_out.first(1000)
    with torch.no_grad():
        scores = pretrained.bench.scores("train", pretrained.bench.feed(first), pretrained.start())
    assert int((scores.argmax(1) == first.labels).sum()) < 300
