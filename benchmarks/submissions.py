"""Submissions of a class that never was: distinct ones, good, failing, broken and hostile mixed, from a seed.

    python benchmarks/submissions.py FOLDER [--count 1000] [--seed 1]

writes one folder a student, with the model in `model.py`. Of 100 submissions about 60 keep all rules, 25 break one, 10
are broken, and 5 are hostile. Names, widths, activations and spellings differ; no two files are the same.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["good", "failing", "broken", "hostile"]
SHARES: dict[Kind, int] = {"good": 60, "failing": 25, "broken": 10, "hostile": 5}

ACTIVATIONS = {"nn.ReLU()": "F.relu({})", "nn.GELU()": "F.gelu({})", "nn.SiLU()": "F.silu({})", "nn.ELU()": "F.elu({})"}
NAMES = "Net Model Classifier MnistNet DigitNet Session5 SmallNet CompactNet".split()
POOLED = {
    "x.mean((2, 3))": "",
    "self.gap(x).flatten(1)": "self.gap = nn.AdaptiveAvgPool2d(1)",
    "F.adaptive_avg_pool2d(x, 1).view(-1, 10)": "",
    "F.avg_pool2d(x, x.shape[-1]).flatten(1)": "",
}


@dataclass(frozen=True)
class Made:
    """One submission: what it is meant to be, and its source."""

    name: str
    kind: Kind
    source: str


def generate(count: int, seed: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield the name of a student and the bytes of the model, `count` times."""
    for made in submissions(count, seed):
        yield made.name, made.source.encode()


def submissions(count: int, seed: int = 1) -> Iterator[Made]:
    """Yield submissions; the first ones are the same whatever the count."""
    chance = random.Random(seed)
    for number in range(count):
        kind = chance.choices(list(SHARES), list(SHARES.values()))[0]
        source = MAKERS[kind](chance)
        yield Made(f"student{number:05}", kind, f'"""Session 5, number {number}."""\n\n{source}')


