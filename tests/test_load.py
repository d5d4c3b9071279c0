"""Loading submissions as students write them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from grader.finding import Span
from grader.protocol import CaptureJob, Refusal
from grader.worker import environment
from grader.worker.load import Submission, load
from grader.worker.refusal import Refused

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
NET = """
class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.head = nn.Conv2d(width, 10, 1)

    def forward(self, x):
        return self.head(F.relu(self.conv(x))).mean((2, 3))
"""


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for owner, name, value in environment.replacements():
        monkeypatch.setattr(owner, name, value)
    yield


def job_of(text: str | bytes, entry: str = "model.py", **fields: object) -> CaptureJob:
    """A job for one text, `others` beside it."""
    data = textwrap.dedent(text).encode() if isinstance(text, str) else text
    others = {
        path: textwrap.dedent(other).encode()
        for path, other in fields.pop("others", {}).items()  # type: ignore[attr-defined]
    }
    defaults = {"class_name": None, "arguments": {}, "input_shape": (1, 28, 28), "classes": 10, "seed": 7}
    return CaptureJob(files={entry: data, **others}, entry=entry, **{**defaults, **fields})  # type: ignore[arg-type]


def loaded(text: str | bytes, entry: str = "model.py", **fields: object) -> Submission:
    return load(job_of(text, entry, **fields))


def refused(text: str | bytes, entry: str = "model.py", **fields: object) -> Refusal:
    with pytest.raises(Refused) as caught:
        loaded(text, entry, **fields)
    return caught.value.refusal


def output(submission: Submission) -> tuple[int, ...]:
    """The output's shape for two images, under the rewrite that the worker's forward has."""
    with environment.device_rewrite():
        return tuple(submission.model(torch.randn(2, 1, 28, 28)).shape)


def width(submission: Submission) -> int:
    return int(next(submission.model.parameters()).shape[0])


def notebook(*cells: str, **top: object) -> bytes:
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": cell} for cell in cells], "nbformat": 4, **top}
    ).encode()


# Programs around a definition


def test_only_definitions_run() -> None:
    text = (
        HEAD
        + NET
        + """
raise_if_run = None
from torchvision import datasets, transforms
from torchsummary import summary
import argparse
parser = argparse.ArgumentParser()
parser.add_argument('data')
args = parser.parse_args()
use_cuda = torch.cuda.is_available()
device = torch.device("cuda" if use_cuda else "cpu")
train_loader = torch.utils.data.DataLoader(datasets.MNIST('../data', train=True, download=True), batch_size=args.batch)
optimizer = torch.optim.SGD(Net().parameters(), lr=0.01)
for epoch in range(1, 3):
    for data, target in train_loader:
        loss = F.nll_loss(Net()(data), target)
        loss.backward()
        optimizer.step()
torch.save(Net().state_dict(), 'mnist.pt')
print(1 / 0)
1 / 0
"""
    )
    found = loaded(text)
    assert (found.loaded.class_name, output(found)) == ("Net", (2, 10))
    assert found.loaded.span == Span("model.py", 5, 1, 5, 22)
    assert found.loaded.stand_ins == ()
    assert found.loaded.skipped == (Span("model.py", 14, 1, 14, 20), Span("model.py", 18, 1, 32, 6))


def test_names_read_by_unused_methods_are_not_resolved() -> None:
    text = (
        HEAD + NET + "\n    def fit(self):\n        for x in train_loader:\n            pass\n\ntrain_loader = 1 / 0\n"
    )
    assert output(loaded(text)) == (2, 10)


DEFINITION_STATEMENTS = {
    "a constant": ("WIDTH = 6\n", "WIDTH"),
    "a chain of constants": ("A = 3\nWIDTH = A * 2\n", "WIDTH"),
    "a constant changed later": ("WIDTH = 1\nWIDTH += 5\n", "WIDTH"),
    "a branch": ("if torch.cuda.is_available():\n    WIDTH = 1\nelse:\n    print(1 / 0)\n    WIDTH = 6\n", "WIDTH"),
    "a loop": ("widths = []\nfor i in range(7):\n    widths.append(i)\n", "widths[-1]"),
    "a try": ("try:\n    import apex\n    WIDTH = 1\nexcept ImportError:\n    WIDTH = 6\n", "WIDTH"),
    "a with": ("with torch.no_grad():\n    W = torch.full((1,), 6)\n    print(1 / 0)\n", "int(W)"),
    "a dictionary filled later": ("cfg = {}\ncfg['width'] = 6\n", "cfg['width']"),
    "an update": ("cfg = dict(width=1)\ncfg.update(width=6)\n", "cfg['width']"),
    "another name of a dictionary": ("cfg = {}\nc = cfg\nc['width'] = 6\n", "cfg['width']"),
    "a part of a dictionary": ("cfg = {'net': {}}\nnet = cfg['net']\nnet['width'] = 6\n", "cfg['net']['width']"),
    "argument defaults": (
        (
            "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--width', type=int, default=6)\n"
            "args = parser.parse_args()\n"
        ),
        "args.width",
    ),
    "an argument group": (
        (
            "import argparse\nparser = argparse.ArgumentParser()\ngroup = parser.add_argument_group('model')\n"
            "group.add_argument('--width', type=int, default=6)\nargs, _ = parser.parse_known_args()\n"
        ),
        "args.width",
    ),
    "a dataclass": (
        "from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: int = 6\nconfig = Config()\n",
        "config.width",
    ),
    "a namespace": ("from types import SimpleNamespace\ncfg = SimpleNamespace()\ncfg.width = 6\n", "cfg.width"),
    "a function": ("def six():\n    return SIX\nSIX = 6\n", "six()"),
    "a function that binds a global": ("def setup():\n    global WIDTH\n    WIDTH = 6\nsetup()\n", "WIDTH"),
    "a function that fills a list": ("L = []\ndef fill(n):\n    L.append(n)\nfill(6)\n", "L[0]"),
    "a registry": (
        "REG = {}\ndef register(f):\n    REG[f.__name__] = f\n    return f\n@register\ndef six():\n    return 6\n",
        "REG['six']()",
    ),
    "a builtin hidden": ("def max(*a):\n    return 6\n", "max(1, 2)"),
    "globals()": ("WIDTH = 6\ndef six():\n    return WIDTH\n", "globals()['six']()"),
    "a lambda": ("six = lambda: 6\n", "six()"),
    "an enum": ("from enum import IntEnum\nclass W(IntEnum):\n    SIX = 6\n", "int(W.SIX)"),
    "bound in the main block only": ("if __name__ == '__main__':\n    WIDTH = 6\n    print(1 / 0)\n", "WIDTH"),
    "a star import of the standard library": ("from math import *\n", "int(floor(6.5))"),
    "a tuple": ("a, (WIDTH, b) = 1, (6, 2)\n", "WIDTH"),
    "a walrus": ("print(WIDTH := 5)\n", "6"),
    "deleted at the end": ("WIDTH = 6\n", "WIDTH"),
    "stand-in values that are not needed": ("import cv2\nSIZE = cv2.imread('x').shape\nWIDTH = 6\n", "WIDTH"),
    "a moved name": ("from collections import Mapping, OrderedDict\nWIDTH = 6 if Mapping else 0\n", "WIDTH"),
    "numpy": ("import numpy as np\nWIDTH = int(np.prod([2, 3]))\n", "WIDTH"),
    "itertools": ("import itertools as it\nWIDTH = sum(it.repeat(2, 3))\n", "WIDTH"),
}


@pytest.mark.parametrize("case", DEFINITION_STATEMENTS)
@pytest.mark.parametrize("when", ["class", "constructor"])
def test_what_a_definition_needs_runs(case: str, when: str) -> None:
    statements, value = DEFINITION_STATEMENTS[case]
    if when == "class":
        net = NET.replace("width=4", f"width={value}")
    else:
        net = NET.replace("width=4", "width=None").replace(
            "super().__init__()", f"super().__init__()\n        width = {value}"
        )
    tail = "\ndel WIDTH\n" if case == "deleted at the end" else ""
    assert width(loaded(HEAD + statements + net + tail)) == 6


PATCHES = {
    "a method set later": (
        "def forward(self, x):\n    return self.head(self.conv(x)).mean((2, 3)) + 1\nNet.forward = forward\n",
        "+",
    ),
    "setattr": ("setattr(Net, 'forward', lambda self, x: self.head(self.conv(x)).mean((2, 3)) + 1)\n", "+"),
    "an attribute of the class": ("Net.extra = 1\n", "extra"),
    "a loop of attributes": ("for i in range(3):\n    setattr(Net, f'act{i}', nn.ReLU())\n", "act2"),
    "a function that patches": ("def patch(cls):\n    cls.extra = 1\npatch(Net)\n", "extra"),
    "a decorator": ("", "decorated"),
}


@pytest.mark.parametrize("case", PATCHES)
def test_patches_take_effect(case: str) -> None:
    patch, sign = PATCHES[case]
    net = "def mark(cls):\n    cls.decorated = 1\n    return cls\n" + NET.replace("class Net", "@mark\nclass Net")
    model = loaded(HEAD + net + patch).model
    if sign == "+":
        images = torch.randn(2, 1, 28, 28)
        assert torch.equal(model(images), model.head(model.conv(images)).mean((2, 3)) + 1)
    else:
        assert hasattr(model, sign)


def test_a_patch_of_torch_under_another_name_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn, "ReLU", nn.ReLU)
    text = "import torch\nfrom torch import nn\n" + NET.replace("F.relu(self.conv(x))", "nn.ReLU()(self.conv(x))")
    found = loaded(text + "\ntorch.nn.ReLU = nn.Tanh\ntorch.backends.cudnn.benchmark = 1 / 0\n")
    assert (output(found), nn.ReLU) == ((2, 10), nn.Tanh)


def test_layers_built_at_module_level_are_used() -> None:
    text = """
    import torch, torch.nn as nn
    conv = nn.Conv2d(1, 10, 3)
    W = torch.randn(10)
    class Net(nn.Module):
        def forward(self, x):
            return conv(x).mean((2, 3)) * W
    """
    found = loaded(text)
    assert (found.loaded.class_name, output(found)) == ("Net", (2, 10))


def test_a_constant_first_read_in_forward_is_not_recorded() -> None:
    from torch.overrides import TorchFunctionMode

    class Recorder(TorchFunctionMode):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[str] = []

        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            self.seen.append(func.__name__)
            return func(*args, **(kwargs or {}))

    text = HEAD + "W = torch.ones(1, device='cuda') * 2\n" + NET.replace(".mean((2, 3))", ".mean((2, 3)) * W")
    model, image = loaded(text).model, torch.zeros(1, 1, 28, 28)
    with Recorder() as recorder:
        model(image)
    assert recorder.seen == ["conv2d", "relu", "conv2d", "mean", "mul"]


def test_seeds_are_set_before_construction() -> None:
    text = (
        HEAD + "noise = torch.randn(3)\n" + NET.replace("super().__init__()", "super().__init__()\n        noise.sum()")
    )
    first, second = loaded(text).model, loaded(text).model
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


# Finding the model

BLOCK = """
class Block(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3)

    def forward(self, x):
        return F.relu(self.conv(x))
