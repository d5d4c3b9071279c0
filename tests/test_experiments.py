"""What the trusted side finds out by changing one thing in a graph with other learned tensors."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from support import HEADER, graded

from grader import executor
from grader.checks.global_average_pool import last_maps
from grader.experiments import Laboratory
from grader.protocol import CheckRequest

INIT = (
    "self.conv = nn.Conv2d(1, 6, 3)\nself.norm = nn.BatchNorm2d(6)\nself.drop = nn.Dropout(0.3)\nself.head = nn.Conv2d(6, 10, 1)\n"
    "self.zero = nn.Parameter(torch.zeros(1))\nself.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)"
)
BODY = "y = self.drop(F.relu(self.norm(self.conv(x))))\n"
TAIL = "return self.head(y).mean((2, 3))"

Open = Callable[[str], Laboratory]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Return what gives the laboratory in which a submission with this forward is graded."""
    kept: list[Laboratory] = []

    class Kept(Laboratory):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            kept.append(self)

    def laboratory(forward: str, init: str = "") -> Laboratory:
        lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
        lines += [f"        {line}" for line in (INIT + "\n" + init).splitlines()]
        lines += ["    def forward(self, x):", *[f"        {line}" for line in forward.splitlines()]]
        graded(HEADER + "\n".join(lines) + "\n", CheckRequest("output"))
        return kept[-1]

    monkeypatch.setattr(executor, "Laboratory", Kept)
    return laboratory


def of_kind(laboratory: Laboratory, kind: str) -> list[int]:
    return [step.index for step in laboratory.facts["train"].steps if step.kind == kind]


@pytest.mark.parametrize(
    ("forward", "effect"),
    [
        (BODY + TAIL, True),
        ("y = self.conv(x)\ny = y + 0 * self.drop(y)\n" + TAIL, False),
        ("y = self.conv(x)\ny = y + self.frozen * self.drop(y)\n" + TAIL, False),
        ("y = self.conv(x)\ny = y + self.zero * self.drop(y)\n" + TAIL, True),
        ("y = self.conv(x)\ny = y + self.zero.detach() * self.drop(y)\n" + TAIL, False),
        ("y = self.conv(x)\ny = y + (self.zero * self.zero - self.zero ** 2) * self.drop(y)\n" + TAIL, False),
        ("y = self.conv(x)\nself.drop(y)\n" + TAIL, False),
        ("y = self.conv(x)\nz = self.drop(y)\ny = y + z - z\n" + TAIL, False),
        ("y = self.drop(self.drop(self.conv(x)))\n" + TAIL, True),
        ("y = self.conv(x)\nF.dropout(y, 0.3, self.training, inplace=True)\n" + TAIL, True),
        ("y = self.drop(torch.zeros_like(self.conv(x))) + self.conv(x)\n" + TAIL, False),
    ],
)
def test_effect_of_dropout(opened: Open, forward: str, effect: bool) -> None:
    laboratory = opened(forward)
    drops = of_kind(laboratory, "dropout")
    assert laboratory.matters("train", dict.fromkeys(drops, "identity")) is effect


@pytest.mark.parametrize(
    ("forward", "effect"),
    [
        (BODY + TAIL, True),
        ("y = self.norm(self.norm(self.conv(x)))\n" + TAIL, True),
        ("y = self.conv(x)\nself.norm(y)\n" + TAIL, False),
        ("y = self.conv(x) + 0 * self.norm(self.conv(x))\n" + TAIL, False),
    ],
)
def test_effect_of_batch_norm(opened: Open, forward: str, effect: bool) -> None:
    laboratory = opened(forward)
    norms = of_kind(laboratory, "batch-norm")
    assert laboratory.matters("train", dict.fromkeys(norms, "fixed-statistics")) is effect


def test_nothing_replaced_changes_nothing(opened: Open) -> None:
    """Random nodes draw the same numbers in every run."""
    laboratory = opened(BODY + "y = y + torch.randn_like(y)\n" + TAIL)
    assert laboratory.matters("train", {}) is False


def test_one_of_two_random_nodes_leaves_the_other_alone(opened: Open) -> None:
    laboratory = opened("y = self.conv(x)\nself.drop(y)\ny = self.drop(y)\n" + TAIL)
    first, second = of_kind(laboratory, "dropout")
    assert laboratory.matters("train", {first: "identity"}) is False
    assert laboratory.matters("train", {second: "identity"}) is True


@pytest.mark.parametrize(
    ("tail", "pooled", "used"),
    [
        ("return self.head(y).mean((2, 3))", True, True),
        ("return self.head(F.adaptive_avg_pool2d(y, 1)).flatten(1)", True, True),
        ("return F.avg_pool2d(self.head(y), 26).squeeze()", True, True),
        ("return self.head(y).sum((2, 3)) / 676", True, True),
        ("return torch.einsum('nchw->nc', self.head(y))", True, True),
        ("return self.head(F.avg_pool2d(y, 2)).flatten(2).mean(2)", True, True),
        ("return F.avg_pool2d(F.pad(self.head(y), (1, 1, 1, 1)), 28).flatten(1)", True, True),
        ("return F.log_softmax(self.head(y).mean((2, 3)), 1)", True, True),
        ("return self.head(y).amax((2, 3))", False, True),
        ("return self.head(y)[:, :, 0, 0]", False, True),
        ("return self.head(y)[:, :, 1:].mean((2, 3))", False, True),
        ("return F.avg_pool2d(self.head(y), 25).flatten(1)", False, True),
        ("return self.head(y).mean((2, 3)) + self.head(y).amax((2, 3))", False, True),
        ("return self.head(y).std((2, 3))", False, False),
        ("return 0 * self.head(y).mean((2, 3)) + 1", False, False),
    ],
)
def test_averages(opened: Open, tail: str, pooled: bool, used: bool) -> None:
    laboratory = opened(BODY + tail)
    edges = tuple(last_maps(laboratory.facts["eval"]))
    found = laboratory.averages("eval", edges)
    assert (found.pooled, found.used) == (pooled, used)


