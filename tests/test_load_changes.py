"""What a file's top level does to its model takes effect, under whatever name; what looks or trains is not run."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from grader.protocol import CaptureJob
from grader.worker import environment
from grader.worker.load import load
from grader.worker.refusal import Refused

FILE = """
import copy, functools, operator
import torch
import torch.nn as nn
import torch.nn.functional as F
from functools import partial
from types import SimpleNamespace

class Net(nn.Module):
    def __init__(self, rate=0.5):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)
        self.drop = nn.Dropout(rate)

    def off(self):
        self.drop.p = 0.0

    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3))

class Keeper:
    def __init__(self, net, steps=3):
        self.net, self.steps = net, steps

    def off(self):
        self.net.drop.p = 0.0

class Surgeon:
    def __init__(self, net):
        self.net = net
        self.net.drop.p = 0.0

def off(net):
    net.drop.p = 0.0

def drop_of(net):
    return net.drop

def the_model():
    return model

def fit(net):
    for x, y in data:
        F.nll_loss(net(x), y).backward()

model = Net()
"""


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for owner, name, value in environment.replacements():
        monkeypatch.setattr(owner, name, value)
    yield


def model_of(text: str) -> Any:
    return load(CaptureJob({"model.py": text.encode()}, "model.py", None, {}, (1, 28, 28), 10, 7)).model


def candidates(text: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        model_of(text)
    assert caught.value.refusal.code == "ambiguous"
    return caught.value.refusal.candidates


SWITCHES = [
    "exec('model.drop.p = 0.0')",
    "for name in ('drop',):\n    exec(f'model.{name}.p = 0.0')",
    "code = 'for m in model.children():\\n    m.p = 0.0'\nexec(code)",
    "def patch():\n    exec('model.drop.p = 0.0', globals())\npatch()",
    "eval('model.drop').p = 0.0",
    "eval(\"setattr(model.drop, 'p', 0.0)\")",
    "globals()['model'].drop.p = 0.0",
    "set_rate = partial(setattr, model.drop, 'p')\nset_rate(0.0)",
    "switch = functools.partial(off)\nswitch(model)",
    "switch = functools.partial(off, net=model)\nswitch()",
    "partial(off, model)()",
    "switch = off\nswitch(model)",
    "switch = model.off\nswitch()",
    "switch = lambda net: setattr(net.drop, 'p', 0.0)\nswitch(model)",
    "(lambda net: setattr(net.drop, 'p', 0.0))(model)",
    "SWITCHES = {'off': off}\nSWITCHES['off'](model)",
    "list(map(off, [model]))",
    "def run(f):\n    f()\n    return f\n@run\ndef switch():\n    model.drop.p = 0.0",
    "drop_of(model).p = 0.0",
    "the_model().drop.p = 0.0",
    "list(model.children())[1].p = 0.0",
    "dict(model.named_modules())['drop'].p = 0.0",
    "getattr(model, 'drop').p = 0.0",
    "operator.attrgetter('drop')(model).p = 0.0",
    "operator.setitem(model._modules, 'drop', nn.Dropout(0.0))",
    "vars(model.drop)['p'] = 0.0",
    "(model if True else None).drop.p = 0.0",
    "net = model.module if hasattr(model, 'module') else model\nnet.drop.p = 0.0",
    "net: nn.Module = model\nnet.drop.p = 0.0",
    "model.__setattr__('drop', nn.Dropout(0.0))",
    "nn.Module.__setattr__(model, 'drop', nn.Dropout(0.0))",
    "model.drop.__init__(0.0)",
    "keeper = Keeper(model)\nkeeper.net.drop.p = 0.0",
    "keeper = Keeper(steps=1, net=model)\nkeeper.off()",
    "keeper = Keeper(model)\noff(keeper.net)",
    "keeper = SimpleNamespace(net=model, epoch=0)\nkeeper.net.drop.p = 0.0",
    "keeper = {'net': model, 'losses': []}\nkeeper['net'].drop.p = 0.0",
    "Surgeon(model)",
]


@pytest.mark.parametrize("text", SWITCHES)
def test_a_change_under_another_name_takes_effect(text: str) -> None:
    assert model_of(f"{FILE}\n{text}\n").drop.p == 0.0


UNCHANGED = {
    "the keeper itself": "keeper = Keeper(model)\nkeeper.steps = 1 / 0",
    "what only reads": "print(getattr(model, 'drop').p, eval('model.drop.p'), 1 / 0)",
    "a text that trains": "exec('fit(model)')",
    "a partial that trains": "train = partial(fit, model)\ntrain()",
    "another name of what trains": "train = fit\ntrain(model)",
    "a loop that trains and keeps": "state = {'net': model, 'losses': []}\nfor epoch in range(3):\n"
    "    state['losses'].append(fit(model))",
    "a keeper that can't be made here": "keeper = Keeper(model, open('steps.txt'))\nkeeper.net.drop.p = 0.0",
    "a keeper that trains": "class Trainer:\n    def __init__(self, net):\n        self.net = net\n        fit(net)\n"
    "trainer = Trainer(model)\ntrainer.net.drop.p = 0.0",
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_what_does_not_change_the_model_is_not_run(case: str) -> None:
    assert model_of(f"{FILE}\n{UNCHANGED[case]}\n").drop.p == 0.5


LATER = """
import torch.nn as nn
RATE = 0.5
def layer():
    return nn.Dropout(RATE)
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.drop, self.late = nn.Conv2d(1, 10, 3), layer(), LATE
    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3)) + 0 * RATE