"""
USER = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Block(1, 8), Block(8, 10))

    def forward(self, x):
        return self.body(x).mean((2, 3))
"""
LOSS = """
class FocalLoss(nn.Module):
    def __init__(self, gamma=2):
        super().__init__()

    def forward(self, output, target):
        return F.cross_entropy(output, target)
"""

ONE_MODEL = {
    "block first": BLOCK + USER,
    "block last": USER + BLOCK,
    "block through a function": BLOCK + "def make(a, b):\n    return Block(a, b)\n" + USER.replace("Block(", "make("),
    "block through a table": BLOCK + "TABLE = {'b': Block}\n" + USER.replace("Block(", "TABLE['b']("),
    "a loss": NET + LOSS,
    "a loss with an instance": NET + LOSS + "criterion = FocalLoss()\n",
    "a loss that uses the model": NET
    + LOSS.replace("super().__init__()", "super().__init__()\n        self.net = Net()"),
    "an instance": NET + "model = Net()\nmodel = model.to('cuda')\n",
    "two instances built alike": NET + "model = Net().to('cuda')\nnet = Net()\n",
    "a factory": NET + "def create_model():\n    return Net()\n",
    "a dataset": NET + "class Data(torch.utils.data.Dataset):\n    def __init__(self):\n        self.net = Net()\n",
    "another base": NET + "from torchvision import datasets\nclass Data(datasets.MNIST):\n    pass\n",
    "a trainer": NET + "class Trainer:\n    def __init__(self):\n        self.net = Net()\n",
    "a base without forward": NET.replace("nn.Module", "Base").join(
        ["class Base(nn.Module):\n    def count(self):\n        return 1\n", ""]
    ),
    "a base by name": NET.replace("class Net(nn.Module)", "class BaseNet(nn.Module)")
    + "class Net(BaseNet):\n    pass\n",
    "an activation that nothing uses": NET + "class Swish(nn.Module):\n    def forward(self, x):\n        return x\n",
    "the same class pasted twice": NET + "print(1)\n" + NET,
    "a training function": NET
    + "def train():\n    model = Net()\n    loss = model(1)\n    loss.backward()\n    return model\n",
    "a loading function": NET
    + "def load_model():\n    m = Net()\n    m.load_state_dict(torch.load('x'))\n    return m\n",
    "a main block": NET + "if __name__ == '__main__':\n    net = Net(99)\n    net.cuda()\n",
    "tests in the file": NET + "def test_net():\n    return Net()(torch.randn(1, 1, 28, 28))\n",
    "an abstract class": NET + "class Abstract(nn.Module):\n    def __init__(self):\n        super().__init__()\n",
    "a class inside if": "if True:\n" + textwrap.indent(NET, "    "),
    "Module imported by name": "from torch.nn import Module\n" + NET.replace("nn.Module", "Module"),
    "Module by a star": "from torch.nn import *\n" + NET.replace("nn.Module", "Module"),
    "Module by assignment": "Base = nn.Module\n" + NET.replace("nn.Module", "Base"),
    "generic base": "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
    + NET.replace("nn.Module", "nn.Module, Generic[T]"),
    "lightning": "import pytorch_lightning as pl\n" + NET.replace("nn.Module", "pl.LightningModule"),
    "a lightning wrapper around": NET.replace("class Net", "class Inner")
    + "import lightning as L\nclass Net(L.LightningModule):\n    def __init__(self):\n        super().__init__()\n"
    "        self.save_hyperparameters()\n        self.net = Inner()\n"
    "    def forward(self, x):\n        return self.net(x)\n",
    "a hub mixin": "from huggingface_hub import PyTorchModelHubMixin\n"
    + NET.replace("nn.Module", "nn.Module, PyTorchModelHubMixin, repo_url='x'"),
    "a forward of the instance": "def head(width=4):\n    return nn.Conv2d(width, 10, 1)\n"
    + NET.replace(
        "nn.Conv2d(width, 10, 1)\n\n    def forward(self, x):\n        return ",
        "head()\n        self.forward = lambda x: ",
    ),
    "a base that asks its heirs for a method": "class Classifier(nn.Module):\n    def body(self, x):\n"
    "        raise NotImplementedError('give it')\n    def forward(self, x):\n        return self.body(x)\n"
    + NET.replace("nn.Module", "Classifier").replace("def forward", "def body"),
    "an abstract base": "import abc\nclass Classifier(nn.Module, abc.ABC):\n    @abc.abstractmethod\n"
    "    def body(self, x): ...\n    def forward(self, x):\n        return self.body(x)\n"
    + NET.replace("nn.Module", "Classifier").replace("def forward", "def body"),
    "a tool that is given the model": "import onnx\nfrom fvcore.nn import FlopCountAnalysis\n"
    + NET
    + "model = Net()\nonnx_model = onnx.load('net.onnx')\nmodel_flops = FlopCountAnalysis(model, None)\n",
    "futures": "from __future__ import annotations\n" + HEAD + NET.replace("self, x)", "self, x: Absent) -> Absent"),
    "super with the class": NET.replace("super()", "super(Net, self)"),
    "compiled": NET.replace("class Net", "@torch.compile\nclass Net"),
    "the branch that runs": "WIDE = False\nif WIDE:\n"
    + textwrap.indent(NET.replace("width=4", "width"), "    ")
    + "else:\n"
    + textwrap.indent(NET, "    ")
    + "model = Net(LAST)\nLAST = 8\n",
    "the branch that comes first": "if True:\n"
    + textwrap.indent(NET.replace("F.relu", "act"), "    ")
    + "elif True:\n"
    + textwrap.indent(NET, "    ")
    + "def act(x):\n    return x\n",
    "inside try, with a caught name": "try:\n"
    + textwrap.indent(NET, "    ")
    + "except Exception as e:\n    print(e)\n",
    "a registry": "MODELS = {}\ndef register(name):\n    def add(cls):\n        MODELS[name] = cls\n"
    "        return cls\n    return add\n"
    + NET.replace("class Net", "@register('net')\nclass Net")
    + "def create_model(name='net'):\n    return MODELS[name]()\nmodel = create_model()\n",
    "a registry of functions": "MODELS = {}\ndef register(f):\n    MODELS[f.__name__] = f\n    return f\n"
    + NET
    + "@register\ndef small(**options):\n    return Net(**options)\n"
    "def create_model(name, **options):\n    return MODELS[name](**options)\nmodel = create_model('small')\n",
    "a registry that is filled by hand": BLOCK + "LAYERS = {}\ndef register(name):\n    def add(cls):\n"
    "        LAYERS[name] = cls\n        return cls\n    return add\nregister('block')(Block)\n"
    + USER.replace("Block(", "LAYERS['block']("),
    "a lightning module around a model that it is given": NET
    + "import lightning as L\nclass Lit(L.LightningModule):\n    def __init__(self, model, lr=0.1):\n"
    "        super().__init__()\n        self.model = model\n    def forward(self, x):\n        return self.model(x)\n"
    "def main():\n    L.Trainer().fit(Lit(Net()))\n",
    "methods added by a decorator": "def add_to(cls):\n    def add(f):\n        setattr(cls, f.__name__, f)\n"
    "    return add\n"
    + NET.replace("    def forward", "@add_to(Net)\ndef forward").replace("\n        return", "\n    return"),
    "a block that nothing uses": NET + BLOCK + BLOCK.replace("Block", "SpatialAttention"),
    "a helper that nothing uses": NET + "class Lambda(nn.Module):\n    def __init__(self, func):\n"
    "        super().__init__()\n        self.func = func\n    def forward(self, x):\n        return self.func(x)\n",
}


