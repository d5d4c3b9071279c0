"""Checks of layers by their form, number and place: verdicts, places, numbers and words."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

from typing import Any, get_args

import pytest
import torch
from support import HEADER, checked
from torch.utils.flop_counter import FlopCounterMode

from grader.checks import accuracy, kernel_size, layer_count
from grader.finding import CheckResult


def net(made: str, run: str) -> str:
    """Return a submission from the lines of its constructor and of its forward."""
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line}" for line in made.splitlines()]
    lines += ["", "    def forward(self, x):", *[f"        {line}" for line in run.splitlines()]]
    return HEADER + "\n".join(lines) + "\n"


def source(text: str, result: CheckResult, level: str = "error") -> list[str]:
    """Return the lines of the submission that findings of a level point at."""
    lines = text.splitlines()
    return [lines[item.span.line - 1].strip() for item in result.findings if item.level == level and item.span]


MADE = (
    "self.a = nn.Conv2d(1, 8, 3)\nself.w = nn.Conv2d(8, 8, 3, padding=1, groups=8)\nself.p = nn.Conv2d(8, 16, 1)\n"
    "self.d = nn.Conv2d(8, 8, 3, padding=2, dilation=2)\nself.n = nn.BatchNorm2d(8)\nself.head = nn.Conv2d(8, 10, 1)\n"
    "self.last = nn.Conv2d(16, 10, 1)\nself.blur = nn.Conv2d(8, 8, 3, padding=1, groups=8)\nself.blur.requires_grad_(False)\n"
    "self.register_buffer('fixed', torch.ones(8, 1, 3, 3) / 9)\nself.g = nn.Parameter(torch.zeros(()))"
)
END = "\nreturn self.head(x).mean((2, 3))"
SEPARATED = "\nreturn self.last(x).mean((2, 3))"

DEPTHWISE: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "present": ("x = self.w(self.a(x))" + END, {}, "pass", "1 live depthwise convolution: 3×3, 8 channels"),
    "twice": ("x = self.w(self.w(self.a(x)))" + END, {}, "pass", "2 live depthwise convolutions: 3×3, 8 channels and others"),
    "behind a gate that starts at zero": ("x = self.a(x)\nx = x + self.g * self.w(x)" + END, {}, "pass", "1 live depthwise convolution: 3×3, 8 channels"),
    "none": ("x = self.a(x)" + END, {}, "fail", "no depthwise convolution"),
    "not called": ("x = self.a(x)\nself.w(x)" + END, {}, "fail", "no depthwise convolution"),
    "times zero": ("x = self.a(x)\nx = x + 0 * self.w(x)" + END, {}, "fail", "a depthwise convolution runs, but has no effect on the prediction"),
    "fixed kernels": ("x = F.conv2d(self.a(x), self.fixed, groups=8)" + END, {}, "fail", "no depthwise convolution: the kernels of this one are fixed, not learned"),
    "one for all channels": ("x = F.conv2d(self.a(x), self.w.weight[:, :, :1, :1], groups=8)" + END, {}, "fail", "no depthwise convolution: a 1×1 convolution with a group for each channel only scales them"),
    "in training only": ("x = self.a(x)\nif self.training: x = self.w(x)" + END, {}, "fail", "a depthwise convolution runs in training mode only"),
    "separable": ("x = self.p(F.relu(self.n(self.w(self.a(x)))))" + SEPARATED, {"separable": True}, "pass", "1 live depthwise-separable convolution: 3×3, 8 channels"),
    "a gate and a sum between": ("x = self.a(x)\ny = self.n(self.w(x))\nx = self.p(x + y * torch.sigmoid(y))" + SEPARATED, {"separable": True}, "pass", "1 live depthwise-separable convolution: 3×3, 8 channels"),
    "the other order": ("x = self.w(self.a(x))\nx = self.d(x)" + END, {"separable": True}, "fail", "no depthwise-separable convolution: no 1×1 convolution follows"),
    "a 1×1 convolution without effect behind": ("x = self.w(self.a(x))\nx = x + 0 * self.p(x)[:, :8]\nx = self.d(x)" + END, {"separable": True}, "fail", "no depthwise-separable convolution: no 1×1 convolution follows"),
    "forbidden": ("x = self.w(self.a(x))" + END, {"expect": "absent"}, "fail", "a depthwise convolution: 3×3, 8 channels"),
    "forbidden, none": ("x = self.a(x)" + END, {"expect": "absent"}, "pass", "no depthwise convolution"),
    "forbidden, without effect": ("x = self.a(x)\nx = x + 0 * self.w(x)" + END, {"expect": "absent"}, "error", "can't be told: a depthwise convolution is on the way to the prediction, without an effect on the images that were tried"),
}  # fmt: skip


@pytest.mark.parametrize(("run", "options", "status", "message"), DEPTHWISE.values(), ids=DEPTHWISE)
def test_depthwise(run: str, options: dict[str, Any], status: str, message: str) -> None:
    found = checked(net(MADE, run), "depthwise", options)
    assert (found.status, found.message) == (status, message)


def test_depthwise_says_what_replaces_the_largest_convolution() -> None:
    text = net("self.a = nn.Conv2d(1, 8, 3)\nself.b = nn.Conv2d(8, 10, 3)", "return self.b(self.a(x)).mean((2, 3))")
    (finding,) = checked(text, "depthwise").findings
    assert finding.fix == (
        "Replace nn.Conv2d(8, 10, 3) by nn.Conv2d(8, 8, 3, groups=8) and nn.Conv2d(8, 10, 1): 152 weights, not 720."
    )


DILATED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "present": ("x = self.d(self.a(x))" + END, {}, "pass", "1 live dilated convolution: 3×3, dilation=2"),
    "along one axis": ("x = F.conv2d(self.a(x), self.d.weight, dilation=(1, 3))" + END, {}, "pass", "1 live dilated convolution: 3×3, dilation=(1, 3)"),
    "a kernel along the other axis": ("x = F.conv2d(self.a(x), self.d.weight[:, :, :, :1], dilation=(1, 3))" + END, {}, "fail", "no dilated convolution: dilation=(1, 3) takes all taps but one of each kernel off the 26×26 map"),
    "all taps in the padding": ("x = F.max_pool2d(self.a(x), 4)\nx = F.conv2d(x, self.d.weight, padding=8, dilation=8)" + END, {}, "fail", "no dilated convolution: dilation=8 takes all taps but one of each kernel off the 6×6 map"),
    "all taps in what was padded with": ("x = F.max_pool2d(self.a(x), 4)\nx = F.conv2d(F.pad(x, (8, 8, 8, 8)), self.d.weight, dilation=8)" + END, {}, "fail", "no dilated convolution: dilation=8 takes all taps but one of each kernel off the 6×6 map"),
    "none": ("x = self.a(x)" + END, {}, "fail", "no dilated convolution"),
    "thrown away": ("x = self.a(x)\nself.d(x)" + END, {}, "fail", "no dilated convolution"),
    "times zero": ("x = self.a(x)\nx = x + 0 * self.d(x)" + END, {}, "fail", "a dilated convolution runs, but has no effect on the prediction"),
    "in evaluation only": ("x = self.a(x)\nif not self.training: x = self.d(x)" + END, {}, "fail", "a dilated convolution runs in evaluation mode only"),
    "early in a training only": ("self.k += 1\nx = self.a(x)\nx = x + self.d(x) * (self.k < 1000)" + END, {}, "error", "can't be told: a dilated convolution acts on a few images, but not in a large batch late in training"),
    "forbidden": ("x = self.d(self.a(x))" + END, {"expect": "absent"}, "fail", "a dilated convolution: 3×3, dilation=2"),
}  # fmt: skip


@pytest.mark.parametrize(("run", "options", "status", "message"), DILATED.values(), ids=DILATED)
def test_dilated(run: str, options: dict[str, Any], status: str, message: str) -> None:
    found = checked(
        net(MADE + "\nself.register_buffer('k', torch.zeros((), dtype=torch.int64))", run), "dilated", options
    )
    assert (found.status, found.message) == (status, message)


COUNTS: dict[str, tuple[str, dict[str, Any], str, str, int]] = {
    "convolutions": ("x = self.d(self.a(x))" + END, {"kind": "conv", "at_least": 3}, "pass", "3 convolutions (lines 20 and 21)", 3),
    "called twice": ("x = self.d(self.d(self.a(x)))" + END, {"kind": "conv", "at_least": 4}, "pass", "4 convolutions (lines 20 and 21)", 4),
    "too few": ("x = self.a(x)" + END, {"kind": "conv", "at_least": 3}, "fail", "2 convolutions (lines 20 and 21), at least 3 are needed", 2),
    "none": ("x = self.a(x)" + END, {"kind": "activation", "at_least": 1}, "fail", "0 activations, at least 1 is needed", 0),
    "one without effect": ("x = self.a(x)\nx = x + 0 * self.d(x)" + END, {"kind": "conv", "at_least": 3}, "fail", "2 convolutions (lines 20 and 22), at least 3 are needed", 2),
    "too many": ("x = F.relu(self.a(x))\nx = x.sigmoid()" + END, {"kind": "activation", "at_most": 1}, "fail", "2 activations (lines 20 and 21), at most 1 is allowed", 2),
    "one that is a clamp": ("x = F.relu(self.a(x))\nx = x.sub(1).clamp(min=0)" + END, {"kind": "activation", "at_most": 1}, "fail", "2 activations (lines 20 and 21), at most 1 is allowed", 2),
    "a clamp that is none": ("x = F.relu(self.a(x))\nx = x.clamp(min=1e-3)" + END, {"kind": "activation", "at_most": 1}, "pass", "1 activation (line 20)", 1),
    "one that rests late": ("self.n(self.a(x))\nx = self.a(x)\nx = x + self.d(x) * (self.n.num_batches_tracked < 1000)" + END, {"kind": "conv", "at_least": 3}, "error", "can't be told: a convolution of the 3 needed has no effect in a large batch late in a training", 2),
    "too many without effect": ("x = self.a(x)\nx = x + 0 * self.d(x)" + END, {"kind": "conv", "at_most": 2}, "error", "can't be told: a convolution beyond the 2 allowed shows no effect on the images that were tried", 2),
    "none allowed": ("x = self.n(self.a(x))" + END, {"kind": "batch-norm", "at_most": 0}, "fail", "1 batch normalisation (line 20), at most 0 are allowed", 1),
    "frozen ones": ("self.n.eval()\nx = self.n(self.a(x))" + END, {"kind": "batch-norm", "at_most": 0}, "pass", "0 batch normalisations", 0),
    "one that hands on": ("x = F.relu(F.relu(self.a(x)))" + END, {"kind": "activation", "at_least": 2}, "fail", "1 activation (line 20), at least 2 are needed", 1),
    "dropouts": ("x = F.dropout(self.a(x), 0.1, self.training)" + END, {"kind": "dropout", "at_least": 1}, "pass", "1 dropout (line 20)", 1),
    "a dropout of ones": ("x = self.a(x)\nx = x * F.dropout(torch.ones_like(x), 0.1, self.training)" + END, {"kind": "dropout", "at_most": 0}, "fail", "1 dropout (line 21), at most 0 are allowed", 1),
    "dropouts of nothing": ("x = F.dropout(self.a(x), 0.0, self.training)" + END, {"kind": "dropout", "at_least": 1}, "fail", "0 dropouts, at least 1 is needed", 0),
    "in one mode only": ("x = self.a(x)\nif self.training: x = F.relu(x)" + END, {"kind": "activation", "at_least": 1}, "fail", "0 activations, at least 1 is needed", 0),
    "in one mode too many": ("x = self.a(x)\nif self.training: x = F.relu(x)" + END, {"kind": "activation", "at_most": 0}, "fail", "1 activation (line 21), at most 0 are allowed", 1),
    "poolings": ("x = F.adaptive_avg_pool2d(F.avg_pool2d(F.max_pool2d(self.a(x), 2), 2), 1)" + END, {"kind": "avg-pool", "at_most": 2}, "pass", "2 average poolings (line 20)", 2),
    "power-average pooling is neither": ("x = F.lp_pool2d(self.a(x), 2, 2)" + END, {"kind": "max-pool", "at_most": 0}, "pass", "0 max poolings", 0),
    "of 1×1": ("x = self.p(self.a(x))" + SEPARATED, {"kind": "pointwise", "at_least": 2}, "pass", "2 1×1 convolutions (lines 20 and 21)", 2),
    "depthwise": ("x = self.w(self.a(x))" + END, {"kind": "depthwise", "at_least": 1}, "pass", "1 depthwise convolution (line 20)", 1),
    "linear layers": ("m = self.a(x).mean((2, 3))\nreturn F.linear(m, self.head.weight.flatten(1))", {"kind": "dense", "at_least": 1}, "pass", "1 linear layer (line 21)", 1),
    "products among activations": ("x = self.a(x)\nx = x @ x.transpose(2, 3)" + END, {"kind": "dense", "at_most": 0}, "pass", "0 linear layers", 0),
    "other normalisations": ("x = F.relu(F.instance_norm(self.a(x)))" + END, {"kind": "norm", "at_least": 1}, "pass", "1 normalisation (line 20)", 1),
}  # fmt: skip


@pytest.mark.parametrize(("run", "options", "status", "message", "measured"), COUNTS.values(), ids=COUNTS)
def test_layer_count(run: str, options: dict[str, Any], status: str, message: str, measured: int) -> None:
    found = checked(net(MADE, run), "layer-count", options)
    assert (found.status, found.message, found.measured) == (status, message, measured)


@pytest.mark.parametrize(("least", "status"), [(3, "error"), (4, "fail")])
def test_a_layer_that_the_first_weights_shut_off_may_count(least: int, status: str) -> None:
    made = MADE + "\nnn.init.constant_(self.d.bias, -1000.0)"
    text = net(made, "x = self.a(x)\nx = x + F.relu(self.d(x))" + END)
    found = checked(text, "layer-count", {"kind": "conv", "at_least": least})
    assert (found.status, found.measured) == (status, 2)


def test_layer_count_points_at_the_first_that_is_too_many() -> None:
    text = net(
        "self.a = nn.Conv2d(1, 10, 3)", "x = F.relu(x)\nx = F.relu6(self.a(x))\nx = x.tanh()\nreturn x.mean((2, 3))"
    )
    found = checked(text, "layer-count", {"kind": "activation", "at_most": 1})
    assert source(text, found) == ["x = F.relu6(self.a(x))"]
    (finding,) = found.findings
    assert (finding.label, finding.why) == ("activation 2 of 3", "This is number 2 on the way to the prediction.")
    assert [(span.line, label) for span, label in finding.related] == [(10, "number 1")]


def test_layer_count_shows_all_that_count_where_there_are_too_few() -> None:
    text = net(MADE, "x = self.a(x)\nx = x + 0 * self.d(x)" + END)
    (finding,) = checked(text, "layer-count", {"kind": "conv", "at_least": 4}).findings
    assert (finding.label, finding.why) == ("convolution 2", "1 more runs, but without an effect on the prediction.")
    assert finding.fix == "Add 2 more convolutions on the way to the prediction."
    assert finding.span is not None
    assert finding.span.line == 22
    assert [(span.line, label) for span, label in finding.related] == [(20, "number 1")]


OPTION_FAULTS = {
    "a share for percent": (accuracy.Options, {"target": 0.99}, "'target' is in percent, and any model reaches this one: write 99 for 99 %"),
    "no number": (layer_count.Options, {"kind": "conv"}, "expected 'at_least' or 'at_most', how many there must be"),
    "numbers at odds": (layer_count.Options, {"kind": "conv", "at_least": 3, "at_most": 2}, "at least 3 and at most 2 cannot both hold"),
    "sizes at odds": (kernel_size.Options, {"allowed": (5, 7), "at_most": 3}, r"no size of \[5, 7\] is at most 3"),
    "no size": (kernel_size.Options, {}, r"expected 'allowed', such as \[1, 3\], or 'at_most'"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "given", "message"), OPTION_FAULTS.values(), ids=OPTION_FAULTS)
def test_options_that_ask_for_nothing(options: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        options(**given)


MACS: dict[str, tuple[str, str]] = {
    "convolutions": (MADE, "x = F.relu(self.n(self.d(self.w(self.a(x)))))" + END),
    "strided and grouped": ("self.a = nn.Conv2d(1, 8, 5, stride=2, padding=2)\nself.b = nn.Conv2d(8, 10, 3, groups=2)", "return self.b(self.a(x)).mean((2, 3))"),
    "transposed": ("self.a = nn.Conv2d(1, 8, 3, stride=2)\nself.b = nn.ConvTranspose2d(8, 10, 4, stride=2)", "return self.b(self.a(x)).mean((2, 3))"),
    "transposed and grouped": ("self.a = nn.Conv2d(1, 8, 3, stride=2)\nself.b = nn.ConvTranspose2d(8, 20, 4, 2, groups=4)", "return self.b(self.a(x)).mean((2, 3))[:, :10]"),
    "linear": ("self.a = nn.Linear(784, 32)\nself.b = nn.Linear(32, 10, bias=False)", "return self.b(F.relu(self.a(x.flatten(1))))"),
    "self-attention": ("self.a = nn.Linear(28, 12)\nself.b = nn.Linear(12, 10)", "x = self.a(x.squeeze(1))\nx = (x @ x.transpose(1, 2)).softmax(-1) @ x\nreturn self.b(x).mean(1)"),
    "einsum": ("self.a = nn.Parameter(torch.randn(10, 28))", "return torch.einsum('nchw,kw->nk', x, self.a)"),
    "addmm": ("self.a = nn.Parameter(torch.randn(784, 10))", "return torch.addmm(torch.zeros(10), x.flatten(1), self.a)"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "run"), MACS.values(), ids=MACS)
def test_macs_are_half_of_what_torch_counts(made: str, run: str) -> None:
    text = net(made, run)
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    model = namespace["Net"]().eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.randn(1, 1, 28, 28))
    assert checked(text, "macs", {"below": 10**9}).measured == counter.get_total_flops() // 2


def test_macs_shows_the_dearest_layers() -> None:
    text = net(MADE, "x = self.d(self.a(x))" + END)
    found = checked(text, "macs", {"below": 1000})
    assert found.message == "492,128 multiplications for one image, limit is 1,000"
    (finding,) = found.findings
    assert finding.label == "389,376 of them here"
    assert finding.why == (
        "The dearest layers are d (conv2d to 8×26×26): 389,376, 79 %; head (conv2d to 10×26×26): 54,080, 11 %; "
        "a (conv2d to 8×26×26): 48,672, 10 %."
    )
    assert [(span.line, label) for span, label in finding.related] == [(21, "54,080 here"), (20, "48,672 here")]


KERNELS: dict[str, tuple[dict[str, Any], str, str]] = {
    "allowed": ({"allowed": [1, 3, 5]}, "pass", "kernels: 3×3, 5×5 and 1×1"),
    "at most": ({"at_most": 5}, "pass", "kernels: 3×3, 5×5 and 1×1"),
    "one too large": ({"at_most": 3}, "fail", "a 5×5 kernel, allowed are up to 3"),
    "several wrong ones": ({"allowed": [3]}, "fail", "a 5×5 kernel, allowed is 3, and 1 more"),
    "both options": ({"allowed": [1, 3, 5], "at_most": 3}, "fail", "a 5×5 kernel, allowed are 1 and 3"),
}


@pytest.mark.parametrize(("options", "status", "message"), KERNELS.values(), ids=KERNELS)
def test_kernel_size(options: dict[str, Any], status: str, message: str) -> None:
    made = "self.a = nn.Conv2d(1, 8, 3)\nself.b = nn.Conv2d(8, 8, 5)\nself.c = nn.Conv2d(8, 10, 1)\nself.unused = nn.Conv2d(1, 1, 9)"
    found = checked(net(made, "x = self.b(self.a(x))\nreturn self.c(x).mean((2, 3))"), "kernel-size", options)
    assert (found.status, found.message, found.measured) == (status, message, 5)


@pytest.mark.parametrize(
    ("layer", "options", "fix"),
    [
        ("nn.Conv2d(1, 10, 5)", {"allowed": [1, 3]}, "2 convolutions of 3×3 in a row see 5×5 positions too: 18 weights for each pair of channels, not 25."),
        ("nn.Conv2d(1, 10, 7)", {"at_most": 3}, "3 convolutions of 3×3 in a row see 7×7 positions too: 27 weights for each pair of channels, not 49."),
        ("nn.Conv2d(1, 10, 4)", {"allowed": [3]}, "Choose 3×3."),
        ("nn.Conv2d(1, 10, 2)", {"allowed": [3]}, "Choose 3×3."),
    ],
)  # fmt: skip
def test_kernel_size_says_what_sees_as_much(layer: str, options: dict[str, Any], fix: str) -> None:
    (finding,) = checked(net(f"self.a = {layer}", "return self.a(x).mean((2, 3))"), "kernel-size", options).findings
    assert finding.fix == fix


PATCHES: dict[str, tuple[str, str, str]] = {
    "too large": ("u = F.unfold(x, 5)\nreturn self.a(u).mean(2)", "error", "can't be told: unfold lays patches of 5 beside each other for learned weights, allowed are 1 and 3"),
    "by the method": ("u = x.unfold(2, 5, 1).unfold(3, 5, 1).permute(0, 1, 4, 5, 2, 3).reshape(-1, 25, 24 * 24)\nreturn self.a(u).mean(2)", "error", "can't be told: unfold lays patches of 5 beside each other for learned weights, allowed are 1 and 3"),
    "of an allowed size": ("u = F.unfold(x, 3)\nreturn F.conv1d(u, self.a.weight[:, :9]).mean(2)", "pass", "kernels: 1"),
    "that meet no weights": ("u = F.unfold(x, 5).amax(1, keepdim=True)\nreturn F.conv1d(u, self.a.weight[:, :1]).mean(2)", "pass", "kernels: 1"),
}  # fmt: skip


@pytest.mark.parametrize(("run", "status", "message"), PATCHES.values(), ids=PATCHES)
def test_kernel_size_of_patches(run: str, status: str, message: str) -> None:
    found = checked(net("self.a = nn.Conv1d(25, 10, 1)", run), "kernel-size", {"allowed": [1, 3]})
    assert (found.status, found.message) == (status, message)


LAST: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "log_softmax": ("return F.log_softmax(self.head(self.a(x)).mean((2, 3)), 1)", {}, []),
    "relu": ("x = F.relu(self.head(self.a(x)))\nreturn x.mean((2, 3))", {}, ["relu bends the scores of the last layer"]),
    "in place": ("x = F.relu_(self.head(self.a(x)))\nreturn x.mean((2, 3))", {}, ["relu bends the scores of the last layer"]),
    "behind pooling": ("x = self.head(self.a(x)).mean((2, 3))\nreturn x.clamp(min=0)", {}, ["clamp bends the scores of the last layer"]),
    "maximum": ("x = self.head(self.a(x)).mean((2, 3))\nreturn torch.maximum(x, torch.zeros(10))", {}, ["maximum bends the scores of the last layer"]),
    "the larger of two heads": ("x = self.a(x)\nreturn torch.maximum(self.head(x), self.head(-x)).mean((2, 3))", {}, []),
    "a comparison": ("x = self.head(self.a(x)).mean((2, 3))\nreturn x * (x > 0)", {}, ["gt bends the scores of the last layer"]),
    "sigmoid": ("return self.head(self.a(x)).mean((2, 3)).sigmoid()", {}, ["sigmoid bends the scores of the last layer"]),
    "on one of two paths": ("x = self.a(x)\nreturn (self.head(x) + F.relu(self.head(x))).mean((2, 3))", {}, ["relu bends the scores of the last layer"]),
    "before the last layer": ("x = F.dropout(F.relu(self.a(x)), 0.1, self.training)\nreturn self.head(x).mean((2, 3))", {}, []),
    "a relu that changes nothing": ("return F.relu(torch.softmax(self.head(self.a(x)).mean((2, 3)), 1))", {}, []),
    "a clamp before a logarithm": ("return torch.softmax(self.head(self.a(x)).mean((2, 3)), 1).clamp(min=1e-9).log()", {}, []),
    "a scale for each class": ("x = self.head(self.a(x)).mean((2, 3))\nreturn F.relu(x) * self.head.bias", {}, ["relu bends the scores of the last layer"]),
    "a convolution that is a scale for each class": ("x = F.relu(self.head(self.a(x)))\nreturn F.conv2d(x, self.one, groups=10).mean((2, 3))", {}, ["relu bends the scores of the last layer"]),
    "dropout": ("x = self.head(self.a(x))\nreturn F.dropout(x, 0.1, self.training).mean((2, 3))", {}, ["dropout drops scores of the last layer"]),
    "dropout of nothing": ("x = self.head(self.a(x))\nreturn F.dropout(x, 0.0, self.training).mean((2, 3))", {}, []),
    "batch norm allowed": ("x = self.head(self.n(self.a(x)))\nreturn self.m(x).mean((2, 3))", {}, []),
    "batch norm forbidden": ("x = self.head(self.n(self.a(x)))\nreturn self.m(x).mean((2, 3))", {"batch_norm": "forbid"}, ["batch normalisation rescales the scores of the last layer"]),
    "a fixed mean behind": ("x = F.relu(self.head(self.a(x))).flatten(2)\nreturn x @ torch.full((676,), 1 / 676)", {}, ["relu bends the scores of the last layer"]),
}  # fmt: skip


@pytest.mark.parametrize(("run", "options", "messages"), LAST.values(), ids=LAST)
def test_last_layer(run: str, options: dict[str, Any], messages: list[str]) -> None:
    made = MADE + "\nself.m = nn.BatchNorm2d(10)\nself.one = nn.Parameter(torch.ones(10, 1, 1, 1))"
    found = checked(net(made, run), "last-layer", options)
    assert ([item.message for item in found.findings], found.status) == (messages, "fail" if messages else "pass")


def test_last_layer_names_the_layer() -> None:
    found = checked(net(MADE, "x = F.relu(self.head(self.a(x)))\nreturn x.mean((2, 3))"), "last-layer")
    (finding,) = found.findings
    assert finding.fix == "Leave it out: let head be followed by pooling, a change of shape or log_softmax alone."
    assert [(span.line, label) for span, label in finding.related] == [(20, "the last layer with weights")]


def test_last_layer_of_a_model_without_layers() -> None:
    found = checked(net("pass", "return x.flatten(1)[:, :10].relu()"), "last-layer")
    assert (found.status, found.message) == ("error", "can't be told: no layer with weights leads to the prediction")


BIASES: dict[str, tuple[str, int]] = {
    "straight into it": ("x = self.n(self.a(x))" + END, 8),
    "twice": ("x = self.n(self.d(self.n(self.a(x))))" + END, 16),
    "an activation between": ("x = self.n(F.relu(self.a(x)))" + END, 0),
    "used elsewhere too": ("y = self.a(x)\nx = y + self.n(y)" + END, 0),
    "a shared layer, once without a norm": ("x = self.d(self.n(self.d(self.a(x))))" + END, 0),
    "a shared layer, always with one": ("x = self.n(self.d(self.n(self.d(self.a(x)))))" + END, 8),
    "frozen": ("self.n.eval()\nx = self.n(self.a(x))" + END, 0),
    "no bias": ("x = self.n(F.conv2d(x, self.a.weight))" + END, 0),
    "returned too": ("x = self.a(x)\ny = self.n(x)\nreturn self.head(y).mean((2, 3)), x", 0),
    "another use that is thrown away": ("y = self.a(x)\nF.relu(y)\nx = self.n(y)" + END, 8),
}


@pytest.mark.parametrize(("run", "wasted"), BIASES.values(), ids=BIASES)
def test_bias_before_norm(run: str, wasted: int) -> None:
    found = checked(net(MADE, run), "bias-before-norm")
    assert (found.status, found.measured) == ("fail" if wasted else "pass", wasted)


def test_bias_before_norm_says_what_to_write() -> None:
    made = (
        "self.a = nn.Conv2d(1, 8, 3)\nself.n = nn.BatchNorm2d(8)\n"
        "self.b = nn.Conv2d(8, 8, (3, 5), stride=2, padding=(1, 2), groups=4)\nself.m = nn.BatchNorm2d(8)\n"
        "self.c = nn.Linear(8, 10)\nself.o = nn.BatchNorm1d(10)"
    )
    text = net(made, "x = self.n(self.a(x))\nx = self.m(self.b(x))\nreturn self.o(self.c(x.mean((2, 3))))")
    found = checked(text, "bias-before-norm")
    assert found.message == "3 layers have a bias that batch normalisation cancels: 26 parameters do nothing"
    assert [item.fix for item in found.findings] == [
        "Write nn.Conv2d(1, 8, 3, bias=False).",
        "Write nn.Conv2d(8, 8, (3, 5), stride=2, padding=(1, 2), groups=4, bias=False).",
        "Write nn.Linear(8, 10, bias=False).",
    ]
    total = 80 + 16 + 8 * 2 * 15 + 8 + 16 + 90 + 20
    assert [item.after for item in found.findings] == [total - 8, total - 8, total - 10]
    for item, layer in zip(found.findings, ("self.a = nn.Conv2d(1, 8, 3)", "self.b", "self.c"), strict=True):
        ((span, edit),) = item.edits
        assert text.splitlines()[span.line - 1].strip().startswith(layer)
        assert edit == ", bias=False"


BIASED = {
    "nn.Conv2d(1, 8, 3, padding='same')": "Write nn.Conv2d(1, 8, 3, padding='same', bias=False).",
    "nn.Conv2d(1, 8, 3, padding=1, padding_mode='circular')": "Leave the bias out: bias=False.",
    "nn.ConvTranspose2d(1, 8, 3, 2, output_padding=1)": "Write nn.ConvTranspose2d(1, 8, 3, stride=2, output_padding=1, bias=False).",
}


@pytest.mark.parametrize(("layer", "fix"), BIASED.items(), ids=BIASED)
def test_bias_before_norm_leaves_the_rest_of_the_layer_as_it_is(layer: str, fix: str) -> None:
    text = net(
        f"self.a = {layer}\nself.n = nn.BatchNorm2d(8)\nself.h = nn.Conv2d(8, 10, 1)",
        "return self.h(self.n(self.a(x))).mean((2, 3))",
    )
    assert [item.fix for item in checked(text, "bias-before-norm").findings] == [fix]


USED_TWICE = {
    "a pooling": ("self.a = nn.Conv2d(1, 10, 3, padding=1)\nself.p = nn.MaxPool2d(2)", "x = self.a(x)\nfor _ in range(4): x = self.p(x)\nreturn x.flatten(1)", "global-average-pool"),
    "a normalisation": ("self.a = nn.Conv2d(1, 8, 3)\nself.b = nn.Conv2d(8, 8, 3)\nself.n = nn.InstanceNorm2d(8)\nself.h = nn.Conv2d(8, 10, 1)", "x = self.n(self.a(x)).relu()\nreturn self.h(self.n(self.b(x)).relu()).mean((2, 3))", "batch-norm"),
    "a line that makes two": ("self.a, self.b = (nn.Sequential(nn.Conv2d(i, o, 3), nn.GroupNorm(1, o)) for i, o in ((1, 8), (8, 10)))", "return self.b(self.a(x)).mean((2, 3))", "batch-norm"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "run", "check"), USED_TWICE.values(), ids=USED_TWICE)
def test_a_layer_with_several_uses_is_not_exchanged(made: str, run: str, check: str) -> None:
    assert [item.edits for item in checked(net(made, run), check).findings] == [()]


@pytest.mark.parametrize("run", ["return self.f(self.a(x).mean((2, 3)))", "return self.f(self.a(x).mean((2, 3))) * 2"])
def test_a_linear_layer_of_a_single_input_is_one(run: str) -> None:
    found = checked(net("self.a = nn.Conv2d(1, 1, 3)\nself.f = nn.Linear(1, 10)", run), "linear")
    assert [item.message for item in found.findings] == ["a linear layer (1 × 10 weights) makes the prediction"]


def test_layers_that_a_loop_makes_are_one_finding() -> None:
    made = (
        "self.cs = nn.ModuleList([nn.Conv2d(1, 4, 3), *(nn.Conv2d(4, 4, 3) for _ in range(3))])\n"
        "self.ns = nn.ModuleList(nn.BatchNorm2d(4) for _ in range(4))\nself.head = nn.Conv2d(4, 10, 1)"
    )
    text = net(made, "for c, n in zip(self.cs, self.ns): x = n(c(x))\nreturn self.head(x).mean((2, 3))")
    found = checked(text, "bias-before-norm")
    assert [item.message for item in found.findings] == [
        "the batch normalisation behind cs.0 cancels its bias: 4 parameters do nothing",
        "batch normalisation cancels the bias of 3 layers that are made here: 12 parameters do nothing",
    ]
    assert found.message == "4 layers have a bias that batch normalisation cancels: 16 parameters do nothing"


def test_a_helper_that_makes_other_layers_too_is_not_edited() -> None:
    made = "self.cs = nn.ModuleList(nn.Conv2d(i, o, 3) for i, o in ((1, 4), (4, 10)))\nself.n = nn.BatchNorm2d(4)"
    (finding,) = checked(
        net(made, "x = self.n(self.cs[0](x))\nreturn self.cs[1](x).mean((2, 3))"), "bias-before-norm"
    ).findings
    assert (finding.edits, finding.after) == ((), None)
    assert finding.fix == "Leave out the bias of these layers; others that are made at the same place need theirs."


def test_a_bias_that_is_found_does_nothing_in_training() -> None:
    """The oracle: the trained program gives the same with any other bias."""
    namespace: dict[str, Any] = {}
    exec(net(MADE, "x = self.n(self.d(self.n(self.a(x))))" + END), namespace)
    model, images = namespace["Net"]().double().train(), torch.randn(8, 1, 28, 28, dtype=torch.double)
    before = model(images)
    with torch.no_grad():
        model.a.bias += 3
        model.d.bias -= 5
    assert torch.allclose(before, model(images))


def test_every_kind_that_can_be_named_can_be_counted() -> None:
    assert set(layer_count.COUNTABLE) == set(get_args(layer_count.KindName))
