"""The receptive field against an independent oracle: where the gradient of single units of the last map is not zero."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from support import HEADER, checked

from grader.checks.receptive_field import Options
from grader.finding import CheckResult

SIDE = 96  # pixels: wide enough that no field meets the border
DRAWS = 12  # images: max pooling hands the gradient to one position each time
PHASES = 8

TEXT = """\
class Net(nn.Module):
    def __init__(self):
        super().__init__()
{made}

    def body(self, x):
{body}

    def forward(self, x):
        return self.body(x).mean((2, 3))
"""


def net(*layers: str, body: str = "") -> str:
    """Return a submission: its layers are self.l0, self.l1 and so on, which run in order where no body is given."""
    made = [f"        self.l{number} = {layer}" for number, layer in enumerate(layers)] or ["        pass"]
    runs = body.splitlines() or [*(f"x = self.l{number}(x)" for number in range(len(layers))), "return x"]
    return HEADER + TEXT.format(made="\n".join(made), body="\n".join(f"        {line}" for line in runs))


def measured(text: str) -> CheckResult:
    return checked(text, "receptive-field", {"at_least": 1}, input_shape=(1, SIDE, SIDE))


def support(text: str) -> int:
    """Return the shorter side of the box where the gradient of a unit is not zero, the widest of neighbouring units."""
    torch.manual_seed(0)
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    model = namespace["Net"]().double().eval()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 1.0)
    images = torch.rand(DRAWS, 1, SIDE, SIDE, dtype=torch.double, requires_grad=True)
    maps = model.body(images)
    sides = [[0], [0]]
    for phase in range(PHASES):
        row, column = ((extent - 1) // 2 + phase for extent in maps.shape[2:])
        (gradient,) = torch.autograd.grad(maps[:, :, row, column].sum(), images, retain_graph=True)
        touched = gradient.abs().sum((0, 1)) > 0
        for axis, found in enumerate(sides):
            places = touched.any(1 - axis).nonzero()
            found += [int(places[-1] - places[0]) + 1] if len(places) else []
    return min(map(max, sides))


NETS = {
    "one convolution": net("nn.Conv2d(1, 4, 3)"),
    "padding": net("nn.Conv2d(1, 4, 5, padding=2)", "nn.Conv2d(4, 4, 3, padding='same', dilation=2)"),
    "even kernel": net("nn.Conv2d(1, 4, 4)", "nn.Conv2d(4, 4, 2, padding=1)"),
    "stride": net("nn.Conv2d(1, 4, 3, stride=2)", "nn.Conv2d(4, 4, 3)", "nn.Conv2d(4, 4, 3, stride=2, padding=1)"),
    "a kernel of two sizes": net("nn.Conv2d(1, 4, (1, 5))", "nn.Conv2d(4, 4, (3, 1), dilation=(2, 1))"),
    "dilation": net("nn.Conv2d(1, 4, 3, dilation=3)", "nn.Conv2d(4, 4, 3, dilation=(4, 2), padding=4)"),
    "depthwise": net("nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 3, groups=4)", "nn.Conv2d(4, 8, 1)"),
    "max pooling": net("nn.Conv2d(1, 4, 3)", "nn.MaxPool2d(2)", "nn.Conv2d(4, 4, 3)", "nn.MaxPool2d(2)"),
    "overlapping pooling": net("nn.MaxPool2d(3, 2, 1)", "nn.Conv2d(1, 4, 3)", "nn.AvgPool2d(3, 1)"),
    "dilated pooling": net("nn.MaxPool2d(2, 1, 0, 3)", "nn.Conv2d(1, 4, 3)"),
    "pooling with ceil_mode": net("nn.AvgPool2d(5, ceil_mode=True)", "nn.Conv2d(1, 4, 3)"),
    "power-average pooling": net("nn.LPPool2d(2, 3, 2)", "nn.Conv2d(1, 4, 3)"),
    "adaptive pooling": net("nn.AdaptiveAvgPool2d(24)", "nn.Conv2d(1, 4, 3)", "nn.AdaptiveAvgPool2d(16)"),
    "transposed": net(
        "nn.Conv2d(1, 4, 3, stride=2)", "nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1)", "nn.Conv2d(4, 4, 3)"
    ),
    "transposed and dilated": net(
        "nn.Conv2d(1, 4, 3, stride=2)", "nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, dilation=2)", "nn.Conv2d(4, 4, 2)"
    ),
    "nearest": net("nn.Conv2d(1, 4, 3, 2)", "nn.Upsample(scale_factor=3)", "nn.Conv2d(4, 4, 5)"),
    "bilinear": net("nn.Conv2d(1, 4, 3, 2)", "nn.Upsample(scale_factor=2, mode='bilinear')", "nn.Conv2d(4, 4, 3)"),
    "bilinear between corners": net("nn.Upsample(40, mode='bilinear', align_corners=True)", "nn.Conv2d(1, 4, 3)"),
    "bicubic": net("nn.Conv2d(1, 4, 3, 2)", "nn.Upsample(scale_factor=2, mode='bicubic')", "nn.Conv2d(4, 4, 3)"),
    "downsampled": net("nn.Conv2d(1, 4, 3)", body="return F.interpolate(self.l0(x), 31, mode='nearest-exact')"),
    "area": net("nn.Conv2d(1, 4, 3)", body="return F.interpolate(self.l0(x), 31, mode='area')"),
    "pixel shuffle": net("nn.Conv2d(1, 8, 3, 2)", "nn.PixelShuffle(2)", "nn.Conv2d(2, 4, 3)"),
    "pixel unshuffle": net("nn.PixelUnshuffle(4)", "nn.Conv2d(16, 4, 3)"),
    "padded by hand": net("nn.Conv2d(1, 4, 3)", body="return self.l0(F.pad(x, (3, 1, 2, 2)))"),
    "reflected": net("nn.Conv2d(1, 4, 5, padding=2, padding_mode='reflect')", "nn.ReflectionPad2d(1)"),
    "a crop": net("nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 3)", body="return self.l1(self.l0(x)[:, :, 2:-2, 3:40])"),
    "every second row and column": net("nn.Conv2d(1, 4, 3)", body="x = x[..., ::2, 1::2]\nreturn self.l0(x)"),
    "a residual block": net(
        "nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 3, padding=1)", body="x = self.l0(x)\nreturn x + self.l1(F.relu(x))"
    ),
    "branches joined": net(
        "nn.Conv2d(1, 4, 3, padding=1)",
        "nn.Conv2d(1, 4, 7, padding=3)",
        "nn.Conv2d(8, 4, 3)",
        body="return self.l2(torch.cat([self.l0(x), self.l1(x)], 1))",
    ),
    "branches stacked": net(
        "nn.Conv2d(1, 4, 3, padding=1)",
        "nn.Conv2d(1, 4, 7, padding=3)",
        body="return torch.stack([self.l0(x), self.l1(x)], 1).amax(1)",
    ),
    "channels cut": net(
        "nn.Conv2d(1, 8, 3)", "nn.Conv2d(4, 4, 3)", body="a, b = self.l0(x).chunk(2, 1)\nreturn self.l1(a) + self.l1(b)"
    ),
    "one channel": net(
        "nn.Conv2d(1, 8, 3)", "nn.Conv2d(1, 4, 3)", body="return self.l1(self.l0(x)[:, 3].unsqueeze(1))"
    ),
    "three channels from one": net("nn.Conv2d(3, 4, 3)", body="return self.l0(x.expand(-1, 3, -1, -1))"),
    "repeated channels": net("nn.Conv2d(3, 4, 3)", body="return self.l0(x.repeat(1, 3, 1, 1))"),
    "transposed axes": net(
        "nn.Conv2d(1, 4, (1, 5))", "nn.Conv2d(4, 4, (1, 3))", body="return self.l1(self.l0(x).transpose(2, 3))"
    ),
    "channels last": net(
        "nn.Conv2d(1, 4, 3)",
        "nn.Linear(4, 6)",
        "nn.Conv2d(6, 4, 3)",
        body="x = self.l1(self.l0(x).permute(0, 2, 3, 1))\nreturn self.l2(x.permute(0, 3, 1, 2))",
    ),
    "laid out in a row and back": net(
        "nn.Conv2d(1, 4, 3)",
        "nn.Conv2d(4, 4, 3)",
        body="x = self.l0(x)\nn, c, h, w = x.shape\nreturn self.l1(x.flatten(2).relu().view(n, c, h, w))",
    ),
    "channels shuffled": net(
        "nn.Conv2d(1, 8, 3)",
        "nn.Conv2d(8, 4, 3)",
        body="x = self.l0(x)\nn, c, h, w = x.shape\nx = x.view(n, 2, 4, h, w).transpose(1, 2).reshape(n, c, h, w)\nreturn self.l1(x)",
    ),
    "flipped": net("nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 2)", body="return self.l1(self.l0(x).flip(3).flip((2,)))"),
    "in place": net(
        "nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 3)", body="x = self.l0(x)\nx += 1\nx.relu_()\nreturn self.l1(x)"
    ),
    "in place, then every second": net(
        "nn.Conv2d(1, 4, 3)",
        "nn.Conv2d(4, 4, 3)",
        body="x = F.relu(self.l0(x), inplace=True)\nreturn self.l1(x[:, :, ::2, 1::2])",
    ),
    "in place on a part": net(
        "nn.Conv2d(1, 4, 3)",
        "nn.Conv2d(4, 4, 3)",
        body="x = self.l0(x)\nx[:, :2].mul_(2)\nreturn self.l1(x[..., 3:, 1:])",
    ),
    "in place, turned before": net(
        "nn.Conv2d(1, 4, (1, 5))",
        "nn.Conv2d(4, 4, 3)",
        body="x = self.l0(x)\ny = x.transpose(2, 3)\nx.relu_()\nreturn self.l1(y)",
    ),
    "in place, cut before": net(
        "nn.Conv2d(1, 4, 3)",
        "nn.Conv2d(4, 4, 3)",
        body="x = self.l0(x)\ny = x[:, :, ::2]\nx.relu_()\nreturn self.l1(y)",
    ),
    "rows and columns in other phases": net(
        "nn.Conv2d(1, 4, 1, 2)",
        "nn.Conv2d(1, 4, 4)",
        body="x = self.l0(x)[..., 1:]\nreturn self.l1(F.pixel_shuffle(x, 2))",
    ),
    "area of an uneven part": net(
        "nn.Conv2d(1, 4, 2)",
        "nn.Conv2d(4, 4, 3)",
        body="return self.l1(F.interpolate(self.l0(x), scale_factor=0.5, mode='area'))",
    ),
    "a scale computed again": net(
        "nn.Conv2d(1, 4, 3)",
        body="return F.interpolate(self.l0(x), scale_factor=0.7, mode='bilinear', recompute_scale_factor=True)",
    ),
    "no layer at all": net(body="return x.expand(-1, 10, -1, -1) * 2"),
}


@pytest.mark.parametrize("name", NETS)
def test_is_the_support_of_the_gradient(name: str) -> None:
    found = measured(NETS[name])
    assert (found.status, found.measured) == ("pass", support(NETS[name]))


def random_net(seed: int) -> str:
    """Return a chain of layers, drawn at random, whose field stays within the image."""
    draw = random.Random(seed)
    layers, channels = [], 1
    for _ in range(draw.randint(2, 6)):
        kernel, after = draw.randint(1, 4), draw.choice((2, 3, 4))
        padding = draw.randint(0, kernel // 2)
        choices = {
            "conv": f"nn.Conv2d({channels}, {after}, {kernel}, {draw.choice((1, 1, 2))}, {padding}, {draw.choice((1, 1, 2))})",
            "max": f"nn.MaxPool2d({kernel}, {draw.randint(1, 2)}, {padding})",
            "mean": f"nn.AvgPool2d({kernel}, {draw.randint(1, 2)}, {padding})",
            "up": f"nn.Upsample(scale_factor={draw.choice((2, 3))}, mode='{draw.choice(('nearest', 'bilinear'))}')",
            "turned": f"nn.ConvTranspose2d({channels}, {after}, {kernel + 1}, {draw.choice((1, 2))}, {padding})",
        }
        kind = draw.choice(["conv", "conv", "conv", "max", "mean", "up", "turned"])
        layers.append(choices[kind])
        channels = after if kind in ("conv", "turned") else channels
    return net(*layers)


@pytest.mark.parametrize("seed", range(16))
def test_is_the_support_of_the_gradient_of_random_nets(seed: int) -> None:
    text = random_net(seed)
    assert measured(text).measured == support(text), text


def result(text: str, **options: int) -> CheckResult:
    return checked(text, "receptive-field", options, input_shape=(1, SIDE, SIDE))


WITHOUT_EFFECT = {
    "times zero": "return x + 0 * self.l1(x)",
    "times almost zero": "return x + 1e-9 * self.l1(x)",
    "joined and cut off again": "return torch.cat([x, self.l1(x)], 1)[:, :4]",
    "thrown away": "self.l1(x)\nreturn x",
    "taken away again": "y = self.l1(x)\nreturn x + y - y",
}


@pytest.mark.parametrize("body", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT)
def test_a_branch_without_an_effect_does_not_count(body: str) -> None:
    text = net("nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 31, padding=15)", body=f"x = self.l0(x)\n{body}")
    found = result(text, above=8)
    assert (found.status, found.measured) == ("fail", 3)


def test_taps_in_the_padding_do_not_count() -> None:
    far = net("nn.Conv2d(1, 4, 3, stride=8)", "nn.Conv2d(4, 4, 3, dilation=12, padding=12)")
    near = net("nn.Conv2d(1, 4, 3, stride=8)", "nn.Conv2d(4, 4, 3, dilation=11, padding=11)")
    assert [result(text, above=8).measured for text in (far, near)] == [3, 3 + 2 * 11 * 8]


def test_taps_in_what_a_node_before_pads_with_do_not_count() -> None:
    layers = ("nn.Conv2d(1, 4, 3, stride=8)", "nn.Conv2d(4, 4, 3, dilation=12)")
    far = net(*layers, body="return self.l1(F.pad(self.l0(x), (12, 12, 12, 12)))")
    near = net(*layers, body="return F.conv2d(F.pad(self.l0(x), (11, 11, 11, 11)), self.l1.weight, dilation=11)")
    assert [result(text, above=8).measured for text in (far, near)] == [3, 3 + 2 * 11 * 8]


def test_what_all_positions_share_does_not_count() -> None:
    body = "x = self.l0(x)\nx = x * self.l1(x.mean((2, 3), keepdim=True)).sigmoid()\nreturn F.instance_norm(x)"
    found = result(net("nn.Conv2d(1, 4, 3)", "nn.Conv2d(4, 4, 1)", body=body), above=8)
    assert (found.status, found.measured) == ("fail", 3)


LOST = {
    "attention": "y = x.flatten(2).transpose(1, 2)\ny = (y @ y.transpose(1, 2)).softmax(-1) @ y\nreturn self.l1(y.transpose(1, 2).reshape(x.shape))",
    "rolled": "return self.l1(x.roll(3, 2))",
    "added up along positions": "return self.l1(x.cumsum(3))",
    "the largest so far": "return self.l1(x.cummax(2)[0])",
    "joined along positions": "return self.l1(torch.cat([x, x], 3))",
    "weighted along positions": "return self.l1(x @ self.w)",
    "sampled": "g = F.affine_grid(torch.eye(2, 3).repeat(len(x), 1, 1), x.shape, align_corners=False)\nreturn self.l1(F.grid_sample(x, g, align_corners=False))",
}


@pytest.mark.parametrize("body", LOST.values(), ids=LOST)
def test_positions_that_cannot_be_followed_leave_the_rule_open(body: str) -> None:
    layers = ("nn.Conv2d(1, 4, 3, stride=4)", "nn.Conv2d(4, 4, 3)", "nn.Linear(1, 1)")
    text = net(*layers, body=f"x = self.l0(x)\n{body}").replace(
        "self.l2 = nn.Linear(1, 1)", "self.w = nn.Parameter(torch.randn(24, 24))"
    )
    found = result(text, above=8)
    assert found.status == "error"
    assert [finding.level for finding in found.findings] == ["warning"]
    assert found.message.startswith("can't be told: what ")


def test_what_is_left_may_be_enough() -> None:
    body = "y = self.l0(x)\nreturn y + self.l1(y).roll(3, 2)"
    text = net("nn.Conv2d(1, 4, 9)", "nn.Conv2d(4, 4, 3, padding=1)", body=body)
    assert [result(text, above=above).status for above in (8, 9)] == ["pass", "error"]


def test_the_finding_has_numbers_and_a_way_out() -> None:
    text = net("nn.Conv2d(1, 4, 3)", "nn.MaxPool2d(2)", "nn.Conv2d(4, 4, 3)")
    found = result(text, at_least=20)
    assert (found.status, found.measured, found.limit) == ("fail", 8, 20)
    (finding,) = found.findings
    assert finding.message == found.message == "the receptive field is 8×8 pixels, must be at least 20"
    assert finding.why.startswith("One position of the last 45×45 map sees 8×8 pixels of a 96×96 image. ")
    assert finding.fix == (
        "Each 3×3 convolution on the last map adds 4 pixels: add 3 more 3×3 convolutions there, "
        "or 2 with dilation=2, or pool earlier."
    )
    assert finding.label == "each of the 45×45 positions sees 8×8 pixels"
    assert finding.span is not None
    assert text.splitlines()[finding.span.line - 1].strip() == "return self.body(x).mean((2, 3))"


@pytest.mark.parametrize(
    ("before", "expected"),
    [("return self.l1(x.flatten(1))", 1), ("return self.l1(self.l0(x).flatten(1))", 5)],
)
def test_a_map_ends_where_it_is_flattened(before: str, expected: int) -> None:
    text = net("nn.Conv2d(1, 1, 5, padding=2)", "nn.LazyLinear(10)").replace("self.body(x).mean((2, 3))", "0")
    text = text.replace("return 0", before)
    assert checked(text, "receptive-field", {"at_least": 1}).measured == expected


SINGLES = {
    "one row": "x = F.avg_pool2d(self.l0(x), (24, 1)).squeeze(2)\nreturn self.l1(x[:, :, 3])",
    "one channel": "x = self.l0(x)\na = x[:, :1].flatten(2).softmax(-1)\nreturn self.l1((a * x.flatten(2)).sum(-1))",
}


@pytest.mark.parametrize(("name", "sides"), [("one row", "28×5"), ("one channel", "5×5")])
def test_axes_of_one_position(name: str, sides: str) -> None:
    text = net("nn.Conv2d(1, 8, 5)", "nn.Linear(8, 10)").replace(
        "return self.body(x).mean((2, 3))", SINGLES[name].replace("\n", "\n        ")
    )
    found = checked(text, "receptive-field", {"at_least": 1})
    assert found.message == f"the receptive field is {sides} pixels, must be at least 1"


def test_a_map_that_is_returned_as_it_is() -> None:
    text = net("nn.Conv2d(1, 10, 5)").replace("self.body(x).mean((2, 3))", "self.body(x)")
    assert checked(text, "receptive-field", {"at_least": 1}).measured == 5


def test_a_prediction_without_the_image() -> None:
    text = net("nn.Linear(1, 10)").replace("self.body(x).mean((2, 3))", "self.l0(torch.ones(len(x), 1))")
    found = checked(text, "receptive-field", {"at_least": 1})
    assert (found.status, found.message) == (
        "error",
        "can't be told: the image does not reach the prediction through a map: there is no receptive field",
    )


@pytest.mark.parametrize(("above", "at_least", "least"), [(44, None, 45), (None, 44, 44), (20, 30, 30), (30, 20, 31)])
def test_both_options_hold(above: int | None, at_least: int | None, least: int) -> None:
    assert Options(above, at_least).least == least


def test_an_option_is_needed() -> None:
    with pytest.raises(ValueError, match="expected 'above' or 'at_least', in pixels"):
        Options()