@pytest.mark.parametrize("case", ONE_MODEL)
def test_one_model_is_found(case: str) -> None:
    text = ONE_MODEL[case]
    found = loaded(text if text.startswith("from __future__") else HEAD + text)
    assert (found.loaded.class_name, output(found)) == ("Net", (2, 10))


MADE = "def make(act):\n" + textwrap.indent(NET.replace("F.relu", "act()"), "    ") + "    return Net\n"
WIDTHS = {
    "an instance with arguments": (NET + "net = Net(16)\n", 16),
    "an instance with a constant": (NET + "W = 16\nnet = Net(width=W)\nW = 3\n", 16),
    "an instance, moved": (NET + "device = torch.device('cuda')\nmodel = Net(16).to(device)\n", 16),
    "an instance, wrapped": (NET + "model = nn.DataParallel(Net(16)).cuda()\nmodel = torch.compile(model)\n", 16),
    "an instance of a failing program": (NET + "model = Net().to(open('x'))\n", 4),
    "an instance trained afterwards": (NET + "def fit(m):\n    1 / 0\nmodel = Net(16)\nmodel = fit(model)\n", 16),
    "a factory with arguments": (NET + "def build_model():\n    m = Net(16)\n    return m.to('cuda')\n", 16),
    "a factory called": (NET + "def build(w):\n    return Net(w)\nmodel = build(16)\n", 16),
    "a sequential": ("model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Flatten())\n", 16),
    "a sequential of parts": (
        BLOCK + "features = nn.Sequential(Block(1, 16))\nhead = nn.Sequential(nn.Flatten())\n"
        "model = nn.Sequential(features, head)\n",
        16,
    ),
    "a sequential filled later": (
        "net = nn.Sequential()\nnet.add_module('c', nn.Conv2d(1, 16, 3))\nnet.append(nn.ReLU())\n",
        16,
    ),
    "a sequential of appended parts": (
        BLOCK + "layers = [Block(1, 16)]\nfor _ in 'a':\n    layers.append(Block(16, 10))\n"
        "layers.append(nn.Flatten())\nmodel = nn.Sequential(*layers)\n",
        16,
    ),
    "a method of the class": (
        NET.replace("width=4", "width")
        + "    @classmethod\n    def wide(cls):\n        return cls(16)\nnet = Net.wide()\n",
        16,
    ),
    "a method of the class that reads weights": (
        NET
        + "    @staticmethod\n    def load(path):\n        return Net(torch.load(path))\nnet = Net.load('x').cuda()\n",
        4,
    ),
    "a local class": ("def get_model():\n" + textwrap.indent(NET, "    ") + "\n    return Net(16)\n", 16),
    "a subclass that sets arguments": (
        NET.replace("width=4", "width") + "class Wide(Net):\n    def __init__(self):\n        super().__init__(16)\n",
        16,
    ),
    "a lambda": (NET + "make_model = lambda: Net(16)\n", 16),
    "a class inside try": ("try:\n    pass\n" + textwrap.indent(NET, "    ") + "\nexcept ImportError:\n    pass\n", 4),
    "a sequential in the main block": (
        "if __name__ == '__main__':\n    net = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Flatten())\n    net.cuda()\n",
        16,
    ),
    "a class in the main block": ("if __name__ == '__main__':\n" + textwrap.indent(NET, "    "), 4),
    "a class made by type": (
        NET.replace("class Net(nn.Module)", "class Parts").replace("super().__init__()", "nn.Module.__init__(self)")
        + "Net = type('Net', (nn.Module,), {k: v for k, v in vars(Parts).items() if k in ('__init__', 'forward')})\n",
        4,
    ),
    "a class that a function makes": (MADE + "Net = make(nn.ReLU)\n", 4),
    "an instance of a class that a function makes": (MADE + "Net = make(nn.ReLU)\nmodel = Net(16).cuda()\n", 16),
    "an instance of a class made by type": (
        NET.replace("class Net(nn.Module)", "class Parts").replace("super().__init__()", "nn.Module.__init__(self)")
        + "methods = {k: v for k, v in vars(Parts).items() if k in ('__init__', 'forward')}\n"
        "Net = type('Net', (nn.Module,), methods)\nmodel = Net(16)\n",
        16,
    ),
    "a file that is not there": (
        NET.replace(
            "super().__init__()",
            "super().__init__()\n        try:\n            width = torch.load('w.pth')\n"
            "        except FileNotFoundError:\n            width = 16",
        ),
        16,
    ),
    "a loop in a function": (
        NET + "def make_model():\n    for w in [16]:\n        model = Net(w)\n    return model\n",
        16,
    ),
}


