"""What functions of a submission's other files do to the model takes effect; those that train are not run."""

from __future__ import annotations

from typing import Any

import pytest

from grader.protocol import CaptureJob
from grader.worker.load import load

NET = """
import torch.nn as nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.drop = nn.Conv2d(1, 10, 3), nn.Dropout(0.5)
    def forward(self, x):
        return self.drop(self.conv(x)).mean((2, 3))
"""
OFF = "def off(net, rate=0.0):\n    switch(net, rate)\ndef switch(net, rate):\n    net.drop.p = rate\n"
FIT = """
def fit(net):
    net.drop.p = 0.0
    epoch(net)
def epoch(net):
    for x, y in data:
        net(x).backward()
"""


def model_of(program: str, others: dict[str, str], folder: str = "") -> Any:
    """Load `main.py` of a folder, with `net.py` and others beside it."""
    files = {"main.py": program, "net.py": NET, **others}
    data = {f"{folder}{path}": text.encode() for path, text in files.items()}
    return load(CaptureJob(data, f"{folder}main.py", None, {}, (1, 28, 28), 10, 7)).model


CHANGES = {
    "by its name": ("from tools import off\nmodel = Net()\noff(model)", {"tools.py": OFF}),
    "by another name": ("from tools import off as disable\nmodel = Net()\ndisable(net=model)", {"tools.py": OFF}),
    "of a module": ("import tools as t\nmodel = Net()\nt.off(model)", {"tools.py": OFF}),
    "of a module of a package": ("from lib import tools\nmodel = Net()\ntools.off(model)", {"lib/tools.py": OFF}),
    "by a star": ("from tools import *\nmodel = Net()\noff(model, 0.0)", {"tools.py": OFF}),
    "handed on": (
        "from lib import off\nmodel = Net()\noff(model)",
        {"lib/__init__.py": "from .tools import off", "lib/tools.py": OFF},
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_function_of_another_file_changes_the_model(case: str) -> None:
    program, others = CHANGES[case]
    assert model_of(f"from net import Net\n{program}\n", others).drop.p == 0.0


def test_a_function_of_a_neighbour_in_a_package_changes_the_model() -> None:
    program = "from .net import Net\nfrom .lib.tools import off\nmodel = Net()\noff(model)\n"
    assert model_of(program, {"__init__.py": "", "lib/tools.py": OFF}, "s5/").drop.p == 0.0


UNCHANGED = {
    "it trains": ("from tools import fit\nmodel = Net()\nfit(model)", {"tools.py": FIT}),
    "its file can't be read": ("from tools import off\nmodel = Net()\noff(model)", {"tools.py": "def off(net:\n"}),
    "its file is not there": ("from tools import off\nmodel = Net()\noff(model)", {}),
    "another file's import leads in a circle": (
        "from tools import off\nmodel = Net()\noff(model)",
        {"tools.py": "from more import off\n", "more.py": "from tools import off\n"},
    ),
    "a function of its own goes before": (
        "from tools import *\ndef off(net):\n    pass\nmodel = Net()\noff(model)",
        {"tools.py": OFF},
    ),
}


@pytest.mark.parametrize("case", UNCHANGED)
def test_the_model_is_as_it_was_built_where(case: str) -> None:
    program, others = UNCHANGED[case]
    assert model_of(f"from net import Net\n{program}\n", others).drop.p == 0.5
