"""Faster ways of training: masks, layouts and bfloat16 change how a model is computed, never which."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from test_training import bench_of, net, replay_of, synthetic

from grader import ops
from grader.checks.accuracy import Stage
from grader.protocol import StageName
from grader.training import loop
from grader.training.loop import Run
from grader.training.pace import PLAIN, Agreed, Masks, Shortcuts, Way, agree, has_bfloat16, ways
from grader.training.stages import Stages

FAST = Way(channels_last=True)
FASTEST = Way(channels_last=True, bfloat16=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_a_mask_is_zero_or_what_makes_up_for_it(dtype: torch.dtype) -> None:
    mask = Masks(1)(0, torch.empty((3, 5, 7), dtype=dtype), 0.25)
    assert (mask.shape, mask.dtype) == ((3, 5, 7), dtype)
    assert set(mask.flatten().tolist()) == {0.0, float(torch.tensor(1 / 0.75, dtype=dtype))}


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_a_mask_drops_as_often_as_it_should(rate: float) -> None:
    count = 1_000_000
    dropped = int((Masks(3)(0, torch.empty(count), rate) == 0).sum())
    spread = (count * rate * (1 - rate)) ** 0.5
    assert abs(dropped - count * rate) < 4 * spread


def test_a_mask_lies_in_memory_as_the_numbers_do() -> None:
    maps = FAST.laid_out(torch.zeros((2, 3, 4, 5)))
    mask = Masks(1)(0, maps, 0.5)
    assert mask.stride() == maps.stride() == (60, 1, 15, 3)
    assert torch.equal(mask.permute(0, 2, 3, 1).flatten(), Masks(1)(0, torch.empty(120), 0.5))


def test_masks_follow_from_their_seed() -> None:
    like = torch.empty(10_001)
    draws = Masks(7)
    first, second = draws(0, like, 0.5), draws(1, like, 0.5)
    assert torch.equal(first, Masks(7)(0, like, 0.5))
    assert not torch.equal(first, second)
    assert not torch.equal(first, Masks(8)(0, like, 0.5))


def test_agreed_masks_are_the_same_in_every_layout_and_type() -> None:
    masks = Agreed(1)
    maps = torch.ones((2, 3, 4, 4))
    plain = maps * masks(5, maps, 0.5)
    other = FAST.laid_out(maps).bfloat16() * masks(5, FAST.laid_out(maps).bfloat16(), 0.5)
    assert torch.equal(plain, other.float())


@pytest.mark.parametrize("channels", [1, 3])
def test_channels_last_is_the_same_images_in_another_order(channels: int) -> None:
    images = torch.arange(2.0 * channels * 20).view(2, channels, 4, 5)
    found = FAST.laid_out(images)
    assert torch.equal(found, images)
    assert found.stride() == (20 * channels, 1, 5 * channels, channels)
    assert torch.nn.functional.conv2d(found, torch.ones((4, channels, 3, 3))).stride()[1] == 1
    assert PLAIN.laid_out(images) is images


REPLACED = {
    "the function": ("F.dropout(x, 0.25, self.training)", [0.25]),
    "the layer": ("self.drop(x)", [0.5]),
    "its default": ("F.dropout(x, training=self.training)", [0.5]),
    "torch's own": ("torch.dropout(x, 0.25, self.training)", [0.25]),
    "one that rests": ("F.dropout(x, 0.25, False)", []),
    "one in place": ("F.dropout(x.clone(), 0.25, self.training, True)", []),
    "one for whole channels": ("F.dropout2d(x, 0.25, self.training)", []),
    "one that keeps the variance": ("F.alpha_dropout(x, 0.25, self.training)", []),
    "one that drops next to nothing": ("F.dropout(x, 1e-9, self.training)", []),
    "one that drops all": ("F.dropout(x, 1.0, self.training)", []),
}


@pytest.mark.parametrize(("call", "rates"), REPLACED.values(), ids=REPLACED)
def test_which_dropouts_become_masks(call: str, rates: list[float]) -> None:
    layers = "self.fc = nn.Linear(784, 10)\nself.drop = nn.Dropout(0.5)"
    graph = replay_of(net(f"x = {call}\nreturn self.fc(x.flatten(1))", layers)).graph
    assert list(Shortcuts(graph).rates.values()) == rates


def test_a_dropout_is_a_product_with_its_mask() -> None:
    replay = replay_of(net("return self.fc(F.dropout(x, 0.25, self.training).flatten(1))"))
    images = torch.rand((4, 1, 28, 28))
    given: list[Any] = []

    def mask(index: int, like: torch.Tensor, rate: float) -> torch.Tensor:
        given.append((replay.graph.train.nodes[index].op, like.shape, rate))
        return torch.full_like(like, 2.0)

    state = replay.state()
    found = replay.run("train", images, state, Shortcuts(replay.graph).around(mask, PLAIN))
    assert torch.equal(found, replay.run("eval", 2 * images, replay.state()))
    assert given == [("torch.nn.functional.dropout", (4, 1, 28, 28), 0.25)]


def test_gradients_agree_within_what_is_tolerated() -> None:
    plain = [torch.tensor([3.0, 0.0]), torch.tensor(4.0)]
    near = [torch.tensor([3.0, 0.3]), torch.tensor(4.4)]
    assert [agree(plain, near, tolerated) for tolerated in (0.09, 0.11)] == [False, True]
    assert not agree(plain, plain[:1], 1.0)
    assert not agree(plain, [torch.tensor([float("nan"), 0.0]), torch.tensor(4.0)], 1.0)


def test_ways_are_those_that_the_processor_is_fast_at(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for known in (True, False):
        monkeypatch.setattr("grader.training.pace.has_bfloat16", lambda known=known: known)
        found[known] = [ways(exact=exact) for exact in (False, True)]
    assert found == {True: [(FASTEST, FAST), (FAST,)], False: [(FAST,), (FAST,)]}
    assert has_bfloat16() in (True, False)
    assert [way.shown for way in (FASTEST, FAST, PLAIN)] == [
        "bfloat16, channels last",
        "float32, channels last",
        "float32",
    ]


CONV = """\
self.a = nn.Conv2d(1, 8, 3, stride=2, padding=1)
self.norm = nn.BatchNorm2d(8)
self.b = nn.Conv2d(8, 8, 3, stride=2, padding=1)
self.fc = nn.Linear(8 * 49, 10)"""
BODY = "x = F.dropout(F.relu(self.norm(self.a(x))), 0.1, self.training)\nx = self.b(x)\n"


def run_of(text: str, name: StageName = "short", seed: int = 1) -> Run:
    data = synthetic(320)
    bench = bench_of(replay_of(text), data)
    stages = Stages(bench, (), 99.0, seed, torch.device("cpu"))
    return stages._begin(name, Stage(epochs=1, batch=64, peak_lr=0.05), stages.examine())


@pytest.mark.parametrize("ending", ["x.flatten(1)", "x.view(-1, 8 * 49)", "x.reshape(len(x), -1)"])
@pytest.mark.parametrize("way", [FAST, FASTEST], ids=lambda way: way.shown)
def test_each_way_comes_to_the_same_gradients(way: Way, ending: str) -> None:
    run = run_of(net(f"{BODY}return self.fc({ending})", CONV))
    images = run.bench.data.training.first(64)
    plain, other = run._gradients(PLAIN, images, 1), run._gradients(way, images, 1)
    assert (len(plain), agree(plain, other, way.tolerated)) == (8, True)
    assert not agree(plain, [2 * gradient for gradient in other], way.tolerated)


def test_a_run_takes_the_first_way_that_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    text = net(f"{BODY}return self.fc(x.flatten(1))", CONV)
    monkeypatch.setattr(loop, "ways", lambda *, exact: (FASTEST, FAST))
    assert run_of(text)._quickest(1) == FASTEST
    answers = iter([False, True])
    monkeypatch.setattr(loop, "agree", lambda plain, other, tolerated: next(answers))
    assert run_of(text)._quickest(1) == FAST
    monkeypatch.setattr(loop, "agree", lambda plain, other, tolerated: False)
    assert run_of(text)._quickest(1) == PLAIN


def test_only_the_short_stage_is_not_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(*, exact: bool) -> tuple[Way, ...]:
        asked.append(exact)
        return ()

    monkeypatch.setattr(loop, "ways", noted)
    names: tuple[StageName, ...] = ("short", "medium", "long")
    for name in names:
        run_of(net("return self.fc(x.flatten(1))"), name)._quickest(1)
    assert asked == [False, True, True]


def test_a_graph_that_cannot_be_run_otherwise_is_trained_the_plain_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes into a view: a copy in another order of memory would not take part in what is written."""
    text = net(f"{BODY}y = x.view(-1, 8 * 49)\ny.mul_(3.0)\nreturn self.fc(x.flatten(1))", CONV)
    monkeypatch.setattr(loop, "ways", lambda *, exact: (FAST,))
    assert run_of(text)._quickest(1) == PLAIN