WIDEN = "    {m}.conv = nn.Conv2d(1, 16, 3)\n    {m}.head = nn.Conv2d(16, 10, 1)\n"
WIDENED = NET + "def widened(m, times=1):\n" + WIDEN.format(m="m") + "    return m\n"
METHOD = NET + "    def widened(self):\n" + textwrap.indent(WIDEN.format(m="self"), "    ") + "        return self\n"
PARTS = {
    "several names at once": "*_, last = model.children()\n",
    "a list of some": "some = [m for m in model.modules() if isinstance(m, nn.Conv2d)]\nlast = some[-1]\n",
    "a generator": "last = next(m for m in model.children() if m is not model.conv)\n",
    "a filter": "some = list(filter(lambda m: m is not model.conv, model.children()))\nlast = some[0]\n",
    "a text": "last = getattr(model, 'head')\n",
    "a function": "last = head_of(model)\n",
    "a dictionary": "models = {'net': model, 'width': 16}\nlast = models['net'].head\n",
    "a list": "models = [model]\nlast = models[0].head\n",
    "an expression": "print(last := model.head)\n",
}
CHANGED = {
    "by a function that gives it back": WIDENED + "model = widened(Net()).to('cuda')\n",
    "by a function that is given it by name": WIDENED + "model = widened(times=2, m=Net())\n",
    "by a function, under another name": WIDENED + "small = Net()\nmodel = widened(small)\n",
    "by a function, under its own name": WIDENED + "model = Net()\nmodel = widened(model).cuda()\n",
    "by a function in a factory": WIDENED + "def build():\n    net = Net()\n    return widened(net)\n",
    "by a function of something else": NET + "def swap(m):\n" + WIDEN.format(m="m") + "    return 2\n"
    "model = Net()\nprint('swapped', swap(model))\n",
    "by its method": METHOD + "model = Net()\nmodel.widened()\n",
    "by its method that gives it back": METHOD + "model = Net().widened()\n",
    "by its method, under its own name": METHOD + "model = Net()\nmodel = model.widened()\n",
    "by another class": NET
    + "class Surgeon:\n    @staticmethod\n    def widened(m):\n"
    + textwrap.indent(WIDEN.format(m="m"), "    ")
    + "        return m\nmodel = Surgeon.widened(Net())\n",
    "under a second name": NET + "model = Net()\nm = model\n" + textwrap.dedent(WIDEN.format(m="m")),
    "in a comprehension": NET + "model = Net()\nnew = {'conv': nn.Conv2d(1, 16, 3), 'head': nn.Conv2d(16, 10, 1)}\n"
    "[setattr(m, name, layer) for m in (model,) for name, layer in new.items()]\n",
    "through its parts": NET
    + "model = Net()\nparts = list(model.children())\nparts[0].weight = nn.Parameter(torch.ones"
    "(16, 1, 3, 3))\nparts[0].bias = None\nlast = parts[1]\nlast.weight = nn.Parameter(torch.ones(10, 16, 1, 1))\n",
    "by a function whose result has no name": WIDENED + "model = Net()\n_ = widened(model)\n",
    "by the constructor of another class": NET
    + "class Surgeon:\n    def __init__(self, times, m):\n"
    + textwrap.indent(WIDEN.format(m="m"), "    ")
    + "model = Net()\nsurgeon = Surgeon(1, m=model)\n",
    "beside something else": WIDENED + "model = Net()\nmodel, times = widened(model), 1\n",
    **{
        f"through {name}": NET + "def head_of(m):\n    return m.head\nmodel = Net()\nmodel.conv.weight = nn.Parameter("
        f"torch.ones(16, 1, 3, 3))\nmodel.conv.bias = None\n{code}"
        "last.weight = nn.Parameter(torch.ones(10, 16, 1, 1))\n"
        for name, code in PARTS.items()
    },
    "by what holds it under its name": NET + "model = Net(16)\nmodel = nn.Sequential(model, nn.Softmax(1))\n",
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_model_is_graded_as_it_was_changed(case: str) -> None:
    found = loaded(HEAD + CHANGED[case])
    assert (width(found), output(found)) == (16, (2, 10))


HELD = {
    "from a table": "TABLE = {'net': Net}\nmodel = TABLE['net'](16).to('cuda')\n",
    "from a table of instances": "nets = [Net(w) for w in (4, 16)]\nmodel = nets[-1]\n",
    "by a partial": "from functools import partial\nwide = partial(Net, 16)\nnet = wide()\n",
    "by another name of the class": "Model = Net\nmodel = Model(16)\n",
    "by a text": "model = globals()['Net'](16)\n",
    "by a function that is given the class": "def build(cls, *args):\n    return cls(*args)\nmodel = build(Net, 16)\n",
    "beside another": "model, epochs = Net(16), 3\n",
    "by a factory, beside another": "def build(w=2):\n    return Net(w)\nmodel, epochs = build(16), 3\n",
    "of two ways": "big = True\nmodel = Net(16) if big else Net(2)\n",
    "in an expression": "print(net := Net(16))\n",
    "in a loop": "for w in (2, 16):\n    model = Net(w)\n",
    "in a try": "try:\n    model = Net(16).cuda()\nexcept RuntimeError:\n    model = Net(2)\n",
    "in a class": "class Config:\n    net = Net(16)\nmodel = Config.net\n",
    "copied": "import copy\nmodel = copy.deepcopy(Net(16))\n",
    "by keyword": "model = nn.DataParallel(module=Net(16))\n",
    "twice": "nets = [Net(16)]\nmodel = nets[0]\nbest_model = model\n",
    "inside another": "nets = [Net(16)]\nbody_net = nets[0]\nmodel, n = nn.Sequential(body_net, nn.Softmax(1)), 1\n",
}


@pytest.mark.parametrize("case", HELD)
def test_a_model_in_a_variable_is_found_by_its_value(case: str) -> None:
    assert width(loaded(HEAD + NET + HELD[case])) == 16


@pytest.mark.parametrize(
    "text",
    [
        "TABLE = {'net': Net}\nmodel = TABLE['net'](int(open('width.txt').read()))\n",
        "TABLE = {'net': Net}\nmodel = TABLE['other'](16)\n",
        "model_parameters, rate = sum(p.numel() for p in Net(16).parameters()), 0.1\n",
        "def epoch(m):\n    m.loss.backward()\nfor w in (8, 16):\n    model = Net(w)\n    epoch(model)\n",
    ],
)
def test_a_variable_without_a_model_leaves_the_class_as_it_is(text: str) -> None:
    assert width(loaded(HEAD + NET + text)) == 4


def test_two_models_in_variables_are_asked_about() -> None:
    text = HEAD + NET + "nets = [Net(w) for w in (4, 16)]\nsmall_net = nets[0]\nwide_net = nets[1]\n"
    refusal = refused(text)
    assert refusal.message == "2 models in model.py: small_net (line 14), wide_net (line 15)"
    assert width(loaded(text, class_name="wide_net")) == 16
    assert width(loaded(text, class_name="Net")) == 4


LOOKS = {
    "its first layers": "nn.Sequential(*list(model.children())[:-1])",
    "layers by name": "nn.Sequential(model.conv, model.head)",
    "layers in a list": "nn.Sequential(*[layer for layer in model.children()])",
    "a class that is given it": "Look(model)",
}


@pytest.mark.parametrize("case", LOOKS)
def test_a_look_into_a_model_does_not_stand_for_it(case: str) -> None:
    look = "class Look(nn.Module):\n    def __init__(self, net):\n        super().__init__()\n"
    look += "        self.conv = net.conv\n    def forward(self, x):\n        return self.conv(x)\n"
    text = HEAD + NET + (look if "Look" in LOOKS[case] else "") + f"model = Net(16)\nfeatures = {LOOKS[case]}\n"
    refusal = refused(text)
    assert (refusal.code, refusal.candidates[0], len(refusal.candidates)) == ("ambiguous", "Net", 2)
    assert refusal.fix == "Name one: --class Net"
    assert width(loaded(text, class_name="Net")) == 16


def test_of_two_models_that_of_a_package_is_not_proposed() -> None:
    refusal = refused(HEAD + "import timm\n" + NET + "model = Net()\nteacher_model = timm.create_model('resnet18')\n")
    assert refusal.candidates == ("Net", "teacher_model")
    assert refusal.fix == "Name one: --class Net"


def test_what_was_taken_before_a_change_is_what_it_was() -> None:
    text = (
        NET + "old = Net.__init__\ndef init(self):\n    old(self)\n    self.conv = nn.Conv2d(1, 16, 3)\n"
        "    self.head = nn.Conv2d(16, 10, 1)\nNet.__init__ = init\n"
    )
    assert width(loaded(HEAD + text)) == 16
    assert width(loaded(HEAD + text + "model = Net()\n")) == 16
    text = NET + "model = Net()\nold = model.forward\nmodel.forward = lambda x: old(x)[:, :9]\n"
    assert output(loaded(HEAD + text)) == (2, 9)


def test_what_trains_a_model_through_others_is_not_run() -> None:
    text = (
        NET + "def epoch(m):\n    m.loss.backward()\ndef fit(m):\n    m.conv = None\n    epoch(m)\n    return m\n"
        "model = Net(16)\nmodel = fit(model)\nhistory = fit(model)\n"
    )
    assert width(loaded(HEAD + text)) == 16


@pytest.mark.parametrize("case", WIDTHS)
def test_the_file_says_how_it_is_built(case: str) -> None:
    text, expected = WIDTHS[case]
    assert width(loaded(HEAD + text)) == expected


def test_what_is_done_to_an_instance_takes_effect() -> None:
    text = (
        HEAD
        + NET
        + (
            "def init(m):\n    if isinstance(m, nn.Conv2d):\n        nn.init.ones_(m.weight)\n"
            "def swap(model):\n    for child in model.modules():\n        child.mark = True\n"
            "model = Net()\nmodel.apply(init)\nswap(model)\nmodel.head = nn.Conv2d(4, 10, 1, bias=False)\n"
            "nn.init.zeros_(model.conv.bias)\nfor p in model.conv.parameters():\n    p.requires_grad = False\n"
            "model.load_state_dict(torch.load('x.pt'))\nprint(1 / 0)\n"
        )
    )
    model = loaded(text).model
    found = (model.conv.weight.min().item(), model.conv.bias.abs().max().item(), model.head.bias, model.mark)
    assert found == (1.0, 0.0, None, True)
    assert not model.conv.weight.requires_grad


AMBIGUOUS = {
    "two whole models": (NET + NET.replace("Net", "Net2"), ("Net", "Net2")),
    "with an instance of one": (NET + NET.replace("Net", "Net2") + "model = Net2()\n", ("Net", "Net2")),
    "built in the main block": (
        NET + NET.replace("Net", "Net2") + "if __name__ == '__main__':\n    Net2()\n",
        ("Net", "Net2"),
    ),
    "a subclass with its own forward": (
        NET + "class Net2(Net):\n    def forward(self, x):\n        return super().forward(x) * 2\n",
        ("Net", "Net2"),
    ),
    "a choice by a default": (
        NET
        + NET.replace("Net", "Net2")
        + "M = {'a': Net, 'b': Net2}\ndef get_model(name='a'):\n    return M[name]()\n",
        ("Net", "Net2"),
    ),
    "a choice by a condition": (
        NET + NET.replace("Net", "Net2") + "def get_model(a=1):\n    if a:\n        return Net()\n    return Net2()\n",
        ("Net", "Net2"),
    ),
    "a choice that is made": (
        NET + NET.replace("Net", "Net2") + "def pick(a):\n    return Net() if a else Net2()\nmodel = pick(1)\n",
        ("Net", "Net2"),
    ),
    "two instances": (NET + "small = Net(2)\nbig = Net(8)\n", ("small", "big")),
    "two factories": (NET + "def small():\n    return Net(2)\ndef big():\n    return Net(8)\n", ("small", "big")),
    "a class redefined": (NET + NET.replace("width=4", "width=8"), ("Net@5", "Net@14")),
}


@pytest.mark.parametrize("case", AMBIGUOUS)
def test_several_models_are_asked_about(case: str) -> None:
    text, names = AMBIGUOUS[case]
    refusal = refused(HEAD + text)
    assert (refusal.code, refusal.candidates, refusal.option) == ("ambiguous", names, "--class")
    for name in names:
        assert output(loaded(HEAD + text, class_name=name)) == (2, 10)


@pytest.mark.parametrize("name", ["block", "conv_bn_relu", "make_layer", "convblock2"])
def test_a_function_that_makes_a_part_is_no_model_beside_one(name: str) -> None:
    part = f"def {name}(a=1, b=8):\n    return nn.Sequential(nn.Conv2d(a, b, 3), nn.ReLU())\n"
    assert width(loaded(HEAD + NET + part)) == 4
    assert width(loaded(HEAD + part + NET + "model = Net(16)\n")) == 16
    assert refused(HEAD + NET + part.replace(name, "conv_net")).candidates == ("Net", "conv_net")
    assert len(list(loaded(HEAD + part).model)) == 2, "with nothing beside it, it is what is graded"


def test_an_ambiguous_file_is_told_with_lines() -> None:
    refusal = refused(HEAD + NET + NET.replace("Net", "Net2") + "if __name__ == '__main__':\n    Net2()\n")
    assert refusal.message == "2 models in model.py: Net (line 5), Net2 (line 14)"
    assert refusal.fix == "Name one: --class Net2"
    assert refusal.span == Span("model.py", 5, 1, 5, 22)


def test_the_model_that_the_program_builds_is_proposed() -> None:
    refusal = refused(HEAD + NET + NET.replace("Net", "Net2") + "if __name__ == '__main__':\n    Net()\n")
    assert refusal.candidates == ("Net", "Net2")
    assert refusal.why.endswith("nothing in the file says which. Its program builds Net on line 23.")
    assert refusal.fix == "Name one: --class Net"
    program = "def main():\n    model = Net()\nif __name__ == '__main__':\n    main()\n"
    refusal = refused(HEAD + NET + NET.replace("Net", "Net2") + program)
    assert refusal.why.endswith("Its program builds Net on line 23.")
    assert refusal.fix == "Name one: --class Net"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Net@5", 4), ("Net@14", 8), ("Net@23", 16)],
)
def test_a_class_defined_thrice_is_three_candidates(name: str, expected: int) -> None:
    versions = [NET.replace("width=4", f"width={w}").replace("super()", "super(Net, self)") for w in (4, 8, 16)]
    found = loaded(HEAD + "".join(versions), class_name=name)
    assert (width(found), output(found)) == (expected, (2, 10))


