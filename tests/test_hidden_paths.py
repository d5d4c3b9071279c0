"""What shows no effect on the images that were tried is not believed to have none."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from support import HEADER, PROBE, checked, graded

from grader import digits
from grader.protocol import CheckRequest, Probe

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


FORWARDS = {
    "an offset before a ReLU": "y = (y - 1e3 * (1 - F.pad(torch.ones(1, 1), (13, 12, 13, 12)))).relu()",
    "a grid in the middle": (
        "way = torch.tensor([[0.05, 0.0, 0.0], [0.0, 0.05, 0.0]]).repeat(y.size(0), 1, 1)\n"
        "        y = F.grid_sample(y, F.affine_grid(way, y.shape, align_corners=True), align_corners=True)"
    ),
    "padding that cuts": "y = F.pad(y, (-25, 25, -25, 25))",
}
KEEPING = {
    "a fixed encoding": "y = (y + torch.linspace(-1, 1, 26)).relu()",
    "a grid that turns": (
        "way = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]).repeat(y.size(0), 1, 1)\n"
        "        y = F.grid_sample(y, F.affine_grid(way, y.shape, align_corners=True), align_corners=True)"
    ),
    "padding and resampling": "y = F.interpolate(F.pad(y, (1, 1, 1, 1)), scale_factor=2)",
}


@pytest.mark.parametrize("forward", FORWARDS.values(), ids=FORWARDS)
def test_a_few_places_chosen_before_the_mean_are_undecided(forward: str) -> None:
    text = MODEL.replace("FORWARD", "return good").replace("good = self.good", f"{forward}\n        good = self.good")
    result = checked(text, "global-average-pool")
    assert (result.status, result.findings[0].level) == ("error", "warning")
    assert re.fullmatch(
        r"can't be told: \w+ is where a few places of the 26×26 map are chosen, and the others are not heard",
        result.message,
    )


@pytest.mark.parametrize("forward", KEEPING.values(), ids=KEEPING)
def test_places_that_are_all_heard_are_a_whole_map(forward: str) -> None:
    text = MODEL.replace("FORWARD", "return good").replace("good = self.good", f"{forward}\n        good = self.good")
    assert checked(text, "global-average-pool").status == "pass"


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
        self.register_buffer("count", torch.zeros(2))

    def forward(self, x):
        y = self.conv(x).relu()
        gate = (GATE).clamp(0, 1)
        return self.head(self.drop(self.norm(y)) * (1 - gate) + y * gate).mean((2, 3))
"""
)


RESTS = {
    "in a large batch": "torch.ones(x.size(0)).sum() - 64",
    "after many batches": "self.norm.num_batches_tracked.float() - 50",
    "after many that the model counts": "self.count.add_(1)[0] - 50",
    "once weights have moved": "self.norm.bias.abs().mean() * 200",
}
BORDER = "1 - 9 * (x + 0.4242).relu()[:, :, :1].amax((2, 3), keepdim=True)"  # of which MNIST leaves the first row empty


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
@pytest.mark.parametrize("gate", RESTS.values(), ids=RESTS)
def test_a_layer_that_rests_in_a_training_is_undecided(check: str, gate: str) -> None:
    result = checked(RESTING.replace("GATE", gate), check)
    what = {"batch-norm": "batch normalisation", "dropout": "dropout"}[check]
    assert (result.status, result.findings[0].level) == ("error", "warning")
    assert result.findings[0].message == f"{what} acts on a few images, but not in a large batch late in training"


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
def test_a_layer_that_acts_on_moved_digits_alone_is_undecided(check: str) -> None:
    moved = digits.pixels()[6 * digits.SIDE :] + bytes(6 * digits.SIDE)  # six rows up
    probe = msgspec.structs.replace(PROBE, digits=moved[: 12 * digits.SIDE**2])
    (result,) = graded(RESTING.replace("GATE", BORDER), CheckRequest(check), probe=probe).results
    assert (result.status, result.message.partition(" acts ")[2]) == (
        "error",
        "on a few images, but not in a large batch late in training",
    )


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
def test_a_layer_that_acts_always_passes(check: str) -> None:
    assert checked(RESTING.replace("GATE", "x.mean() * 0"), check).status == "pass"


HEAD = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.w = nn.Parameter(torch.randn(10, 16))
        self.norm = nn.BatchNorm1d(160)
        self.conv = nn.Conv2d(16, 10, 1)

    def forward(self, x):
        p = self.body(x).mean((2, 3))
        n = len(p)
        FORWARD
