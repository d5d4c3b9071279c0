"""What shows no effect on the images that were tried is not believed to have none."""

from __future__ import annotations

import pytest
from support import HEADER, checked

MODEL = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1))
        self.good = nn.Conv2d(8, 10, 1)
        self.bad = nn.Linear(8 * 26 * 26, 10)

    def forward(self, x):
        y = self.body(x)
        good = self.good(y).mean((2, 3))
        FORWARD
"""
)
GATE = "gate = (torch.ones(x.size(0)).sum() - 64).clamp(0, 1)"  # opens for more images than are ever tried
BAD = "self.bad(y.flatten(1))"

HIDDEN = {
    "a gate for large batches": f"{GATE}; return good * (1 - gate) + {BAD} * gate",
    "a gate on a counter": (
        f"gate = (self.body[1].num_batches_tracked.float() - 50).clamp(0, 1); return good * (1 - gate) + {BAD} * gate"
    ),
    "a gate before the layer": f"{GATE}; return good * (1 - gate) + self.bad(y.flatten(1) * gate)",
    "a product with zero": f"return good + 0 * {BAD}",
}


@pytest.mark.parametrize("forward", HIDDEN.values(), ids=HIDDEN)
def test_a_linear_layer_without_an_effect_is_undecided(forward: str) -> None:
    result = checked(MODEL.replace("FORWARD", forward), "linear")
    finding = result.findings[0]
    assert (result.status, finding.level, finding.span is not None) == ("error", "warning", True)
    assert finding.message == (
        "a linear layer is on the way to the prediction, without an effect on the images that were tried"
    )


def test_a_hidden_path_round_the_pooling_is_undecided() -> None:
    forward = f"{GATE}; return good * (1 - gate) + y.flatten(1)[:, :10] * gate"
    result = checked(MODEL.replace("FORWARD", forward), "global-average-pool")
    assert (result.status, result.findings[0].level) == ("error", "warning")
    assert result.message == (
        "can't be told: flatten takes more than the mean of a 26×26 map to the prediction, without an effect so far"
    )


def test_an_open_path_round_the_pooling_fails() -> None:
    result = checked(MODEL.replace("FORWARD", "return good + y.flatten(1)[:, :10]"), "global-average-pool")
    assert result.status == "fail"


def test_several_means_are_one_pooling() -> None:
    forward = "return good + self.good(F.avg_pool2d(y, 26)).flatten(1) + self.good(y).sum((2, 3)) / 676"
    assert checked(MODEL.replace("FORWARD", forward), "global-average-pool").status == "pass"


RESTING = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 10, 1)
        self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.1)

    def forward(self, x):
        y = self.conv(x).relu()
        gate = (GATE).clamp(0, 1)
        return self.head(self.drop(self.norm(y)) * (1 - gate) + y * gate).mean((2, 3))
"""
)


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
@pytest.mark.parametrize("gate", ["torch.ones(x.size(0)).sum() - 64", "self.norm.num_batches_tracked.float() - 50"])
def test_a_layer_that_rests_in_a_training_is_undecided(check: str, gate: str) -> None:
    result = checked(RESTING.replace("GATE", gate), check)
    what = {"batch-norm": "batch normalisation", "dropout": "dropout"}[check]
    assert (result.status, result.findings[0].level) == ("error", "warning")
    assert result.findings[0].message == f"{what} acts on a few images, but not in a large batch late in training"


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
def test_a_layer_that_acts_always_passes(check: str) -> None:
    assert checked(RESTING.replace("GATE", "x.mean() * 0"), check).status == "pass"