CHOSEN = {
    "Block": (BLOCK.replace("self, cin, cout", "self, cin=1, cout=10") + USER, "Block"),
    "net": (NET + "net = Net(16)\nnet2 = Net(8)\n", "Net"),
    "Outer.Net": ("class Outer:\n" + textwrap.indent(NET, "    "), "Net"),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_a_class_can_be_named(name: str) -> None:
    text, expected = CHOSEN[name]
    assert loaded(HEAD + text, class_name=name).loaded.class_name == expected


def test_an_unknown_name_lists_those_there_are() -> None:
    refusal = refused(HEAD + BLOCK + USER, class_name="Nett")
    assert (refusal.code, refusal.message) == ("no-model", "model.py has no model named Nett")
    assert (refusal.candidates, refusal.option) == (("Block", "Net"), "--class")


def test_no_model() -> None:
    others = {"net.py": HEAD + NET, "of_another.py": HEAD + NET, "readme.py": "y = 2\n"}
    refusal = refused("from net import Net\ndef train():\n    return Net\n", others=others)
    assert (refusal.code, refusal.message) == ("no-model", "model.py defines no model")
    assert (refusal.candidates, refusal.option) == (("net.py",), "")
    assert refusal.fix == "Grade the file that does: net.py."
    refusal = refused("x = 1\n", others=others)
    assert (refusal.candidates, refusal.fix) == ((), "Define class Net(nn.Module) in it.")


@pytest.mark.parametrize("base", ["", "()", "(nn.module)"])
def test_a_class_that_is_no_module_is_told(base: str) -> None:
    refusal = refused(HEAD + NET.replace("(nn.Module)", base))
    assert refusal.message == "model.py defines no model: class Net has a forward, but is no torch.nn.Module"
    assert refusal.fix == "Write class Net(nn.Module), and super().__init__() in its __init__."
    assert refusal.span is not None
    assert refusal.span.line == 5


def test_a_class_inside_a_function_is_told() -> None:
    refusal = refused(HEAD + "def main():\n" + textwrap.indent(NET, "    ") + "    print(Net())\nmain()\n")
    assert (refusal.code, refusal.message) == ("no-model", "model.py defines no model")
    assert refusal.why == "Class Net is made inside main(), which only a running program calls."
    assert refusal.fix == "Move class Net to the top level of the file."
    assert refusal.span == Span("model.py", 6, 5, 6, 26)


def test_a_notebook_under_the_name_of_a_python_file_is_told() -> None:
    refusal = refused('{"cells": [{"cell_type": "code", "source": ["x"]}], "nbformat": 4}')
    assert (refusal.code, refusal.fix) == ("no-model", "Give its name the ending .ipynb.")


def test_a_sequential_inside_a_function_is_told() -> None:
    refusal = refused(HEAD + "def main():\n    net = nn.Sequential(nn.Flatten()).to('cuda')\n    net.train()\nmain()\n")
    assert refusal.why == "The nn.Sequential is made inside main(), which only a running program calls."
    assert refusal.span == Span("model.py", 5, 5, 5, 49)


def test_a_function_that_wants_arguments_is_told() -> None:
    text = (
        "def block(c):\n    return nn.Sequential(nn.Conv2d(1, c, 3))\n"
        "def build(c):\n    net = nn.Sequential(block(c), nn.Flatten())\n    return net\n"
        "def main():\n    build(16).train()\n"
    )
    refusal = refused(HEAD + text)
    assert (refusal.code, refusal.message) == ("arguments", "build needs an argument: c")
    assert refusal.fix == "Give them: --arg c=16; or write a default, or model = build(16) at the end of the file."
    assert len(loaded(HEAD + text, arguments={"c": "16"}).model) == 2


@pytest.mark.parametrize("base", ["torchvision.models.ResNet", "transformers.PreTrainedModel"])
def test_a_base_from_an_absent_package_is_told_with_its_line(base: str) -> None:
    package = base.partition(".")[0]
    net = NET.replace("nn.Module", base)
    refusal = refused(f"import {package}\n{HEAD}class Config({package}.Config):\n    pass\n{net}")
    assert (refusal.code, refusal.span) == ("import", Span("model.py", 8, 1, 8, len(f"class Net({base}):") + 1))
    assert refusal.message.endswith(f", and the model needs it: {base}")


def test_a_model_from_an_absent_package_is_told_with_its_line() -> None:
    refusal = refused("import timmy\nmodel = timmy.create_model('x')\n")
    assert (refusal.code, refusal.span) == ("import", Span("model.py", 2, 1, 2, 32))
    assert refusal.fix == (
        "Install timmy, or submit timmy.py beside the model, or write this part with torch.nn itself."
    )


def test_a_forward_of_two_inputs_is_no_model() -> None:
    refusal = refused(HEAD + LOSS)
    assert refusal.code == "no-model"
    assert refusal.message == "FocalLoss is no model of images: its forward needs 2 inputs (output, target)"


# Constructor arguments


def test_a_required_argument_is_named() -> None:
    refusal = refused(HEAD + NET.replace("width=4", "num_classes, width, device"))
    assert (refusal.code, refusal.option) == ("arguments", "--arg")
    assert refusal.message == "Net needs 3 arguments: num_classes, width, device"
    assert refusal.fix.startswith("Give them: --arg num_classes=10 --arg width=VALUE --arg device=cpu")


def test_the_file_s_own_call_is_proposed() -> None:
    text = HEAD + NET.replace("width=4", "width, name") + "if __name__ == '__main__':\n    Net(12, name='x')\n"
    assert refused(text).fix == (
        "Give them: --arg width=12 --arg name=x; or write a default, "
        "or model = Net(12, name='x') at the end of the file."
    )


CONFIG = "class Config:\n    width = 4\n    p = 0.1\n"
CONFIGURED = NET.replace("self, width=4", "self, cfg").replace("width", "cfg.width")
OF_CONFIG = "Give them: --arg \"cfg={'width': VALUE}\"; or write a default, or model = %s at the end of the file."


@pytest.mark.parametrize(
    ("text", "call"),
    [
        (CONFIGURED, "Net(…)"),
        (CONFIG + CONFIGURED.replace("cfg)", "cfg: Config)"), "Net(Config())"),
        (CONFIG + CONFIGURED + "cfg = Config()\ndef train():\n    Net(cfg).train()\n", "Net(cfg)"),
        (CONFIGURED + "def train(options):\n    Net(options).train()\n", "Net(…)"),
    ],
)
def test_a_configuration_is_proposed_with_its_fields(text: str, call: str) -> None:
    assert refused(HEAD + text).fix == OF_CONFIG % call


def test_a_proposed_argument_is_harmless_in_a_shell() -> None:
    text = HEAD + NET.replace("width=4", "mode") + 'def train():\n    Net(mode="$(rm -rf ~)\'").train()\n'
    assert refused(text).fix.startswith("Give them: --arg 'mode=$(rm -rf ~)'\"'\"''; or")


def test_arguments_are_given() -> None:
    text = HEAD + NET.replace("width=4", "width, mode, config").replace(
        "super().__init__()", "super().__init__()\n        self.given = (width, mode, config.deep, config['deep'])"
    )
    found = loaded(text, arguments={"width": "5", "mode": "bn", "config": "{'deep': True}"})
    assert found.model.given == (5, "bn", True, True)


def test_an_unknown_argument_lists_the_valid_ones() -> None:
    refusal = refused(HEAD + NET, arguments={"widht": "5"})
    assert (refusal.code, refusal.message, refusal.candidates) == ("arguments", "Net has no argument widht", ("width",))


def test_arguments_override_the_instance() -> None:
    assert width(loaded(HEAD + NET + "model = Net(16)\n", arguments={"width": "5"})) == 5


# Stand-ins


HARMLESS_IMPORTS = {
    "unused": "import timm, wandb, cv2\n",
    "used in the constructor": "from torchsummary import summary\nimport wandb\n",
    "annotations": "from PIL import Image\ndef open_(x: Image.Image) -> 'Image': ...\n",
}


def test_logging_in_the_model_is_harmless() -> None:
    net = NET.replace(
        "super().__init__()",
        "super().__init__()\n        wandb.init(project='x')\n        self.writer = SummaryWriter('runs')\n"
        "        summary(self, (1, 28, 28))\n        self.tf = transforms.Compose([transforms.ToTensor()])",
    ).replace("return", "wandb.log({'x': x.mean()}); self.writer.add_image('x', x)\n        return")
    text = (
        HEAD + "import wandb\nfrom torch.utils.tensorboard import SummaryWriter\nfrom torchsummary import summary\n"
        "from torchvision import transforms\n" + net
    )
    found = loaded(text)
    assert output(found) == (2, 10)
    assert found.loaded.stand_ins == ("torch.utils.tensorboard", "torchsummary", "torchvision", "wandb")


NEEDED = {
    "a layer": ("self.act = timm.layers.Swish()", "self.act(x)", "timm"),
    "an unused layer": ("self.act = timm.create_model('x')", "x", "timm"),
    "inside sequential": ("self.act = nn.Sequential(timm.Swish())", "self.act(x)", "timm"),
    "a size": ("self.act = nn.Conv2d(1, timm.WIDTH, 1)", "self.act(x)", "timm"),
    "a condition": ("self.act = 1 if timm.FLAG else 2", "x", "timm"),
    "a loop": ("self.act = [c for c in timm.layers()]", "x", "timm"),
    "arithmetic": ("self.act = 2 * timm.WIDTH", "x", "timm"),
    "in place": ("timm.init.trunc_normal_(torch.ones(1))", "x", "timm"),
}


@pytest.mark.parametrize("case", NEEDED)
def test_a_needed_stand_in_is_refused(case: str) -> None:
    statement, call, package = NEEDED[case]
    net = NET.replace("super().__init__()", f"super().__init__()\n        {statement}").replace("(x)", f"({call})", 1)
    refusal = refused(HEAD + "import timm\n" + net)
    assert (refusal.code, refusal.stand_ins) == ("import", (package,))
    assert refusal.message.startswith(
        "timm is neither installed here nor part of the submission, and the model needs it: timm."
    )
    assert refusal.span is not None and refusal.span.line == 9


def test_a_stand_in_used_in_forward_raises_there() -> None:
    from grader.worker.explain import refuse_exception

    text = (
        HEAD
        + "from torchvision.transforms import functional as TF\n"
        + NET.replace("F.relu(", "F.relu(TF.rotate(x, 1) + ")
    )
    job = job_of(text)
    model = load(job).model
    with pytest.raises(ImportError) as caught:
        model(torch.randn(2, 1, 28, 28))
    refusal = refuse_exception(caught.value, "forward", job)
    assert (refusal.code, refusal.message) == (
        "import",
        "torchvision is replaced by a stand-in here, and the model needs it: torchvision.transforms.functional.rotate",
    )
    assert refusal.span is not None and refusal.span.line == 13


def test_a_stand_in_is_told_where_it_was_given_the_images() -> None:
    from grader.worker.explain import refuse_exception

    text = (
        HEAD
        + "from einops import reduce\n"
        + NET.replace("return ", "x = reduce(x, 'b c h w -> b c')\n        return ")
    )
    job = job_of(text)
    model = load(job).model
    with pytest.raises(Exception) as caught:
        model(torch.randn(2, 1, 28, 28))
    refusal = refuse_exception(caught.value, "forward", job)
    assert refusal.message.endswith("the model needs it: einops.reduce")
    assert refusal.span is not None and refusal.span.line == 13


@pytest.mark.parametrize("model", ["torchvision.models.resnet18()", "timm.create_model('resnet18')"])
def test_a_model_from_an_absent_package_is_refused(model: str) -> None:
    package = model.partition(".")[0]
    text = f"import torch.nn as nn\nimport {package}\nmodel = {model}\nmodel.fc = nn.Linear(512, 10)\n"
    refusal = refused(text)
    assert (refusal.code, refusal.stand_ins) == ("import", (package,))


def test_an_absent_base_is_refused() -> None:
    refusal = refused(HEAD + "from timm.models import ResNet\n" + NET.replace("nn.Module", "nn.Module, ResNet"))
    assert (refusal.code, refusal.stand_ins) == ("import", ("timm",))


def test_a_guarded_import_sees_its_failure() -> None:
    guard = "try:\n    from apex import Norm\nexcept ImportError:\n    Norm = nn.BatchNorm2d\n"
    found = loaded(HEAD + guard + NET.replace("super().__init__()", "super().__init__()\n        self.norm = Norm(4)"))
    assert (type(found.model.norm), found.loaded.stand_ins) == (nn.BatchNorm2d, ())


def test_a_guard_that_exits_gets_the_stand_in() -> None:
    guard = "import sys\ntry:\n    import wandb\nexcept ImportError:\n    print('install wandb')\n    sys.exit(1)\n"
    net = NET.replace("super().__init__()", "super().__init__()\n        wandb.init()")
    assert loaded(HEAD + guard + net).loaded.stand_ins == ("wandb",)


# Files beside it


SIBLINGS: dict[str, tuple[str, str, dict[str, str]]] = {
    "a module": ("model.py", "from blocks import Block\n" + USER, {"blocks.py": HEAD + BLOCK + "1 / 0\n"}),
    "a module, dotted": (
        "model.py",
        "import blocks\n" + USER.replace("Block(", "blocks.Block("),
        {"blocks.py": HEAD + BLOCK},
    ),
    "a star": ("model.py", "from blocks import *\n" + USER, {"blocks.py": HEAD + BLOCK + "data = 1 / 0\n"}),
    "a package": (
        "model.py",
        "from lib.blocks import Block\n" + USER,
        {"lib/__init__.py": "", "lib/blocks.py": HEAD + BLOCK},
    ),
    "a package's own": (
        "model.py",
        "from lib import Block\n" + USER,
        {"lib/__init__.py": "from .blocks import Block\n", "lib/blocks.py": HEAD + BLOCK},
    ),
    "a submodule": (
        "model.py",
        "from lib import blocks\n" + USER.replace("Block(", "blocks.Block("),
        {"lib/__init__.py": "", "lib/blocks.py": HEAD + BLOCK},
    ),
    "a folder": (
        "model.py",
        "import lib.blocks as b\n" + USER.replace("Block(", "b.Block("),
        {"lib/blocks.py": HEAD + BLOCK},
    ),
    "relative": (
        "pkg/model.py",
        "from .blocks import Block\n" + USER,
        {"pkg/__init__.py": "", "pkg/blocks.py": HEAD + BLOCK},
    ),
    "relative without a package": ("model.py", "from .blocks import Block\n" + USER, {"blocks.py": HEAD + BLOCK}),
    "relative module": (
        "model.py",
        "from . import blocks\n" + USER.replace("Block(", "blocks.Block("),
        {"blocks.py": HEAD + BLOCK},
    ),
    "one folder up": (
        "a/models/model.py",
        "from ..blocks import Block\n" + USER,
        {"a/__init__.py": "", "a/models/__init__.py": "", "a/blocks.py": HEAD + BLOCK},
    ),
    "from the root": ("src/model.py", "from src.blocks import Block\n" + USER, {"src/blocks.py": HEAD + BLOCK}),
    "on sys.path": (
        "model.py",
        "import sys\nsys.path.append('lib/deep')\nfrom blocks import Block\n" + USER,
        {"lib/deep/blocks.py": HEAD + BLOCK},
    ),
    "named like the standard library": ("model.py", "from test import Block\n" + USER, {"test.py": HEAD + BLOCK}),
    "named like an installed package": (
        "model.py",
        "from hypothesis_own import Block\n" + USER,
        {"hypothesis_own.py": HEAD + BLOCK},
    ),
    "circular": (
        "model.py",
        "from blocks import Block\nWIDTH = 8\n" + USER,
        {"blocks.py": HEAD + "from model import WIDTH\n" + BLOCK},
    ),
    "the whole model as an instance": (
        "main.py",
        "from net import Net\nmodel = Net()\n1 / 0\n",
        {"net.py": HEAD + NET},
    ),
    "a base": (
        "model.py",
        "from base import Base\n" + NET.replace("nn.Module", "Base"),
        {"base.py": HEAD + "class Base(nn.Module):\n    def forward(self, x):\n        return x\n"},
    ),
    "a missing one": ("model.py", "from data_setup import loaders\nfrom blocks import *\n" + NET, {}),
    "a broken one that is not needed": ("model.py", "import engine\n" + NET, {"engine.py": "def f(:\n"}),
}


@pytest.mark.parametrize("case", SIBLINGS)
def test_files_beside_the_model_are_found(case: str) -> None:
    entry, text, others = SIBLINGS[case]
    found = loaded(HEAD + text, entry, others=others)
    assert (found.loaded.class_name, output(found)) == ("Net", (2, 10))


def test_a_missing_file_that_is_needed_is_named() -> None:
    refusal = refused(HEAD + "from blocks import *\n" + USER)
    assert refusal.code == "import"
    assert refusal.message == (
        "blocks is neither installed here nor part of the submission, and the model needs it: blocks.Block"
    )


def test_a_syntax_error_in_a_needed_file_is_told() -> None:
    refusal = refused(HEAD + "from blocks import Block\n" + USER, others={"blocks.py": "def f(:\n"})
    assert (refusal.code, refusal.span and refusal.span.file) == ("syntax", "blocks.py")


@pytest.mark.parametrize(
    "entry", ["my model (1).py", "2_model.py", "S5 - assignment/EVA4.S5 (2).py", "json.py", "torch.py", "ümlaut.py"]
)
def test_any_file_name_will_do(entry: str) -> None:
    assert output(loaded(HEAD + NET, entry)) == (2, 10)


# Texts


TEXTS: dict[str, Callable[[str], bytes]] = {
    "a byte-order mark": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "latin-1": lambda text: ("# -*- coding: latin-1 -*-\n# é\n" + text).encode("latin-1"),
    "utf-16": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "form feeds": lambda text: text.replace("\nclass", "\n\f\nclass").encode(),
    "tabs": lambda text: text.replace("    ", "\t").encode(),
    "magics": lambda text: (
        "!pip install torchsummary\n%matplotlib inline\n" + text + "\n!ls\nx = !ls\nNet?\n"
    ).encode(),
    "a magic in a block": lambda text: ("try:\n    import q\nexcept:\n    !pip install q\n" + text).encode(),
    "a modulo at the line's start": lambda text: ('s = ("%d"\n  % 3)\n' + text).encode(),
    "exported magics": lambda text: (
        "get_ipython().system('pip install x')\nget_ipython().magic('time')\n" + text
    ).encode(),
    "no newline at the end": lambda text: text.rstrip().encode(),
}


@pytest.mark.parametrize("case", TEXTS)
def test_texts(case: str) -> None:
    assert output(loaded(TEXTS[case](HEAD + NET))) == (2, 10)


SYNTAX = {
    "a NUL": (b"x = 1\n\0", "model.py:2 holds a NUL character: this is not the text of a Python file"),
    "not UTF-8": (b"# \xe9\n", "model.py:1 is not UTF-8 (byte 0xe9): save the file as UTF-8"),
    "an odd encoding": (
        b"# coding: rot13\n",
        "model.py declares the encoding 'rot13', which is not one for text: save it as UTF-8",
    ),
    "Python 2": (
        b"print 'x'\n",
        "model.py:1 is not Python: Missing parentheses in call to 'print'. Did you mean print(...)?",
    ),
    "an open bracket": (b"x = (1,\n", "model.py:1 is not Python: '(' was never closed"),
    "no JSON": (b"{", "model.ipynb:1 is not a notebook: Expecting property name enclosed in double quotes in its JSON"),
}


@pytest.mark.parametrize("case", SYNTAX)
def test_what_is_not_python_is_told(case: str) -> None:
    data, message = SYNTAX[case]
    refusal = refused(data, "model.ipynb" if case == "no JSON" else "model.py")
    assert (refusal.code, refusal.message) == ("syntax", message)
    if "UTF-8" in message:
        assert refusal.fix == "In most editors: Save with Encoding, then UTF-8."


@pytest.mark.parametrize(
    "text", ["x = " + "(" * 5000 + ")" * 5000, "x = " + "-" * 100_000 + "1", "x = " + "1+" * 20_000 + "1"]
)
def test_deep_nesting_is_refused(text: str) -> None:
    assert refused(text).code in ("syntax", "limit", "no-model")  # Python 3.10 reads the third one to its end


# Notebooks


def test_lines_of_a_notebook_are_told_by_cell() -> None:
    refusal = refused(notebook("x = 1", "y = 2\nreturn return"), "model.ipynb")
    assert refusal.message == "model.ipynb, cell 2, line 2, is not Python: invalid syntax"


def test_a_notebook() -> None:
    cells = [
        "!pip install x\n%matplotlib inline",
        HEAD,
        "%%bash\nrm -rf / ((",
        NET,
        "%%time\nmodel = Net(16).to('cuda')",
        "train(",
    ]
    found = loaded(notebook(*cells), "model.ipynb")
    assert (width(found), output(found)) == (16, (2, 10))
    assert found.loaded.span == Span("model.ipynb", 25, 1, 25, 27)


def test_a_cell_that_can_not_be_read_is_told_where_what_it_binds_is_missed() -> None:
    cells = [HEAD + "print 1", NET, "model = Net(WIDTH)"]
    assert refused(notebook(*cells), "S5.ipynb").message.startswith("S5.ipynb, cell 1, line 4, is not Python")
    cells[0] = HEAD
    found = refused(notebook(*cells, "print 1"), "S5.ipynb")
    assert found.message == "NameError: name 'WIDTH' is not defined (in the constructor)"


def test_a_notebook_without_a_model_is_told_so() -> None:
    found = refused(notebook("print(1)"), "S5.ipynb")
    assert (found.message, found.fix) == ("S5.ipynb defines no model", "Define class Net(nn.Module) in it.")


def test_an_old_notebook() -> None:
    cells = [
        {"cell_type": "code", "input": (HEAD + NET).splitlines(keepends=True)},
        {"cell_type": "markdown", "source": "x"},
    ]
    data = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()
    assert output(loaded(data, "model.ipynb")) == (2, 10)


def test_a_class_of_later_cells_is_another_candidate() -> None:
    old = NET.replace("super()", "super(Net, self)")
    data = notebook(HEAD + "W = 4", old.replace("width=4", "width=W"), "W = 8", old.replace("width=4", "width=W * 2"))
    refusal = refused(data, "model.ipynb")
    assert (refusal.code, refusal.candidates) == ("ambiguous", ("Net@8", "Net@21"))
    assert refusal.message == "2 models in model.ipynb: Net (cell 2, line 2), Net (cell 4, line 2)"
    assert [width(loaded(data, "model.ipynb", class_name=name)) for name in refusal.candidates] == [4, 16]


def test_a_later_cell_does_not_change_an_earlier_model() -> None:
    second = (
        USER.replace("Net", "Net2").replace("Block(8, 10)", "Block(8, 10, 1)").replace("Block(1, 8)", "Block(1, 8, 1)")
    )
    data = notebook(HEAD, BLOCK, USER, BLOCK.replace("cin, cout", "cin, cout, k"), second)
    assert [output(loaded(data, "model.ipynb", class_name=name)) for name in ("Net", "Net2")] == [(2, 10), (2, 10)]


def test_a_cell_written_to_a_file_is_read() -> None:
    data = notebook("%%writefile net.py\n" + HEAD + NET, "from net import Net\nmodel = Net(16)")
    assert width(loaded(data, "model.ipynb")) == 16


# Exceptions


FAILURES = {
    "load": (
        "class Net(nn.Module):\n    width = 1 / 0\n",
        "load",
        "ZeroDivisionError: division by zero (while the file was loaded)",
        5,
    ),
    "constructor": (
        NET.replace("super().__init__()", "super().__init__(); 1 / 0"),
        "constructor",
        "ZeroDivisionError: division by zero (in the constructor)",
        7,
    ),
    "no super": (
        NET.replace("super().__init__()", "pass"),
        "constructor",
        "the constructor never calls super().__init__()",
        8,
    ),
    "exit": (
        "import sys\nclass Net(nn.Module):\n    sys.exit(0)\n",
        "load",
        "the code ends the program while the file was loaded",
        6,
    ),
    "a file": (
        NET.replace("super().__init__()", "super().__init__(); torch.load('x')"),
        "constructor",
        "FileNotFoundError: torch.load reads a file: a submission is graded from its source alone (in the constructor)",
        7,
    ),
    "layers without a comma": (
        NET.replace("super().__init__()", "super().__init__(); nn.Sequential(nn.Conv2d(1, 4, 3)(nn.ReLU()))"),
        "constructor",
        "in the constructor the layer nn.ReLU is given where a tensor is expected",
        7,
    ),
    "a list in a sequential": (
        NET.replace("super().__init__()", "super().__init__(); nn.Sequential([nn.ReLU()])"),
        "constructor",
        "TypeError: list is not a Module subclass (in the constructor)",
        7,
    ),
    "a name": (
        NET.replace("width=4", "width=WIDHT"),
        "load",
        "NameError: name 'WIDHT' is not defined (while the file was loaded)",
        6,
    ),
    "recursion": (
        NET.replace("super().__init__()", "super().__init__(); Net()"),
        "constructor",
        "in the constructor the code calls itself without end",
        None,
    ),
    "a program's value": (
        (
            "loss = None\nclass Net(nn.Module):\n    best = acc\n    def forward(self, x):\n        return x\n"
            "for i in range(3):\n    acc = i\n    loss.backward()\n"
        ),
        "load",
        "name 'acc' is bound on line 9 by code that trains, which is not run",
        6,
    ),
    "hostile text": (
        "class E(Exception):\n    def __str__(self):\n        raise SystemExit\nclass Net(nn.Module):\n    raise E\n",
        "load",
        "E: (its text could not be made) (while the file was loaded)",
        8,
    ),
    "a required argument on the command line": (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('data')\nargs = p.parse_args()\n"
        + NET.replace("width=4", "width=args.width"),
        "load",
        "the code ends the program while the file was loaded",
        7,
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures(case: str) -> None:
    text, code, message, line = FAILURES[case]
    refusal = refused(HEAD + text)
    assert (refusal.code, refusal.message) == (code, message)
    assert line is None or (refusal.span is not None and refusal.span.line == line)


def test_an_instance_of_values_that_only_the_program_has() -> None:
    text = (
        HEAD
        + "from torchvision import datasets\ndata = datasets.MNIST('.')\n"
        + NET
        + "model = Net(len(data.classes))\n"
    )
    refusal = refused(text)
    assert (refusal.code, refusal.option, refusal.candidates) == ("arguments", "--arg", ("width",))
    assert refusal.message == "Net is built on line 15 from values that only the running program has"
    assert width(loaded(text, arguments={"width": "6"})) == 6


def test_an_instance_of_a_branch_that_does_not_run() -> None:
    text = HEAD + "if torch.cuda.is_available():\n    model = nn.Sequential(nn.Conv2d(1, 2, 3))\nelse:\n"
    text += "    model = nn.Sequential(nn.Conv2d(1, 3, 3))\n"
    assert refused(text).candidates == ("model@5", "model@7")
    assert width(loaded(text, class_name="model@7")) == 3
    assert (
        refused(text, class_name="model@5").message == "model is not built on line 5: the branch around it does not run"
    )


def test_warnings_about_the_text_are_none_of_ours() -> None:
    assert output(loaded(HEAD + NET.replace("width=4", "width=4, name='\\d'"))) == (2, 10)