def test_a_trial_changes_neither_the_model_nor_what_is_drawn() -> None:
    run = run_of(net(f"{BODY}x = x + 0.1 * torch.randn_like(x)\nreturn self.fc(x.flatten(1))", CONV))
    before = {key: tensor.detach().clone() for key, tensor in run.state.items()}
    drawn = torch.get_rng_state()
    run._quickest(1)
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(before[key], tensor) for key, tensor in run.state.items())
    assert [tensor.grad for tensor in run.state.values() if tensor.requires_grad] == [None] * 8


def test_a_run_with_masks_is_the_same_each_time() -> None:
    text = net(f"{BODY}return self.fc(x.flatten(1))", CONV)
    losses = [next(iter(run_of(text, seed=seed).epochs(seed))).loss for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_numbers_that_numpy_draws_are_even() -> None:
    """Each of the four parts of a drawn word decides about a number of its own."""
    kept = Masks(5)(0, torch.empty(4 * 100_000), 0.5).view(-1, 4).bool()
    counts = Counter(map(tuple, kept.tolist()))
    assert len(counts) == 16
    assert all(abs(count - 6_250) < 5 * np.sqrt(6_250) for count in counts.values())


def test_the_operators_that_are_looked_for_are_in_the_table() -> None:
    assert {"torch.nn.functional.dropout", "torch.dropout", "torch.Tensor.view"} <= set(ops.table())