def test_culprit_is_the_edge_through_which_more_gets(opened: Open) -> None:
    laboratory = opened(BODY + "y = self.head(y)\nreturn y.mean((2, 3)) + y.amax((2, 3))")
    edges = tuple(last_maps(laboratory.facts["eval"]))
    culprits = laboratory.averages("eval", edges).culprits
    assert [edge.step.short for edge in culprits] == ["amax"]


@pytest.mark.parametrize(
    ("forward", "follows"),
    [
        (BODY + TAIL, True),
        ("return torch.ones(x.size(0), 10) + self.zero", False),
        (BODY + "return 0 * self.head(y).mean((2, 3))", False),
        ("return torch.randn(x.size(0), 10)", False),
        ("y = self.conv(x)\n" + TAIL + " + torch.randn(x.size(0), 10)", True),
    ],
)
def test_follows_input(opened: Open, forward: str, follows: bool) -> None:
    assert opened(forward).follows_input("train") is follows


def test_varies(opened: Open) -> None:
    laboratory = opened(
        "w = torch.ones(6, 3) * torch.arange(3.0)\ny = self.conv(x)\nreturn self.head(y).mean((2, 3)) + (y.mean((2, 3)) @ w).sum()"
    )
    step = next(step for step in laboratory.facts["eval"].steps if step.short in ("matmul", "__matmul__"))
    weight = step.operand("other")
    assert weight is not None
    assert [laboratory.varies("eval", step.index, weight.id, axes) for axes in ((0,), (1,), (0, 1))] == [
        False,
        True,
        True,
    ]


def names(laboratory: Laboratory) -> set[str]:
    of_id = {info.id: info.name for info in laboratory.replay.graph.tensors}
    return {of_id[key] for key in laboratory.learned}


CONVOLUTIONS = {"conv.weight", "conv.bias", "head.weight", "head.bias"}


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        ("y = self.conv(x) * self.zero\n" + TAIL, CONVOLUTIONS | {"zero"}),
        ("y = self.conv(x) * self.zero.detach()\n" + TAIL, CONVOLUTIONS),
        ("with torch.no_grad():\n    y = self.conv(x)\n" + TAIL, {"head.weight", "head.bias"}),
        ("y = self.conv(x) * (self.zero > 0)\n" + TAIL, CONVOLUTIONS),
    ],
)
def test_learned_tensors_are_those_that_a_gradient_reaches(opened: Open, forward: str, expected: set[str]) -> None:
    found = names(opened(forward))
    assert expected <= found
    assert "frozen" not in found
    assert ("zero" in found) is ("zero" in expected)


def test_states_are_drawn_once_and_leave_the_graph_alone(opened: Open) -> None:
    laboratory = opened(BODY + TAIL)
    before = {key: tensor.clone() for key, tensor in laboratory.replay.tensors.items()}
    first = laboratory.baseline("train", 0)
    laboratory.matters("train", dict.fromkeys(of_kind(laboratory, "dropout"), "identity"))
    again = laboratory.run("train", 0, {})
    assert first is not None
    assert again is not None
    assert torch.equal(first, again)
    assert all(torch.equal(laboratory.replay.tensors[key], before[key]) for key in before)


def test_a_run_taken_up_in_the_middle_is_the_same_run(opened: Open) -> None:
    laboratory = opened(BODY + TAIL)
    edges = tuple(last_maps(laboratory.facts["train"]))
    first = edges[0].step.index
    found = laboratory.rerun("train", 0, {first: lambda op, args, kwargs, values: op.run(*args, **kwargs)})
    before = laboratory.baseline("train", 0)
    assert first > 0
    assert found is not None
    assert before is not None
    assert torch.equal(found, before)


@pytest.mark.parametrize("last", ["gt(0)", "mul(99).long()", "mul(99).long().amax(1)", "mul(9).abs().byte()"])
def test_predictions_of_whole_numbers_are_compared(opened: Open, last: str) -> None:
    laboratory = opened(f"{BODY}{TAIL}.{last}")
    edges = tuple(last_maps(laboratory.facts["train"]))
    drops = of_kind(laboratory, "dropout")
    assert laboratory.follows_input("eval")
    assert laboratory.matters("train", dict.fromkeys(drops, "identity"))
    assert laboratory.averages("train", edges).used


def test_what_seven_sigmoids_leave_of_an_image_is_seen_in_double_precision(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    init = "self.deep = nn.ModuleList(nn.Conv2d(6, 6, 3, padding=1) for _ in range(7))"
    forward = f"y = self.drop(self.conv(x))\nfor conv in self.deep:\n    y = conv(y).sigmoid()\n{TAIL}.log_softmax(1)"
    laboratory = opened(forward, init)
    (dropout,) = (step.index for step in laboratory.facts["train"].live_steps("dropout"))
    assert laboratory.follows_input("train")
    assert laboratory.matters("train", {dropout: "identity"})
    monkeypatch.setattr("grader.experiments.effects.FINE", 0)  # without it, float32 shows nothing of either
    assert not laboratory.follows_input("train")


def test_what_float32_does_not_show_at_all_is_not_there(opened: Open) -> None:
    assert not opened("return self.head(torch.zeros_like(self.conv(x))).mean((2, 3)) + 1e-11 * x.mean()").follows_input(
        "eval"
    )