"""
)
BLOCKS = "m = torch.eye(27).repeat(n, 1, 1); m[:, 0, 1:17] = p; m[:, 1:17, 17:] = self.w.t(); "
DISGUISED = {
    "a sum of exponentials": "return ((p + 1).log()[:, None] + self.w).logsumexp(-1)",
    "a product of exponentials": "return (p[:, None] * self.w * 0.1).exp().prod(-1).log()",
    "a difference of variances": "return (p[:, None] + self.w).var(-1) - (p[:, None] - self.w).var(-1)",
    "the mean beside a variance": "return torch.var_mean(p[:, None] * self.w, -1)[1]",
    "two norms": "return (p[:, None] * self.w.relu()).norm(1, -1) - (p[:, None] * (-self.w).relu()).norm(1, -1)",
    "squares": "d = p[:, None] + self.w; return (d * d).sum(-1)",
    "an outer product": "return torch.einsum('nc,oc->noc', p, self.w).sum(-1)",
    "gates": "return F.glu(torch.cat([p[:, None].expand(n, 10, 16), self.w.expand(n, 10, 16)], -1), -1).sum(-1)",
    "signs": "return torch.where(self.w > 0, p[:, None], -p[:, None]).sum(-1)",
    "shifted sums": "y = p[:, None] * self.w; return sum(y.roll(s, -1) for s in range(16))[..., 0]",
    "an inverse": BLOCKS + "return torch.linalg.inv(m)[:, 0, 17:]",
    "an exponential of a matrix": BLOCKS + "return torch.matrix_exp(m)[:, 0, 17:]",
    "a normalisation": "return self.norm(p.repeat(1, 10)).view(n, 10, 16).sum(-1)",
    "a row for each class": "return torch.stack([(p.log1p() + row).logsumexp(-1) for row in self.w.unbind()], 1)",
}


@pytest.mark.parametrize("forward", DISGUISED.values(), ids=DISGUISED)
def test_many_learned_numbers_for_each_activation_are_undecided(forward: str) -> None:
    result = checked(HEAD.replace("FORWARD", forward), "linear")
    assert result.status == "error"
    assert re.fullmatch(
        r"can't be told: 16 activations of an image meet (160|320) learned numbers outside of convolutions, "
        r"as in a linear layer",
        result.message,
    )


FEW = {
    "a convolution": "return self.conv(p[:, :, None, None]).flatten(1)",
    "scales and shifts": "w = self.w; q = p * w[0] + w[1] + p * w[2]; return self.conv(q.view(n, 16, 1, 1)).flatten(1)",
}


@pytest.mark.parametrize("forward", FEW.values(), ids=FEW)
def test_a_few_learned_numbers_for_each_activation_are_no_matrix(forward: str) -> None:
    assert checked(HEAD.replace("FORWARD", forward), "linear").status == "pass"


GATED = (
    HEADER
    + """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.side, self.head = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 10, 1)
        self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.1)
        self.one, self.two = nn.Parameter(torch.tensor(START)), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        y = self.conv(x).relu()
        return self.head(y + (GATE) * self.side(self.drop(self.norm(y)))).mean((2, 3))
"""
)
SHUT = {
    "cut off": ("-9.0", "self.one.relu()"),
    "saturated": ("-1000.0", "self.one.sigmoid()"),
    "two zeros": ("0.0", "self.one * self.two"),
}


@pytest.mark.parametrize(("start", "gate"), SHUT.values(), ids=SHUT)
@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
def test_a_layer_behind_a_gate_that_no_training_opens_is_undecided(check: str, start: str, gate: str) -> None:
    result = checked(GATED.replace("START", start).replace("GATE", gate), check)
    what = {"batch-norm": "batch normalisation", "dropout": "dropout"}[check]
    has_none = "has no effect with the weights that the model starts from, and no training changes that"
    assert (result.status, result.message) == ("error", f"can't be told: {what} {has_none}")


@pytest.mark.parametrize("check", ["batch-norm", "dropout"])
def test_a_layer_behind_a_gate_that_starts_at_zero_passes(check: str) -> None:
    assert checked(GATED.replace("START", "0.0").replace("GATE", "self.one"), check).status == "pass"


POWERS = (
    HEADER
    + """class GeM(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.Parameter(torch.ones(1) * 3)

    def forward(self, x):
        return F.avg_pool2d(x.clamp(min=1e-6).pow(self.p), (x.size(-2), x.size(-1))).pow(1 / self.p)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.drop = nn.Conv2d(1, 12, 3, 2), nn.BatchNorm2d(12), nn.Dropout2d(0.1)
        self.last, self.pool = nn.Conv2d(12, 10, 3), GeM()

    def forward(self, x):
        x = self.drop(self.norm(self.first(x)).relu())
        return self.pool(self.last(x).relu()).flatten(1)
"""
)


def test_what_a_root_makes_of_the_rounding_of_a_mean_is_not_held_against_it() -> None:
    request = CheckRequest("global-average-pool")
    found = {graded(POWERS, request, probe=Probe(seed, (4, 36))).results[0].status for seed in (106, 114, 128)}
    assert found == {"pass"}


MIXTURE = (
    HEADER
    + """class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.1))
        self.heads, self.gate = nn.Conv2d(16, 30, 3), nn.Conv2d(16, 3, 1)

    def forward(self, x):
        x = self.body(x)
        gate = F.softmax(F.adaptive_avg_pool2d(self.gate(x), 1).flatten(1), dim=1)
        heads = F.adaptive_avg_pool2d(self.heads(x), 1).view(-1, 3, 10)
        return torch.bmm(gate.unsqueeze(1), heads).squeeze(1)
"""
)


def test_gates_that_the_weights_of_one_draw_shut_for_all_images_are_no_weights() -> None:
    request = CheckRequest("linear")
    found = {graded(MIXTURE, request, probe=Probe(seed, (4, 36))).results[0].status for seed in (2, 10, 11, 16, 21)}
    assert found == {"pass"}


FADING = Path(__file__).parents[1] / "benchmarks" / "hopeless" / "dying_gradient.py"


def test_a_dropout_does_not_drown_what_little_of_the_image_is_left() -> None:
    found = {
        graded(FADING.read_text(), CheckRequest("output"), probe=Probe(seed, (4, 36))).results[0].status
        for seed in (23, 298, 311)
    }
    assert found == {"pass"}