"""


def test_a_model_is_built_from_what_stands_before_it() -> None:
    text = LATER + "model = Net()\nRATE = 0.0\nLATE = 1\ndef layer():\n    return None\n"
    model = model_of(text)
    assert (model.drop.p, model.late) == (0.5, 1), "what stands nowhere before is looked for behind"
    assert model.forward.__globals__["RATE"] == 0.0, "forward reads what the file leaves"
    assert model_of(LATER + "LATE = RATE = 0\n").drop.p == 0, "the class alone is built at the end"


HOOKED = FILE + "kept = {}\nseen = []\n"
LOOKS = {
    "a function": "def look(m, x, y):\n    '''Keep it.'''\n    kept['conv'] = y.detach().numpy()\n"
    "model.conv.register_forward_hook(look)",
    "a function that a function makes": "def look_at(name):\n    def look(m, x, y):\n        if name not in kept:\n"
    "            kept[name] = y.cpu().numpy()\n    return look\nfor name, m in model.named_modules():\n"
    "    m.register_forward_hook(look_at(name))",
    "a lambda": "handle = model.conv.register_forward_hook(lambda m, x, y: seen.append(y.mean().item()))",
    "a partial": "def look(name, m, x):\n    print(name, float(x[0].sum()))\n"
    "model.conv.register_forward_pre_hook(partial(look, 'conv'))",
    "a method": "class Look:\n    def keep(self, m, x, y):\n        self.y = y.tolist()\nlook = Look()\n"
    "model.conv.register_forward_hook(look.keep)",
    "an object": "class Look:\n    def __call__(self, m, x, y):\n        self.y = y.tolist()\nlook = Look()\n"
    "model.conv.register_forward_hook(look)",
}


@pytest.mark.parametrize("case", LOOKS)
def test_a_hook_that_only_looks_is_left_out(case: str) -> None:
    assert not model_of(f"{HOOKED}{LOOKS[case]}\n").conv._forward_hooks
    assert not model_of(f"{HOOKED}{LOOKS[case]}\n").conv._forward_pre_hooks


ACTS = {
    "it returns": "handle = model.conv.register_forward_hook(lambda m, x, y: F.dropout(y))",
    "it works in place": "def act(m, x, y):\n    y.zero_()\nmodel.conv.register_forward_hook(act)",
    "it works in place by an option": "def act(m, x, y):\n    seen.append(F.relu(y, inplace=True))\n"
    "model.conv.register_forward_hook(act)",
    "it writes into what it is given": "def act(m, x, y):\n    y[:] = 0\nmodel.conv.register_forward_hook(act)",
    "it takes another name": "def act(m, x, y):\n    z = y\n    z[:] = 0\nmodel.conv.register_forward_hook(act)",
    "it calls another": "def act(m, x, y):\n    print(off(model))\nmodel.conv.register_forward_hook(act)",
    "it feeds forward": "class Fed(Net):\n    def forward(self, x):\n"
    "        return super().forward(x) + kept['y'].mean()\n"
    "model = Fed()\ndef feed(m, x, y):\n    kept['y'] = y\nmodel.conv.register_forward_hook(feed)",
    "nobody knows it": "import hooks\nmodel.conv.register_forward_hook(hooks.look)",
}


@pytest.mark.parametrize("case", ACTS)
def test_a_hook_that_may_do_more_stays(case: str) -> None:
    text = f"{HOOKED}{ACTS[case]}\n"
    assert len(model_of(text).conv._forward_hooks) == 1
    if "handle" in text:
        assert not model_of(text + "handle.remove()\n").conv._forward_hooks


def test_hooks_in_a_list_are_removed_again() -> None:
    text = HOOKED + "handles = []\nfor m in model.children():\n    handles.append(m.register_forward_hook(print))\n"
    assert model_of(text).conv._forward_hooks
    assert not model_of(text + "for handle in handles:\n    handle.remove()\n").conv._forward_hooks


def test_a_hook_of_every_module_takes_effect() -> None:
    hooks = torch.nn.modules.module._global_forward_hooks
    try:
        model_of(FILE + "torch.nn.modules.module.register_module_forward_hook(lambda m, x, y: y * 2)\n")
        assert len(hooks) == 1
    finally:
        hooks.clear()


AVERAGE = """
class ModelEMA(nn.Module):
    def __init__(self, model, decay=0.99):
        super().__init__()
        self.module = copy.deepcopy(model).eval()
        for p in self.module.parameters():
            p.requires_grad_(False)
        self.decay = decay
    def update(self, model):
        for mean, new in zip(self.module.parameters(), model.parameters()):
            mean.copy_(self.decay * mean + (1 - self.decay) * new)
    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)