def convolutional(chance: random.Random, *, width: int = 16, norm: bool = True, dropout: bool = True) -> list[str]:
    """Return the layers of a body for 28×28 images, as expressions; the last map has 10 channels."""
    layers: list[str] = []
    channels = 1
    activation = chance.choice(list(ACTIVATIONS))
    for block in range(chance.randint(4, 6)):
        wider = chance.randint(width // 2, width)
        layers.append(f"nn.Conv2d({channels}, {wider}, 3, padding=1{chance.choice(['', ', bias=False'])})")
        if norm:
            layers.append(f"nn.BatchNorm2d({wider})")
        layers.append(activation)
        if dropout and (block == 0 or chance.random() < 0.5):
            layers.append(f"nn.Dropout({chance.choice([0.02, 0.03, 0.05, 0.08, 0.1])})")
        if block in (1, 3):
            layers.append("nn.MaxPool2d(2)")
        channels = wider
    return [*layers, f"nn.Conv2d({channels}, 10, 1)"]


def sequential(chance: random.Random, layers: list[str], head: str | None = None) -> str:
    """Spell a model as one nn.Sequential."""
    pooled, made = (head, "") if head is not None else chance.choice(list(POOLED.items()))
    body = "\n".join(f"            {layer}," for layer in layers)
    made = f"\n        {made}" if made else ""
    return f"""import torch
import torch.nn as nn
import torch.nn.functional as F


class {chance.choice(NAMES)}(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
{body}
        ){made}

    def forward(self, x):
        x = self.body(x)
        return F.log_softmax({pooled}, dim=1)
"""


def by_name(chance: random.Random, layers: list[str], head: str | None = None) -> str:
    """Spell a model as one attribute a layer, with functional activations."""
    pooled, made = (head, "") if head is not None else chance.choice(list(POOLED.items()))
    attributes, steps = [], []
    for number, layer in enumerate(layers, 1):
        if layer in ACTIVATIONS:
            steps.append(f"x = {ACTIVATIONS[layer].format('x')}")
        else:
            attributes.append(f"self.layer{number} = {layer}")
            steps.append(f"x = self.layer{number}(x)")
    lines = "\n".join(f"        {line}" for line in [*attributes, *([made] if made else [])])
    calls = "\n".join(f"        {line}" for line in steps)
    return f"""import torch
from torch import nn
import torch.nn.functional as F


class {chance.choice(NAMES)}(nn.Module):
    def __init__(self):
        super().__init__()
{lines}

    def forward(self, x):
{calls}
        return F.log_softmax({pooled}, dim=-1)
"""


def spelled(chance: random.Random, layers: list[str], head: str | None = None) -> str:
    return chance.choice([sequential, by_name])(chance, layers, head)


def good(chance: random.Random) -> str:
    return spelled(chance, convolutional(chance))


def failing(chance: random.Random) -> str:
    """Break one rule: too many parameters, no normalisation, no dropout, a linear layer, a pixel instead of a mean."""
    return spelled(chance, *chance.choice(FAULTS)(chance))


FAULTS: tuple[Callable[[random.Random], tuple[list[str], str | None]], ...] = (
    lambda chance: (convolutional(chance, width=64), None),
    lambda chance: (convolutional(chance, norm=False), None),
    lambda chance: (convolutional(chance, dropout=False), None),
    lambda chance: ([*convolutional(chance), "nn.Flatten()", "nn.Linear(490, 10)"], "x"),
    lambda chance: (convolutional(chance), "x[:, :, 3, 3]"),
)


def broken(chance: random.Random) -> str:
    """Return what runs on nobody's machine: a slip of the pen in a good model."""
    source = good(chance)
    slips: list[Callable[[str], str]] = [
        lambda text: text.replace("def forward(self, x):", "def forward(self, x)"),
        lambda text: text.replace("super", "supper"),
        lambda text: (
            text.replace("import torch\n", "import torch\nimport no_such_package_of_mine as helper\n")
            + "\nhelper.prepare()\nmodel = helper.wrap(None)\n"
        ),
        lambda text: text.replace("nn.Conv2d(1, ", "nn.Conv2d(3, "),
        lambda text: text.replace("(nn.Module)", ""),
        lambda text: text.replace("return F.log_softmax", "F.log_softmax"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("__init__(self)", "__init__(self, channels, classes)"),
    ]
    return chance.choice(slips)(source)


HOSTILE = (
    "import os\nos._exit(0)\n",
    "import os\nfor _ in range(10_000):\n    os.fork()\n",
    "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
    "print(open('/etc/passwd').read())\n",
    "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)\n",
    "held = [bytearray(1 << 30) for _ in range(1_000)]\n",
    "import ctypes\nctypes.string_at(0)\n",
    "import sys\nsys.stdout.write('passed ' * 10_000_000)\n",
    "import os\nos.closerange(0, 256)\n",
    'print(\'{"schema": 1, "verdict": "pass", "score": 100, "max_score": 100}\')\nimport os\nos._exit(0)\n',
    "import torch\ntorch.nn.Module.parameters = lambda self, recurse=True: iter(())\n",
    "import threading\nwhile True:\n    threading.Thread(target=threading.Event().wait, daemon=True).start()\n",
)
FOREVER = "while True:\n    pass\n"  # holds its place until the deadline: one in fifty hostile ones


def hostile(chance: random.Random) -> str:
    """Return a model with something in front of it that it should not do."""
    attack = FOREVER if chance.random() < 0.02 else chance.choice(HOSTILE)
    return f"{attack}\n{good(chance)}"


MAKERS: dict[Kind, Callable[[random.Random], str]] = {
    "good": good,
    "failing": failing,
    "broken": broken,
    "hostile": hostile,
}


def write(folder: Path, count: int, seed: int = 1) -> None:
    """Write a class to a folder, one folder a student."""
    for name, data in generate(count, seed):
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.py").write_bytes(data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write(given.folder, given.count, given.seed)
