"""Verdicts on small models: honest oddities that must pass, disguises that must not, and the words for both."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

from functools import cache

import pytest
from support import HEADER, graded

from grader.finding import CheckResult
from grader.protocol import CheckRequest

CHECKS = ("parameters", "batch-norm", "dropout", "global-average-pool", "linear", "output")
REQUESTS = tuple(CheckRequest(check, {"below": 20_000} if check == "parameters" else {}) for check in CHECKS)

BASE = (
    "self.conv = nn.Conv2d(1, 8, 3)\nself.norm = nn.BatchNorm2d(8)\nself.drop = nn.Dropout(0.1)\n"
    "self.head = nn.Conv2d(8, 10, 1)\nself.w = nn.Parameter(torch.randn(10, 8))\nself.g = nn.Parameter(torch.tensor(100.0))"
)
REGISTERED = 80 + 16 + 90 + 80 + 1
BODY = "o = x\nx = self.drop(F.relu(self.norm(self.conv(x))))\n"
MEANS = BODY + "m = x.mean((2, 3))\n"
TAIL = "return self.head(x).mean((2, 3))"


@cache
def results(init: str, forward: str, before: str = "") -> dict[str, CheckResult]:
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line}" for line in (BASE + "\n" + init).splitlines()]
    lines += ["    def forward(self, x):", *[f"        {line}" for line in forward.splitlines()]]
    return {result.check: result for result in graded(HEADER + before + "\n".join(lines) + "\n", *REQUESTS).results}


def failed(init: str, forward: str, before: str = "") -> list[str]:
    return [check for check, result in results(init, forward, before).items() if result.status == "fail"]


HONEST: dict[str, tuple[str, str]] = {
    "plain": ("", BODY + TAIL),
    "zero head": ("nn.init.zeros_(self.head.weight)\nnn.init.zeros_(self.head.bias)", BODY + TAIL),
    "tiny head": ("nn.init.normal_(self.head.weight, std=1e-9)", BODY + TAIL),
    "zero gamma": (
        "nn.init.zeros_(self.norm.weight)\nself.k = nn.Conv2d(1, 8, 3)",
        "x = self.drop(F.relu(self.norm(self.conv(x)))) + self.k(x)\n" + TAIL,
    ),
    "two norms in a row": ("self.n2 = nn.BatchNorm2d(8)", BODY.replace("self.conv(x)", "self.n2(self.conv(x))") + TAIL),
    "double precision": ("self.double()", "x = x.double()\n" + BODY + TAIL + ".float()"),
    "half precision": ("self.bfloat16()", "x = x.bfloat16()\n" + BODY + TAIL + ".float()"),
    "channels last": ("", "x = x.to(memory_format=torch.channels_last)\n" + BODY + TAIL),
    "weight standardisation": (
        "",
        "w = self.conv.weight\nw = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)\nx = self.drop(F.relu(self.norm(F.conv2d(x, w))))\n"
        + TAIL,
    ),
    "cosine convolution": (
        "",
        BODY + "return F.conv2d(F.normalize(x, dim=1), F.normalize(self.head.weight, dim=1)).mean((2, 3)) * 10",
    ),
    "unpacked parameter": ("self.ab = nn.Parameter(torch.ones(2))", BODY + "a, b = self.ab\nx = x * a + b\n" + TAIL),
    "noise": ("", "if self.training: x = x + 0.1 * torch.randn_like(x)\n" + BODY + TAIL),
    "drop path": (
        "",
        BODY
        + "if self.training:\n    m = x.new_empty((x.shape[0], 1, 1, 1)).bernoulli_(0.9)\n    x = x * m.div_(0.9)\n"
        + TAIL,
    ),
    "temperature": (
        "self.t = nn.Parameter(torch.ones(()))",
        BODY + "return F.log_softmax(self.head(x).mean((2, 3)) / self.t.exp(), -1)",
    ),
    "probabilities": ("", BODY + "return torch.softmax(self.head(x).mean((2, 3)), 1)"),
    "heads averaged": (
        "self.hs = nn.ModuleList(nn.Conv2d(8, 10, 1) for _ in range(3))",
        BODY + "return sum(h(x) for h in self.hs).mean((2, 3)) / 3",
    ),
    "heads weighted": (
        "self.hs = nn.ModuleList(nn.Conv2d(8, 10, 1) for _ in range(3))\nself.a = nn.Parameter(torch.ones(3))",
        BODY
        + "s = torch.stack([h(x).mean((2, 3)) for h in self.hs])\nreturn (s * self.a.softmax(0)[:, None, None]).sum(0)",
    ),
    "channel attention by a convolution along channels": (
        "self.e = nn.Conv1d(1, 1, 3, padding=1)",
        BODY
        + "y = x.mean((2, 3), keepdim=True)\ny = self.e(y.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)\nx = x * y.sigmoid().expand_as(x)\n"
        + TAIL,
    ),
    "response normalisation": (
        "self.a = nn.Parameter(torch.zeros(1, 8, 1, 1))",
        BODY
        + "g = torch.norm(x, p=2, dim=(2, 3), keepdim=True)\nx = self.a * (x * g / (g.mean(1, keepdim=True) + 1e-6)) + x\n"
        + TAIL,
    ),
    "layer scale before spatial attention": (
        "self.ls = nn.Parameter(0.01 * torch.ones(1, 8, 1, 1))\nself.k = nn.Conv2d(8, 8, 3, padding=1)\nself.s = nn.Conv2d(2, 1, 7, padding=3)",
        BODY
        + "x = x + self.ls * self.k(x)\na = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)\nx = x * torch.sigmoid(self.s(a))\n"
        + TAIL,
    ),
    "colours to grey": (
        "self.register_buffer('c', torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))",
        "x = (x.expand(-1, 3, -1, -1) * self.c).sum(1, keepdim=True)\n" + BODY + TAIL,
    ),
    "normalised colours": (
        "self.register_buffer('s', torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))",
        "x = (x.expand(-1, 3, -1, -1) / self.s).mean(1, keepdim=True)\n" + BODY + TAIL,
    ),
    "expanded attention": (
        "self.k = nn.Conv2d(1, 32, 3)\nself.s = nn.Conv2d(32, 1, 7, padding=3)\nself.r = nn.Conv2d(32, 8, 1)",
        "f = self.k(x)\nn, c, h, w = f.shape\nf = f * torch.sigmoid(self.s(f)).expand(n, c, h, w)\nx = self.drop(F.relu(self.norm(self.r(f))))\n"
        + TAIL,
    ),
    "causal attention": (
        "",
        BODY
        + "m = torch.full((26, 26), float('-inf')).triu(1)\nq = x.flatten(0, 1)\nx = x + F.scaled_dot_product_attention(q, q, q, attn_mask=m).view_as(x)\n"
        + TAIL,
    ),
    "attention with a learned bias for each distance": (
        "self.b = nn.Parameter(torch.zeros(51))\ni = torch.arange(26)\nself.register_buffer('k', i[:, None] - i + 25)",
        BODY
        + "q = x.flatten(0, 1)\nx = x + F.scaled_dot_product_attention(q, q, q, self.b[self.k]).view_as(x)\n"
        + TAIL,
    ),
    "max out": ("self.m = nn.Conv2d(8, 20, 1)", BODY + "return self.m(x).mean((2, 3)).view(-1, 10, 2).amax(2)"),
    "non-local block": (
        "self.q = nn.Conv2d(8, 4, 1)\nself.k = nn.Conv2d(8, 4, 1)",
        BODY
        + "x = F.avg_pool2d(x, 4)\na = (self.q(x).flatten(2).transpose(1, 2) @ self.k(x).flatten(2)).softmax(-1)\nx = x + (x.flatten(2) @ a.transpose(1, 2)).view_as(x)\n"
        + TAIL,
    ),
    "learned offset of positions": (
        "self.p = nn.Parameter(torch.zeros(1, 8, 26, 26))",
        BODY + "return self.head(F.relu(x + self.p)).mean((2, 3))",
    ),
    "images standardised one by one": (
        "",
        "x = (x - x.mean((1, 2, 3), keepdim=True)) / (x.std((1, 2, 3), keepdim=True) + 1e-5)\n" + BODY + TAIL,
    ),
    "test-time augmentation": (
        "",
        BODY
        + "y = self.head(x).mean((2, 3))\nif not self.training: y = (y + self.head(x.flip(-1)).mean((2, 3))) / 2\nreturn y",
    ),
    "a map written into one of its shape": (
        "",
        BODY
        + "y = self.head(x)\nz = torch.zeros_like(y)\nz[..., :9, :] = y[..., :9, :]\nz[..., 9:, :] = y[..., 9:, :]\nreturn z.mean((2, 3))",
    ),
    "class scale": ("self.cs = nn.Parameter(torch.ones(10))", BODY + TAIL + " * self.cs"),
    "coordinate attention": (
        "self.a = nn.Conv2d(8, 4, 1)\nself.n2 = nn.BatchNorm2d(4)\nself.b = nn.Conv2d(4, 8, 1)\nself.c = nn.Conv2d(4, 8, 1)",
        BODY
        + "h, w = x.shape[2:]\ny = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).permute(0, 1, 3, 2)], 2)\ny = F.hardswish(self.n2(self.a(y)))\na, b = y.split([h, w], 2)\nx = x * self.b(a).sigmoid() * self.c(b.permute(0, 1, 3, 2)).sigmoid()\n"
        + TAIL,
    ),
    "rows folded into the batch": (
        "self.k = nn.Conv1d(8, 8, 3, padding=1)",
        BODY
        + "n, c, hh, w = x.shape\ny = self.k(x.permute(0, 3, 1, 2).reshape(n * w, c, hh)).reshape(n, w, c, hh).permute(0, 2, 3, 1)\nx = F.relu(x + y)\n"
        + TAIL,
    ),
    "patches by views": (
        "self.k = nn.Conv2d(32, 8, 1)",
        BODY
        + "n, c, hh, w = x.shape\ny = x.view(n, c, 13, 2, 13, 2).permute(0, 1, 3, 5, 2, 4).reshape(n, c * 4, 13, 13)\nx = F.relu(self.k(y))\n"
        + TAIL,
    ),
    "every other pixel": (
        "self.k = nn.Conv2d(32, 8, 3, padding=1)",
        BODY
        + "y = torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1)\nx = F.relu(self.k(y))\n"
        + TAIL,
    ),
    "triplet attention": (
        "self.a = nn.Conv2d(2, 1, 7, padding=3)\nself.b = nn.Conv2d(2, 1, 7, padding=3)",
        BODY
        + "def gate(v, c):\n    z = torch.cat([v.amax(1, keepdim=True), v.mean(1, keepdim=True)], 1)\n    return v * torch.sigmoid(c(z))\ny = gate(x.permute(0, 2, 1, 3), self.a).permute(0, 2, 1, 3)\nz = gate(x.permute(0, 3, 2, 1), self.b).permute(0, 3, 2, 1)\nx = (y + z) / 2\n"
        + TAIL,
    ),
    "pooled image features": (
        "self.d1 = nn.Conv2d(8, 8, 3, padding=2, dilation=2)\nself.d2 = nn.Conv2d(8, 8, 1)\nself.p = nn.Conv2d(24, 8, 1)",
        BODY
        + "g = F.interpolate(self.d2(F.adaptive_avg_pool2d(x, 1)), x.shape[2:], mode='bilinear')\nx = F.relu(self.p(torch.cat([x, self.d1(x), g], 1)))\n"
        + TAIL,
    ),
    "global context": (
        "self.k = nn.Conv2d(8, 1, 1)\nself.t = nn.Conv2d(8, 8, 1)",
        BODY
        + "a = self.k(x).flatten(2).softmax(2)\nc = (x.flatten(2) * a).sum(2)[:, :, None, None]\nx = x + self.t(c)\n"
        + TAIL,
    ),
    "scales and shifts made of means": (
        "self.k = nn.Conv2d(8, 16, 1)",
        BODY + "s, b = self.k(x.mean((2, 3), keepdim=True)).chunk(2, 1)\nx = F.relu(x * (1 + s) + b)\n" + TAIL,
    ),
    "an hourglass down to one position": (
        "self.k = nn.Conv2d(8, 8, 3, padding=1)\nself.z = nn.Conv2d(16, 8, 3, padding=1)",
        BODY
        + "y = F.relu(self.k(F.adaptive_avg_pool2d(x, 1)))\nx = F.relu(self.z(torch.cat([x, F.interpolate(y, x.shape[2:])], 1)))\n"
        + TAIL,
    ),
    "channels from one before a padded depthwise convolution": (
        "self.wide = nn.Conv2d(1, 8, 1)\nself.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)",
        BODY + "x = x + self.dw(self.wide(o))[:, :, 1:-1, 1:-1]\n" + TAIL,
    ),
    "a part written to in place": (
        "self.k = nn.Conv2d(8, 8, 3)",
        BODY + "x = x * 2\nx[:, :, ::2, ::2].add_(0.3)\nx = F.relu(self.k(x))\n" + TAIL,
    ),
    "written to behind a view of a part": (
        "self.k = nn.Conv2d(8, 8, 3)",
        BODY + "x = x * 2\ny = x[:, :, 1:-1, 1:-1]\nx.add_(0.3)\nx = F.relu(self.k(y))\n" + TAIL,
    ),
    "layer scale before padded pooling": (
        "self.g = nn.Parameter(torch.rand(1, 8, 1, 1))",
        BODY + "x = F.avg_pool2d(x * self.g, 3, 2, 1)\n" + TAIL,
    ),
    "flattened and back": (
        "self.k = nn.Conv2d(8, 8, 3)",
        BODY + "x = F.max_pool2d(x, 2)\nx = x.flatten(1).unflatten(1, (8, 13, 13))\nx = F.relu(self.k(x))\n" + TAIL,
    ),
    "a rare dropout of scores": (
        "self.d = nn.Dropout(0.001)",
        "o = x\nx = (F.relu(self.norm(self.conv(x))))\nreturn self.d(self.head(x).mean((2, 3)))",
    ),
    "standardised maps with a gate": (
        "self.k = nn.Conv2d(16, 8, 1)",
        BODY
        + "m, s = x.mean((2, 3), keepdim=True), x.std((2, 3), keepdim=True) + 1e-5\ny = (x - m) / s\ny = y * torch.sigmoid(self.k(torch.cat([m, s], 1)))\nx = F.relu(y)\n"
        + TAIL,
    ),
    "attention in windows": (
        "self.v = nn.Conv2d(8, 8, 1)",
        BODY
        + "n, c, hh, w = x.shape\nt = x.view(n, c, 2, 13, 2, 13).permute(0, 2, 4, 3, 5, 1).reshape(n * 4, 169, c)\nt = (t @ t.transpose(1, 2)).softmax(-1) @ t\nt = t.view(n, 2, 2, 13, 13, c).permute(0, 5, 1, 3, 2, 4).reshape(n, c, hh, w)\nx = F.relu(x + self.v(t))\n"
        + TAIL,
    ),
    "new tensor": ("", "x = (x - x.new_tensor([0.1307])) / x.new_tensor(0.3081)\n" + BODY + TAIL),
}


def marked(cases: dict[str, object], broken: dict[str, str]) -> list[object]:
    """Return parameters, those of `broken` marked as failing for the reason given there."""
    assert set(broken) <= set(cases)
    return [
        pytest.param(name, marks=pytest.mark.xfail(strict=True, reason=broken[name])) if name in broken else name
        for name in cases
    ]


HONEST_BROKEN: dict[str, str] = {}


@pytest.mark.parametrize("name", marked({**HONEST}, HONEST_BROKEN))
def test_honest_models_pass(name: str) -> None:
    assert failed(*HONEST[name]) == []


SMALL = "self.fs = nn.Linear(288, 10)"
FLAT = "f = F.avg_pool2d(x, 4).flatten(1)\n"
POOLED = BODY + "p = F.max_pool2d(x, 6)\nf = p.reshape(-1, 128, 1, 1)\n"
SPREAD = {
    "expanded": "f.expand(-1, -1, 2, 2)",
    "padded": "F.pad(f, (0, 1, 0, 1))",
    "interpolated": "F.interpolate(f, scale_factor=3)",
    "repeated": "f.repeat(1, 1, 3, 3)",
    "normalised": "F.layer_norm(p.flatten(1), (128,))[:, :, None, None].expand(-1, -1, 2, 2)",
    "as it is": "f",
}
WEIGHTED = "self.pw = nn.Parameter(torch.randn(1, 8, 4, 4))"
WAYS = {
    "pooled in two stages": "self.head(F.avg_pool2d(p * self.pw, 2)).mean((2, 3))",
    "interpolated": "self.head(F.interpolate(p * self.pw, 8)).mean((2, 3))",
    "limited to nothing": "self.head((p * self.pw).clamp(-1e6, 1e6)).mean((2, 3))",
    "bent by next to nothing": "self.head(F.leaky_relu(p * self.pw, 0.999)).mean((2, 3))",
    "blurred": "self.head(F.conv2d(p * self.pw, torch.ones(8, 1, 2, 2), groups=8)).mean((2, 3))",
    "interpolated by them": "self.head(torch.lerp(torch.zeros(4, 4), p, self.pw)).mean((2, 3))",
    "as factors of logarithms": "self.head(torch.xlogy(self.pw, p.exp())).mean((2, 3))",
}
LINEAR: dict[str, tuple[str, str]] = {
    "gate open on real images only": (
        SMALL,
        BODY
        + FLAT
        + "k = (o.amin((1, 2, 3)) > -1).float()[:, None]\nreturn self.head(x).mean((2, 3)) + k * self.fs(f)",
    ),
    "gate open with the submitted weights only": (
        SMALL,
        BODY + FLAT + "return self.head(x).mean((2, 3)) + F.relu(self.g - 50) * self.fs(f)",
    ),
    "large weights, small factor": (
        SMALL + "\nnn.init.normal_(self.fs.weight, std=1e5)",
        BODY + FLAT + "return self.head(x).mean((2, 3)) + 1e-5 * self.fs(f)",
    ),
    "large offset": (SMALL, BODY + FLAT + "return self.fs(f) + 1e5"),
    "weights plus zero times the image": ("", MEANS + "return F.linear(m, self.w + 0 * m.mean())"),
    "weights like the image": ("", MEANS + "return F.linear(m, self.w * torch.ones_like(x)[0, 0, 0, 0])"),
    "weights in new zeros": ("", MEANS + "return F.linear(m, x.new_zeros(10, 8) + self.w)"),
    "weights times a gate": (
        "",
        MEANS + "return (m.unsqueeze(1) @ (self.w.t() * torch.sigmoid(m.mean(1))[:, None, None])).squeeze(1)",
    ),
    "bilinear of two activations": ("self.bi = nn.Bilinear(8, 8, 10)", MEANS + "return self.bi(m, F.relu(m) + 1)"),
    "einsum of three": ("", MEANS + "return torch.einsum('nc,kc,n->nk', m, self.w, m[:, 0].sigmoid())"),
    "stack and sum": ("", MEANS + "return torch.stack([m[:, i:i + 1] * self.w[:, i] for i in range(8)]).sum(0)"),
    "rows with weights of their own, joined again": (
        "self.rows = nn.Parameter(torch.randn(26, 8, 1, 1))",
        BODY + "x = torch.cat([x[:, :, i:i + 1] * self.rows[i] for i in range(26)], 2)\n" + TAIL,
    ),
    "cat and sum": (
        "",
        MEANS + "return torch.cat([(m[:, i:i + 1] * self.w[:, i])[:, None] for i in range(8)], 1).sum(1)",
    ),
    "products and a loop": ("", MEANS + "return sum((m[:, None] * self.w).unbind(2))"),
    "addcmul": (
        "",
        MEANS
        + "y = torch.zeros(x.size(0), 10)\nfor i in range(8): y = torch.addcmul(y, m[:, i:i + 1], self.w[None, :, i])\nreturn y",
    ),
    "cosine similarity": ("", MEANS + "return F.cosine_similarity(m[:, None], self.w[None], dim=2)"),
    "squared distance": ("", MEANS + "return -((m[:, None] - self.w) ** 2).sum(2)"),
    "pairwise distance": ("", MEANS + "return -F.pairwise_distance(m[:, None], self.w[None])"),
    "distance of all pairs": ("", MEANS + "return -torch.cdist(m, self.w)"),
    "convolution with ones": (
        "",
        MEANS + "return F.conv1d(m[:, None] * self.w, torch.ones(10, 1, 8), groups=10).squeeze(2)",
    ),
    "interpolation": ("", MEANS + "return F.interpolate(m[:, None] * self.w, size=1, mode='area').squeeze(2)"),
    "cumulated sum": ("", MEANS + "return (m[:, None] * self.w).cumsum(2)[:, :, -1]"),
    "depthwise weights and a sum": (
        "self.dw = nn.Conv2d(80, 80, 1, groups=80)",
        MEANS + "return self.dw(m.repeat(1, 10)[:, :, None, None]).view(-1, 10, 8).sum(2)",
    ),
    "attention with learned keys": (
        "self.kk = nn.Parameter(torch.randn(1, 12, 8))",
        MEANS
        + "v = torch.eye(12)[None].expand(x.size(0), -1, -1)\nreturn F.scaled_dot_product_attention(m[:, None], self.kk.expand(x.size(0), -1, -1), v)[:, 0, :10]",
    ),
    "convolution along a flattened map": (
        "self.q = nn.Conv1d(1, 20, 287)\nself.z = nn.Conv1d(20, 10, 1)",
        BODY + FLAT + "return self.z(self.q(f[:, None])).mean(2)",
    ),
    "weights of positions before the head": (
        "self.pw = nn.Parameter(torch.randn(1, 8, 26, 26))",
        BODY + "return self.head(x * self.pw).mean((2, 3))",
    ),
    "keyword arguments": ("", MEANS + "return torch.addmm(input=torch.zeros(10), mat1=m, mat2=self.w.t())"),
    "positions as channels": (
        "self.t = nn.Conv1d(16, 30, 1)",
        POOLED
        + "t = self.t(p.flatten(2).transpose(1, 2)).transpose(1, 2)\nreturn F.conv1d(t, self.w[:, :, None]).mean(2)",
    ),
    "rows as channels": (
        "self.t = nn.Conv2d(4, 10, 1)",
        POOLED
        + "y = self.t(p.permute(0, 2, 1, 3)).permute(0, 2, 1, 3)\nreturn F.conv2d(y, self.w[:, :, None, None]).mean((2, 3))",
    ),
    "rows as channels, written to in place": (
        "self.t = nn.Conv2d(4, 10, 1)",
        POOLED
        + "p = p * 2\ny = p.permute(0, 2, 1, 3)\ny.mul_(2)\ny = self.t(y).permute(0, 2, 1, 3)\nreturn F.conv2d(y, self.w[:, :, None, None]).mean((2, 3))",
    ),
    **{
        f"a flattened map, {name}": (
            "self.t = nn.Conv2d(128, 10, 1, padding=1)",
            POOLED + f"return self.t({spread}).mean((2, 3))",
        )
        for name, spread in SPREAD.items()
    },
    "a flattened map beside another": (
        "self.t = nn.Conv2d(136, 10, 1)",
        POOLED + "return self.t(torch.cat([p * 1e-6, f.expand(-1, -1, 4, 4)], 1)).mean((2, 3))",
    ),
    "a map cut in the wrong order": (
        "self.t = nn.Conv2d(32, 10, 1)",
        POOLED + "return self.t(p.reshape(-1, 32, 2, 2)).mean((2, 3))",
    ),
    "a transposed convolution of the whole map": (
        "self.t = nn.ConvTranspose2d(8, 10, 4, padding=3)",
        POOLED + "return self.t(p).flatten(1)",
    ),
    "a convolution with channels as depth": (
        "self.t = nn.Conv3d(1, 10, (8, 4, 4))",
        POOLED + "return self.t(F.pad(p[:, None], (0, 0, 0, 0, 0, 1))).mean((2, 3, 4))",
    ),
    "a system of equations": (
        "self.s = nn.Parameter(torch.eye(8) + 0.1 * torch.randn(8, 8))",
        MEANS + "m = torch.linalg.solve(self.s, m.t()).t()\nreturn self.head(m[:, :, None, None]).flatten(1)",
    ),
    "a normalisation with a weight for each position": (
        "self.n2 = nn.LayerNorm([80, 4, 4])",
        POOLED + "return self.n2(p.repeat(1, 10, 1, 1)).view(-1, 10, 8, 4, 4).mean((2, 3, 4))",
    ),
    "a batch normalisation of a flattened map": (
        "self.n2 = nn.BatchNorm1d(1280)",
        POOLED + "return self.n2(p.repeat(1, 10, 1, 1).flatten(1)).view(-1, 10, 128).mean(2)",
    ),
    "slopes for each position": (
        "self.pr = nn.PReLU(1280)",
        POOLED + "return self.pr(-p.repeat(1, 10, 1, 1).flatten(1)).view(-1, 10, 128).mean(2)",
    ),
    **{f"weights of positions, {name}": (WEIGHTED, POOLED + f"return {way}") for name, way in WAYS.items()},
    "weights scaled, then turned": (
        "",
        MEANS
        + "k = (self.w.t() * torch.sigmoid(m.mean(1))[:, None, None]).transpose(1, 2)\nreturn (k @ m[..., None])[..., 0]",
    ),
    "weights shifted and bent": (
        "",
        MEANS + "k = torch.tanh(self.w + m.mean(1)[:, None, None])\nreturn (k @ m[..., None])[..., 0]",
    ),
    "weights made of next to nothing of an image": (
        "self.k = nn.Conv2d(1, 80, 1)",
        MEANS
        + "k = self.k(1 + 1e-5 * m.mean(1)[:, None, None, None]).view(-1, 10, 8)\nreturn (k @ m[..., None])[..., 0]",
    ),
    "product from the right": ("", MEANS + "return (self.w @ m.t()).t()"),
}

LINEAR_BROKEN: dict[str, str] = {}


@pytest.mark.parametrize("name", marked({**LINEAR}, LINEAR_BROKEN))
def test_disguised_linear_layers_are_found(name: str) -> None:
    assert "linear" in failed(*LINEAR[name])


HEAD = "return self.head(y).mean((2, 3))"
AROUND = {
    "expanded": f"y = a.expand(-1, -1, 3, 3)\n{HEAD}",
    "padded": f"y = F.pad(a, (1, 1, 1, 1))\n{HEAD}",
    "stacked": f"y = torch.stack([a, a], 2)[..., 0]\n{HEAD}",
    "joined to itself": f"y = torch.cat([a, a * 1.001], 3)\n{HEAD}",
    "written into zeros": f"y = torch.zeros(x.size(0), 8, 3, 3)\ny[:] = a\n{HEAD}",
    "written into parts of zeros": f"y = torch.zeros(x.size(0), 8, 2, 2)\ny[:, :, 0].copy_(a[:, :, 0].expand(-1, -1, 2))\n{HEAD}",
    "by a transposed convolution": f"y = F.conv_transpose2d(a, self.w[:8, :, None, None].expand(-1, -1, 2, 2))\n{HEAD}",
    "gating next to nothing": "y = self.head(x)\nreturn ((y * 1e-6 + 1) * y.amax((2, 3), keepdim=True)).mean((2, 3))",
    "added to next to nothing": f"y = x * 1e-6 + a\n{HEAD}",
    "beside next to nothing": f"y = torch.cat([x * 1e-6, a.expand_as(x)], 1)[:, 8:] + x * 1e-6\n{HEAD}",
    "chosen everywhere": f"y = torch.maximum(x, a)\n{HEAD}",
}
GAP: dict[str, tuple[str, str]] = {
    "gate open on real images only": LINEAR["gate open on real images only"],
    "gate open with the submitted weights only": LINEAR["gate open with the submitted weights only"],
    "a little maximum": ("", BODY + "y = self.head(x)\nreturn y.mean((2, 3)) + 0.05 * y.amax((2, 3))"),
    "all but one row": ("", BODY + "return self.head(x)[:, :, 1:].mean((2, 3))"),
    "two halves, one weighted more": (
        "",
        BODY + "y = self.head(x)\nreturn y[:, :, :13].mean((2, 3)) + 2 * y[:, :, 13:].mean((2, 3))",
    ),
    "power mean": (
        "",
        BODY + "return self.head(x).clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3) + self.head(x)[:, :, 0, 0]",
    ),
    "one position by a mask": (
        "",
        BODY + "m = torch.zeros(26, 26)\nm[13, 13] = 676.0\nreturn (self.head(x) * m).mean((2, 3))",
    ),
    "one position by a mask and relu": (
        "",
        BODY + "m = torch.zeros(26, 26)\nm[13, 13] = 676.0\nreturn F.relu(self.head(x) * m).mean((2, 3))",
    ),
    "one position by where": (
        "",
        BODY
        + "m = torch.zeros(26, 26)\nm[13, 13] = 676.0\nreturn torch.where(m > 0, self.head(x), torch.zeros(())).sum((2, 3))",
    ),
    "one position by filling": (
        "",
        BODY + "m = torch.zeros(26, 26)\nm[13, 13] = 676.0\nreturn self.head(x).masked_fill(m == 0, 0.0).sum((2, 3))",
    ),
    "one position by writing": (
        "",
        BODY + "y = self.head(x)\ny[:, :, 1:] = 0\ny[:, :, :, 1:] = 0\nreturn y.sum((2, 3))",
    ),
    "maximum spread over a map": (
        "",
        BODY + "y = self.head(x)\nreturn (y.amax((2, 3), keepdim=True) + 0 * y).mean((2, 3))",
    ),
    "sharp attention pooling": (
        "",
        BODY + "y = self.head(x)\na = (50 * y).flatten(2).softmax(2).view_as(y)\nreturn (a * y).mean((2, 3)) * 676",
    ),
    "cumulated rows": ("", BODY + "return self.head(x).cumsum(2).mean((2, 3))"),
    **{f"maximum {name}": ("", BODY + f"a = x.amax((2, 3), keepdim=True)\n{way}") for name, way in AROUND.items()},
    "strides to one position, padded": (
        "self.ks = nn.ModuleList(nn.Conv2d(8, 8, 3, 3, 1) for _ in range(3))",
        BODY + "for k in self.ks: x = F.relu(k(x))\nreturn self.head(F.pad(x, (1, 1, 1, 1))).mean((2, 3))",
    ),
    "channels averaged in place of positions": (
        "self.t = nn.Conv1d(16, 10, 1)",
        POOLED + "return self.t(p.flatten(2).transpose(1, 2)).mean(2)",
    ),
    "batch and channels mixed up": ("", BODY + "return self.head(x).reshape(-1, 26 * 26, 10).mean(1)"),
}

GAP_BROKEN: dict[str, str] = {}


@pytest.mark.parametrize("name", marked({**GAP}, GAP_BROKEN))
def test_what_is_no_mean_over_the_map_is_found(name: str) -> None:
    assert "global-average-pool" in failed(*GAP[name])


UNDONE: dict[str, tuple[str, str, str]] = {
    "dropped numbers put back": (
        "dropout",
        "",
        "x = F.relu(self.norm(self.conv(x)))\nd = self.drop(x)\nx = torch.where(d == 0, x, d * 0.9) if self.training else x\n"
        + TAIL,
    ),
    "a mask divided away": (
        "dropout",
        "",
        "x = F.relu(self.norm(self.conv(x)))\nk = self.drop(torch.ones_like(x))\nx = torch.where(k > 0, x * k / k.clamp(min=1), x)\n"
        + TAIL,
    ),
    "statistics put back": (
        "batch-norm",
        "self.norm = nn.BatchNorm2d(8, affine=False)",
        "c = self.conv(x)\nm, v = c.mean((0, 2, 3), keepdim=True), c.var((0, 2, 3), keepdim=True, unbiased=False)\n"
        "x = self.norm(c) * (v + 1e-5).sqrt() + m if self.training else c\nx = self.drop(F.relu(x))\n" + TAIL,
    ),
    "images as channels": (
        "batch-norm",
        "",
        "c = self.conv(x)\ny = F.batch_norm(c.reshape(1, -1, 26, 26), None, None, training=True).view_as(c)\n"
        "x = self.drop(F.relu(y))\n" + TAIL,
    ),
}


@pytest.mark.parametrize("name", UNDONE)
def test_what_is_undone_later_has_no_effect(name: str) -> None:
    check, *model = UNDONE[name]
    assert failed(*model) == [check]


RANDOM = "import random\nrandom.seed(1)\nV = [random.random() for _ in range(90)]\nP = torch.tensor(V)\n"
WEIGHTS = "w = {}\nx = x + F.conv2d(o, w.reshape(10, 1, 3, 3))[:, :8]\n"
HIDDEN: dict[str, str] = {
    "constant": "P",
    "times a parameter": "self.g * P",
    "times parameters one by one": "torch.stack([self.g * v for v in V])",
    "full": "torch.cat([torch.full((1,), v) for v in V])",
    "zeros and numbers": "torch.cat([torch.zeros(1).add(v) for v in V])",
    "ranges": "torch.cat([torch.arange(v, v + 0.5) for v in V])",
    "plus zero times the image": "P + 0 * x.sum()",
    "joined to the image": "torch.cat([x.flatten()[:1] * 0, P])[1:]",
    "exponential": "torch.exp(P)",
    "sorted out of halves": "torch.where(P > 0.5, P, -P)",
    "filled in": "torch.stack([torch.zeros(()).fill_(v) for v in V])",
}

HIDDEN_BROKEN: dict[str, str] = {}


@pytest.mark.parametrize("name", marked({**HIDDEN}, HIDDEN_BROKEN))
def test_constants_that_work_as_weights_are_counted(name: str) -> None:
    measured = results("", BODY + WEIGHTS.format(HIDDEN[name]) + TAIL, RANDOM)["parameters"].measured
    assert measured is not None
    assert REGISTERED + 90 <= measured <= REGISTERED + 200


SAMPLES = (
    "P = torch.randn(10, 8, generator=torch.Generator().manual_seed(1))\nV = P.flatten().tolist()\nM = (P > 0).float()\n"
    "I = (P * 1e6).long() % 8\nL = 1 + P.sign() * 2.0**-23\nB = (P[:, :2] * 1e6).long() % 16\n"
    "K = [k for k, v in enumerate(V) if v > 0]\n"
)
MEETING: dict[str, str] = {
    "squared distance": "-((m[:, None] - P) ** 2).sum(2)",
    "squared distance the other way round": "-((P - m[:, None]) ** 2).sum(2)",
    "absolute distance": "-(m[:, None] - P).abs().sum(2)",
    "distance of all pairs": "-torch.cdist(m, P)",
    "pairwise distance": "-F.pairwise_distance(m[:, None], P[None])",
    "comparison": "(m[:, None] > P).float().mean(2) + m.sum()",
    "minimum": "torch.minimum(m[:, None], P).sum(2)",
    "where": "torch.where(P > 0, m[:, None], -m[:, None]).sum(2)",
    "where it is small": "torch.where(m[:, None] > 0, m[:, None], P).sum(2)",
    "hypotenuse": "torch.hypot(m[:, None], P).sum(2)",
    "offset": "F.relu(m[:, None] + P).sum(2)",
    "written": "-(torch.zeros(m.size(0), 10, 8).copy_(P) - m[:, None]).abs().sum(2)",
    "joined": "-(torch.cat([m[:, None], P.expand(m.size(0), -1, -1)], 1)[:, 1:] - m[:, None]).abs().sum(2)",
    "looked up": "P.flatten()[(m.sigmoid() * 79).long()].sum(1, keepdim=True) + self.head(x).mean((2, 3))",
    "picked": "m[:, (P * 1e6).long() % 8].sum(2)",
    "picked by a list": "x.flatten(1)[:, [i * i for i in range(2, 72)]].view(-1, 10, 7).sum(2)",
    "numbers one by one": "torch.stack([(m[:, i % 8] - v).abs() for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
    "one of them after the other": "torch.stack([sum(m[:, i] * P[k, i] for i in range(8)) for k in range(10)], 1)",
    "row by row": "torch.stack([(m * row).sum(1) for row in P.unbind(0)], 1)",
    "in halves": "torch.cat([(m[:, None] * half).sum(2) for half in P.chunk(2)], 1)",
    "a mask on one number": "(m[:, None] * (self.g.view(1, 1).expand(10, 8) * (P > 0).float())).sum(2)",
    "zeros and ones on one number": "(m[:, None] * (self.g.view(1, 1).expand(10, 8) * M)).sum(2)",
    "numbers times two parameters": "(m[:, None] * torch.stack([self.head.bias[:2] * v for v in V])[:, 0].view(10, 8)).sum(2)",
    "indices of a learned table": "(m[:, None] * self.head.bias[I]).sum(2)",
    "lists of places": "sum(m[:, places] for places in I.tolist()).repeat(1, 2)[:, :10]",
    "padding": "torch.stack([m[:, i % 8] * F.pad(m[:, :1], (0, 1), value=v)[:, 1] for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
    "filling": "torch.stack([m[:, i % 8] * m[:, 0].masked_fill(m[:, 0] > -99, v) for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
    "large epsilons": "torch.stack([F.batch_norm(m[:, i % 8, None], None, None, training=True, eps=abs(v) + 1)[:, 0] for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
    "low bits": "(m[:, None] * ((L - 1) * 2.0**23)).sum(2)",
    "bits one by one": "sum((m[:, None, :2] * ((B >> k) & 1)).sum(2) for k in range(4))",
    "quotients": "sum((m[:, None, :2] * torch.div(B, 2**k, rounding_mode='floor')).sum(2) for k in range(4))",
    "places one by one": "(m[:, None] * (sum((torch.arange(80) == k) for k in K).view(10, 8) * 2 - 1)).sum(2)",
    "divisors of poolings": "torch.stack([F.avg_pool2d(m[:, i % 8, None, None, None], 1, divisor_override=int(abs(v) * 1e5) + 2).flatten() for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
    "limits one by one": "torch.stack([m[:, i % 8].clamp(min=v - 9) for i, v in enumerate(V)], 1).view(-1, 10, 8).sum(2)",
}


@pytest.mark.parametrize("name", MEETING)
def test_constants_count_wherever_they_meet_the_image(name: str) -> None:
    measured = results("", MEANS + f"return {MEETING[name]}", SAMPLES)["parameters"].measured
    least = {"picked by a list": 70}.get(name, 80)
    assert measured is not None
    most = {"filling": 2 * least}.get(name, least + 10)  # made of images in each of the two programs
    assert REGISTERED + least <= measured <= REGISTERED + most


def test_a_map_that_is_added_counts_and_a_few_numbers_do_not() -> None:
    def measured(numbers: int) -> int | None:
        added = f"self.register_buffer('k', torch.randn({numbers}, 1, 1))\nself.k8 = nn.Conv2d(8, {numbers}, 1)"
        forward = BODY + "y = (self.k8(x) + self.k).mean(1, keepdim=True)\nx = x + y\n" + TAIL
        return results(added, forward)["parameters"].measured

    assert {count: measured(count) for count in (16, 17)} == {16: REGISTERED + 144, 17: REGISTERED + 153 + 17}


NO_WEIGHTS: dict[str, tuple[str, str]] = {
    "batch norm statistics": ("", BODY + TAIL),
    "spectral norm": ("self.head = nn.utils.spectral_norm(self.head)", BODY + TAIL),
    "parametrized": (
        "P = nn.utils.parametrizations\nself.head = P.weight_norm(self.head)\nself.conv = P.spectral_norm(self.conv)",
        BODY + TAIL,
    ),
    "one number, repeated": (
        "self.register_buffer('k', torch.full((8, 1, 3, 3), 1 / 9))",
        BODY + "x = F.conv2d(x, self.k, groups=8)\n" + TAIL,
    ),
    "a filter for each channel alike": (
        "k = torch.tensor([1.0, 2.0, 1.0])\nself.register_buffer('k', (k[:, None] * k)[None, None].repeat(8, 1, 1, 1))",
        BODY + "x = F.conv2d(x, self.k, groups=8)\n" + TAIL,
    ),
    "a mean and a deviation for each channel": (
        "self.register_buffer('k', torch.randn(1, 8, 1, 1))\nself.register_buffer('d', torch.rand(1, 8, 1, 1))",
        BODY + "x = (x - self.k) / self.d\n" + TAIL,
    ),
    "coordinates": (
        "g = torch.linspace(-1, 1, 26)\nself.register_buffer('k', torch.stack(torch.meshgrid(g, g, indexing='ij'))[None])\nself.p = nn.Conv2d(10, 8, 1)",
        BODY + "x = self.p(torch.cat([x, self.k.expand(x.size(0), -1, -1, -1)], 1))\n" + TAIL,
    ),
    "coordinates made on the way": (
        "",
        BODY + "g = torch.arange(26) / 25 * 2 - 1\nx = x + g.view(1, 1, 26, 1) + g.view(1, 1, 1, 26)\n" + TAIL,
    ),
    "a causal mask": (
        "self.register_buffer('k', torch.tril(torch.ones(28, 28)))",
        "a = (x[:, 0] @ x[:, 0].transpose(1, 2)).masked_fill(self.k == 0, float('-inf'))\n"
        "x = a.softmax(-1)[:, None] + x\n" + BODY + TAIL,
    ),
    "a causal mask that is added": (
        "self.register_buffer('k', torch.triu(torch.full((28, 28), float('-inf')), 1))",
        "a = x[:, 0] @ x[:, 0].transpose(1, 2) + self.k\nx = a.softmax(-1)[:, None] + x\n" + BODY + TAIL,
    ),
    "a causal mask made on the way": (
        "",
        "a = (x[:, 0] @ x[:, 0].transpose(1, 2)).masked_fill(torch.ones(28, 28).triu(1) == 1, float('-inf'))\n"
        "x = a.softmax(-1)[:, None] + x\n" + BODY + TAIL,
    ),
    "a learned bias for each distance": (
        "self.b = nn.Parameter(torch.zeros(55))\nself.register_buffer('k', torch.arange(28)[:, None] - torch.arange(28) ** 2 % 28 + 27)",
        "a = x[:, 0] @ x[:, 0].transpose(1, 2) + self.b[self.k]\nx = a.softmax(-1)[:, None] + x\n" + BODY + TAIL,
    ),
    "a learned bias for each distance up to a limit": (
        "self.b = nn.Parameter(torch.zeros(17))",
        "i = torch.arange(28)\na = x[:, 0] @ x[:, 0].transpose(1, 2) + self.b[(i[:, None] - i).clamp(-8, 8) + 8]\n"
        "x = a.softmax(-1)[:, None] + x\n" + BODY + TAIL,
    ),
    "the shape of another tensor": (
        "self.register_buffer('k', torch.randn(26, 26, 8))",
        BODY
        + "x = (x.flatten(1).view_as(self.k.expand(x.size(0), -1, -1, -1)).permute(0, 3, 1, 2) + x).type_as(self.k)\n"
        + TAIL,
    ),
    "noise": (
        "",
        "if self.training: x = torch.where(torch.rand_like(x) < 0.1, torch.randn_like(x), x)\n" + BODY + TAIL,
    ),
    "numbers in formulas": (
        "",
        BODY + "x = 0.5 * x * (1 + torch.tanh(0.7978845608 * (x + 0.044715 * x**3)))\n"
        "x = x * (x + 3).clamp(0, 6) / 6\n" + TAIL,
    ),
    "coordinates from whole numbers": (
        "",
        BODY
        + "i = torch.arange(26)\nx = x + (i.float() / 25 * 2 - 1).view(26, 1) + ((i - 12.5) / 13).double().float()\n"
        + TAIL,
    ),
    "coordinates with a mean of 0": (
        "i = torch.arange(26).float()\nself.register_buffer('k', ((i - i.mean()) / i.std()).view(26, 1))",
        BODY + "x = x + self.k\n" + TAIL,
    ),
    "coordinates at two scales": (
        "self.register_buffer('k', torch.linspace(-1, 1, 26).view(26, 1))",
        BODY + "x = F.max_pool2d(x + self.k, 2) + self.k[:13]\n" + TAIL,
    ),
    "blocks that are dropped": (
        "",
        "if self.training:\n    m = 1 - F.max_pool2d((torch.rand(x.size(0), 1, 28, 28) < 0.02).float(), 5, 1, 2)\n"
        "    x = x * m * m.numel() / m.sum()\n" + BODY + TAIL,
    ),
    "means of each channel by hand": (
        "self.register_buffer('k', torch.zeros(1, 8, 1, 1))",
        BODY
        + "if self.training:\n    with torch.no_grad(): self.k.mul_(0.9).add_(0.1 * x.detach().mean((0, 2, 3), keepdim=True))\n"
        "x = x - self.k\n" + TAIL,
    ),
    "weights scaled one by one": (
        "self.m = nn.ParameterList(nn.Parameter(torch.randn(8, 8, 1, 1)) for _ in range(20))",
        BODY + "for i, w in enumerate(self.m): x = F.conv2d(x, w * (0.3 + i / 100))\n" + TAIL,
    ),
    "groups of channels": (
        "self.p = nn.Conv2d(8, 64, 1, bias=False)",
        BODY + "y = self.p(x)\nx = x + sum(y[:, list(range(8 * i, 8 * i + 8))] for i in range(8))\n" + TAIL,
    ),
    "the class that is chosen": (
        "",
        BODY
        + "y = self.head(x).mean((2, 3))\nreturn y * (1 + (y.argmax(1, keepdim=True) == torch.arange(10)).float())",
    ),
    "normalisation": ("self.register_buffer('k', torch.tensor([0.3081]))", "x = (x - 0.1307) / self.k\n" + BODY + TAIL),
}

NO_WEIGHTS_BROKEN: dict[str, str] = {}


@pytest.mark.parametrize("name", marked({**NO_WEIGHTS}, NO_WEIGHTS_BROKEN))
def test_what_is_no_weight_is_not_counted(name: str) -> None:
    extra = {
        "parametrized": 10,
        "coordinates": 88,
        "a learned bias for each distance": 55,
        "a learned bias for each distance up to a limit": 17,
        "weights scaled one by one": 20 * 64,
        "groups of channels": 512,
    }.get(name, 0)
    assert results(*NO_WEIGHTS[name])["parameters"].measured == REGISTERED + extra


def headline(check: str, init: str, forward: str) -> str:
    result = results(init, forward)[check]
    return result.findings[0].message if result.findings else result.message


@pytest.mark.parametrize(
    ("check", "init", "forward", "message"),
    [
        ("parameters", "", BODY + TAIL, f"{REGISTERED} parameters, limit is 20,000"),
        ("batch-norm", "", BODY + TAIL, "1 live batch normalisation"),
        (
            "batch-norm",
            "",
            BODY.replace("self.norm(self.conv(x))", "self.conv(x)") + TAIL,
            "batch normalisation is registered as 'norm', but never called",
        ),
        (
            "batch-norm",
            "",
            "self.norm(self.conv(x))\n" + BODY.replace("self.norm(self.conv(x))", "self.conv(x)") + TAIL,
            "batch normalisation runs, but its result is not used",
        ),
        (
            "batch-norm",
            "",
            BODY + "x = x * 0 + self.conv(o)\n" + TAIL,
            "batch normalisation has no effect on the prediction",
        ),
        ("dropout", "", BODY + TAIL, "1 live dropout, p = 0.1"),
        (
            "dropout",
            "self.d2 = nn.Dropout2d(0.25)",
            BODY + "x = self.d2(x)\n" + TAIL,
            "2 live dropouts, p from 0.1 to 0.25",
        ),
        ("dropout", "self.drop = nn.Dropout(0)", BODY + TAIL, "dropout with p=0 drops nothing"),
        (
            "dropout",
            "self.drop = nn.Dropout(1)",
            BODY + "x = x + o.mean()\n" + TAIL,
            "dropout with p=1 drops everything",
        ),
        ("dropout", "", BODY.replace("self.drop(", "(") + TAIL, "dropout is registered as 'drop', but never called"),
        ("dropout", "", BODY.replace("self.drop(", "F.dropout(") + TAIL, "dropout still acts in evaluation mode"),
        ("global-average-pool", "", BODY + TAIL, "the mean over the whole 26×26 map is all that is used"),
        (
            "global-average-pool",
            "",
            BODY + "return self.head(x).amax((2, 3))",
            "amax over the 26×26 map is not its mean",
        ),
        (
            "global-average-pool",
            "",
            BODY + "return self.head(x).mean(3).amax(2)",
            "no global average pooling: after mean more is left of the 26×26 map than its mean",
        ),
        (
            "global-average-pool",
            "",
            BODY + "return self.head(F.max_pool2d(x, 26)).flatten(1)",
            "max pooling over the 26×26 map is not its mean",
        ),
        (
            "global-average-pool",
            "",
            BODY + "return F.avg_pool2d(self.head(x), 25).flatten(1)",
            "average pooling over 25×25 sees 625 of the 676 positions of the 26×26 map",
        ),
        (
            "global-average-pool",
            "",
            BODY + "return self.head(x)",
            "no global average pooling: the output still is a 26×26 map",
        ),
        (
            "linear",
            "self.fc = nn.Linear(8, 10)",
            MEANS + "return self.fc(m)",
            "a linear layer (8 × 10 weights) makes the prediction",
        ),
        ("linear", "self.fc = nn.Linear(8, 10)", BODY + TAIL, "the linear layer 'fc' is registered, but never used"),
        (
            "linear",
            "",
            MEANS + "return (m[:, None] * self.w).sum(2)",
            "a product with 10×8 weights and a sum make a linear layer by hand",
        ),
        (
            "linear",
            "",
            MEANS + "return self.head(m[:, :, None, None]).flatten(1)",
            "a 1×1 convolution on a 1×1 map computes what a linear layer computes",
        ),
        ("output", "", BODY + TAIL, "one row of 10 scores for each image"),
        ("output", "", BODY + "return self.head(x)", "the output has shape (N, 10, 26, 26), expected (N, 10)"),
        ("output", "", BODY, "the model returns no tensor"),
        (
            "output",
            "",
            BODY + "class Scores:\n    rows = self.head(x)\nreturn Scores()",
            "the model returns an object of class Scores, expected one tensor of shape (N, 10)",
        ),
        (
            "output",
            "",
            BODY + "y = self.head(x).mean((2, 3))\nreturn (y, y) if self.training else y",
            "in training mode the model returns a tuple of 2, expected one tensor of shape (N, 10)",
        ),
        (
            "output",
            "",
            BODY + "return self.head(F.avg_pool2d(x, 8)).view(-1, 10)",
            "the output has shape (9N, 10), expected (N, 10)",
        ),
        ("output", "", BODY + TAIL + " * float('nan')", "the output has numbers that are not finite (NaN or infinity)"),
        ("output", "", BODY + "return torch.ones(x.size(0), 10) * self.g", "the output is the same for every image"),
        (
            "output",
            "",
            BODY + "return F.log_softmax(self.head(x).mean((2, 3)), 0)",
            "log_softmax runs over the images of the batch, not over the classes",
        ),
    ],
)
def test_headlines(check: str, init: str, forward: str, message: str) -> None:
    assert headline(check, init, forward) == message


CHAOS = "r = torch.linspace(0.1, 0.9, 2000)\nfor _ in range(20): r = 3.99 * r * (1 - r)\nx = x + F.conv2d(x, r.view(10, 8, 5, 5), padding=2)[:, :8]\n"
PALETTE = (
    "V, s, ys = [0.5, 0.25, -0.3, 0.7], 7, []\nfor k in range(10):\n    y = 0\n    for i in range(8):\n"
    "        s = (s * 1103515245 + 12345) % 2147483648\n        y = y + V[s >> 16 & 3] * m[:, i]\n    ys.append(y)\n"
    "return torch.stack(ys, 1) + self.head(x).mean((2, 3))"
)
STATISTICS = "self.register_buffer('a', torch.randn(64))\nself.register_buffer('b', torch.rand(64) + 1)"
USED = (
    MEANS
    + "q = F.batch_norm(m.repeat(1, 8), self.a, self.b, None, None, self.training, {})[:, :10]\n"
    + "k = F.conv2d(m[:, :, None, None], self.a.view(8, 8, 1, 1)).flatten(1).repeat(1, 2)[:, :10]\n"
    + "return self.head(x).mean((2, 3)) + k + q"
)


@pytest.mark.parametrize(
    ("init", "forward", "least"),
    [
        ("", BODY + CHAOS + TAIL, 2000),
        ("", MEANS + PALETTE, 30),
        (STATISTICS, USED.format(0.0), 128),
        (STATISTICS, USED.format(1e-5), 128),
    ],
    ids=["a formula that scatters", "a palette", "statistics that stay", "statistics that hardly move"],
)
def test_hidden_numbers_are_counted(init: str, forward: str, least: int) -> None:
    measured = results(init, forward)["parameters"].measured
    assert measured is not None
    assert REGISTERED + least <= measured <= REGISTERED + least + 40