"""


@pytest.mark.parametrize("text", ["", "model_ema = ModelEMA(model)", "ema_model = ModelEMA(decay=0.9, model=model)"])
def test_an_average_of_the_weights_is_no_model_beside_the_model(text: str) -> None:
    assert type(model_of(f"{FILE}{AVERAGE}{text}\n")).__name__ == "Net"


def test_an_average_of_an_absent_package_is_no_model_beside_the_model() -> None:
    text = FILE + "from timm.utils import ModelEmaV2\nmodel_ema = ModelEmaV2(model, decay=0.99)\n"
    assert type(model_of(text)).__name__ == "Net"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return self.module(*args, **kwargs)", "return self.module(args[0] / 2)"),
        ("self.decay = decay", "self.module.drop = nn.Dropout(0.1)"),
        ("self.module = copy.deepcopy(model)", "self.module = nn.Sequential(model, nn.Softmax(1))"),
    ],
)
def test_what_computes_more_than_its_model_is_asked_about(old: str, new: str) -> None:
    assert old in AVERAGE
    text = FILE.replace("model = Net()\n", "") + AVERAGE.replace(old, new)
    assert candidates(text) == ("Net", "ModelEMA")


def test_layers_in_a_row_that_learn_nothing_are_no_model_beside_one() -> None:
    rows = """
    from torchvision import transforms
    import kornia.augmentation as K
    augment = nn.Sequential(nn.Dropout(0.1), nn.Identity())
    transform = nn.Sequential(transforms.RandomCrop(28), transforms.Normalize((0.13,), (0.31,)))
    more = nn.Sequential(K.RandomErasing())
    """
    assert type(model_of(FILE + textwrap.dedent(rows))).__name__ == "Net"
    assert candidates(FILE + "other = nn.Sequential(nn.Conv2d(1, 10, 3))\n") == ("Net", "other")
    assert candidates(FILE + "other = nn.Sequential(3)\n") == ("Net", "other")
