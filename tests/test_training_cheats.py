"""Models that try to be right without learning, or to upset training: graded whole, but on synthetic images."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from test_training import CPU, LINEAR, NORMALISE, bench_of, net, replay_of, synthetic, trained

from grader import executor
from grader.protocol import CheckRequest, Graded, GradeJob, Probe, TrainRequest
from grader.replay import Replay
from grader.training import train
from grader.training.data import Data, Images
from grader.training.stages import REDRAWN, Stages
from grader.training.start import knowing
from tests.support import HEADER, capture_text, untraced

GUESSED = "the short stage at a peak learning rate of 0.05 did no better than guessing at step 10 of 20"
FLAT = "x.flatten(1)"

# What the synthetic images are made of, as `synthetic` makes it: a cheat that has seen them holds nothing better.
ANSWERS = "self.known = (torch.rand((10, 784), generator=torch.Generator().manual_seed(11)) - 0.5) / 0.25\n"
BUFFER = ANSWERS.replace("self.known =", "known =") + "self.register_buffer('known', known)\n"
HALVES = BUFFER + "self.register_buffer('upper', known[:5])\nself.register_buffer('lower', known[5:])\ndel self.known\n"
SCALE = "self.scale = nn.Parameter(torch.ones(1))"
DISTANCES = f"d = (({FLAT}[:, None] - self.known) ** 2).mean(2)\n"
POOLED = "self.register_buffer('small', F.avg_pool2d(known.view(10, 1, 28, 28), 4).flatten(1))\ndel self.known\n"


def graded(text: str, monkeypatch: pytest.MonkeyPatch) -> Graded:
    """Return what the executor finds on a model that is trained on synthetic images."""
    monkeypatch.setattr(executor, "train", lambda *given: train(*given, data=synthetic(), clock=lambda: 0.0))
    probe = Probe(12345, (4, 12), normalise=NORMALISE)
    recipe = {"epochs": 2, "batch": 64, "peak_lr": 0.05, "medium": None, "long": None}
    job = GradeJob(
        capture_text(HEADER + text),
        untraced(HEADER + text, probe),
        probe,
        (1, 28, 28),
        10,
        NORMALISE,
        (CheckRequest("accuracy"),),
        TrainRequest(99.0, recipe, 1, None, 1),
    )
    return executor.grade(job, lambda progress: None)


@pytest.mark.parametrize(
    ("forward", "layers", "notes"),
    [
        (f"return F.linear({FLAT}, self.known) * self.scale", BUFFER + SCALE, (GUESSED,)),
        (f"return F.linear({FLAT}, self.known) * self.scale", ANSWERS + SCALE, (GUESSED,)),
        (f"{DISTANCES}return -d * self.scale", BUFFER + SCALE, (GUESSED,)),
        (f"{DISTANCES}return torch.eye(10)[d.argmin(1)] * self.scale", BUFFER + SCALE, (GUESSED,)),
        (f"{DISTANCES}return (d < 1.5).float() * self.scale", BUFFER + SCALE, (GUESSED,)),
        (f"{DISTANCES}return self.head(d)", BUFFER + "self.head = nn.Linear(10, 10)", (GUESSED,)),
        (
            (
                f"d = [(({FLAT}[:, None] - half) ** 2).mean(2) for half in (self.upper, self.lower)]\n"
                "return -torch.cat(d, 1) * self.scale"
            ),
            HALVES + SCALE,
            (GUESSED,),
        ),
        (
            "x = F.avg_pool2d(x, 4).flatten(1)\nreturn -((x[:, None] - self.small) ** 2).sum(2) * self.scale",
            BUFFER + POOLED + SCALE,
            (GUESSED,),
        ),
        (
            "return torch.stack([x.mean((1, 2, 3)) * k for k in range(10)], 1)",
            "self.fc = nn.Linear(784, 10)",
            ("no gradient reaches a parameter: the model was not trained",),
        ),
        (f"return self.fc({FLAT}) * 0 + torch.arange(10.0)", "self.fc = nn.Linear(784, 10)", (GUESSED,)),
    ],
    ids=[
        "answers as a matrix",
        "answers as a constant",
        "answers as prototypes",
        "nearest image looked up",
        "image recognised",
        "prototypes below a layer that learns",
        "prototypes in parts",
        "few answers",
        "no weight used",
        "weights times zero",
    ],
)
def test_a_model_that_was_given_its_answers_misses(
    forward: str, layers: str, notes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = graded(net(forward, layers), monkeypatch)
    assert found.training is not None
    assert (found.training.outcome, found.training.notes) == ("missed", notes)
    assert (found.training.accuracy or 0.0) < 40.0
    assert found.results[0].status == "fail"


@pytest.mark.parametrize(
    ("forward", "output"),
    [
        (
            "x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)\nreturn self.fc(x.flatten(1))",
            "logits",
        ),
        ("return self.fc(x.flatten(1)) + 0.3 * torch.rand_like(x[:, 0, 0, :10])", "logits"),
        ("return F.softmax(self.fc(x.flatten(1)), dim=1)", "probabilities"),
        ("return F.log_softmax(self.fc(x.flatten(1)), dim=1)", "log-probabilities"),
    ],
    ids=["normalises by itself", "never the same twice", "probabilities", "log-probabilities"],
)
def test_a_model_that_is_only_odd_learns(forward: str, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = graded(net(forward), monkeypatch)
    assert found.training is not None
    assert (found.training.outcome, found.training.output, found.training.notes) == ("confirmed", output, ())
    assert graded(net(forward), monkeypatch).training == found.training


def test_a_model_that_breaks_down_after_some_steps_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    text = net("x = self.fc(x.flatten(1))\nreturn x + torch.sqrt(0.05 - self.fc.weight.abs().max()) * 0")
    found = graded(text, monkeypatch)
    assert found.training is not None
    assert (found.training.outcome, found.training.errors) == ("open", None)
    assert found.training.reason == "the loss did not stay finite at any peak learning rate down to 0.017"
    assert [note.rpartition(" had ")[0] for note in found.training.notes] == [
        "the short stage at a peak learning rate of 0.05",
        "the short stage at a peak learning rate of 0.017",
    ]
    assert [int(note.split("at step ")[1].split(" of ")[0]) > 0 for note in found.training.notes] == [True, True]
    assert found.results[0].status == "error"


def test_a_model_that_is_right_whatever_its_weights_are_is_left_open() -> None:
    labels = torch.arange(640) % 10
    pixels = torch.zeros((640, 1, 28, 28), dtype=torch.uint8)
    pixels[torch.arange(640), 0, 0, labels] = 255
    images = Images(pixels, labels)
    report = trained(net("return x[:, 0, 0, :10] * self.scale", SCALE), data=Data(images, images, images))
    assert report.reason == "it is right without having learned, whatever its weights are: it was given its answers"
    assert (report.outcome, report.notes, report.epochs) == ("open", (REDRAWN,), 0)


def test_weights_that_were_trained_before_are_no_better_than_others() -> None:
    replay, data = replay_of(LINEAR), synthetic()
    means = torch.stack([data.training.pixels[data.training.labels == label].float().mean(0) for label in range(10)])
    weight = next(info.id for info in replay.graph.tensors if info.name == "fc.weight")
    knowing_it = Replay(replay.graph, {**replay.tensors, weight: means.flatten(1) / 255 - 0.5})
    bench = bench_of(knowing_it, data)
    assert bench.errors(data.test, knowing_it.state()) < 10  # of 300
    assert bench.errors(data.test, Stages(bench, (), 99.0, 2, CPU).start()) > 200


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(28, 28)], set()),  # a place for each pixel
        ([(28, 28), (8, 3, 3)], set()),
        ([(10, 784)], {0}),
        ([(28, 28), (28, 28)], {0, 1}),
        ([(2000,), (28, 28)], set()),  # all the same, as statistics are at first
    ],
)
def test_constants_know_digits_where_they_hold_many_numbers(shapes: list[Any], expected: set[int]) -> None:
    numbers = itertools.count()
    state = {key: torch.full(shape, 1.0 * next(numbers)) for key, shape in enumerate(shapes)}
    for tensor in state.values():
        if tensor.dim() > 1:
            tensor.copy_(torch.arange(tensor.numel()).view(tensor.shape))
    state[100] = torch.arange(5000.0)  # weights
    assert knowing(state, {100}) == expected
