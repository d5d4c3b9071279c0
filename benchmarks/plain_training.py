"""Train a model as its author would: its own module, plain PyTorch, 15 epochs on turned digits.

    python benchmarks/plain_training.py reference_model/model.py [--script assignment|adam] [--epochs 15] [--seed 1]

The yardstick of `panel.py`. Imports nothing of the grader and runs the code of MODEL in this process: for models of
one's own. `assignment` is the recipe of `reference_model/train.py`; `adam` is what is also seen in courses, a learning
rate that falls to a tenth after six epochs and twelve, and digits turned less. The images lie in memory, as only the
accuracy matters here: no DataLoader, no progress bar.

After each epoch one line of JSON goes to standard output: epoch, training accuracy in percent, errors on the 10,000
test images, and the seconds and CPU seconds so far. With `--checkpoint FILE`, a run that was killed goes on after its
last whole epoch; the lines of earlier epochs are printed again.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, StepLR

DATA = Path(__file__).resolve().parents[1] / "grader" / "data" / "mnist.npz"
MEAN, STD = 0.1307, 0.3081
BATCH = 128
TEST_BATCH = 250


@dataclass(frozen=True)
class Script:
    """A recipe of training: `degrees` bound the rotation, `drop_every` is in epochs, for a tenth of the rate."""

    optimizer: Callable[[Iterable[Tensor]], Optimizer]
    drop_every: int
    degrees: float


SCRIPTS = {
    "assignment": Script(lambda weights: SGD(weights, lr=0.1, momentum=0.9), 1000, 35.0),
    "adam": Script(lambda weights: Adam(weights, lr=0.01), 6, 7.0),
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "logits": functional.cross_entropy,
    "log-probabilities": functional.nll_loss,
    "probabilities": lambda output, labels: functional.nll_loss(output.clamp_min(1e-12).log(), labels),
}
PIXELS: dict[str, Callable[[Tensor], Tensor]] = {
    "normalised": lambda images: (images - MEAN) / STD,
    "0 to 1": lambda images: images,
}


@dataclass(frozen=True)
class Images:
    """`pixels` in 0..1 of shape (N, 1, 28, 28), `labels` of shape (N,)."""

    pixels: Tensor
    labels: Tensor


def load(part: str, limit: int | None) -> Images:
    """Return the 'train' or the 'test' images, or the first of them."""
    with np.load(DATA) as arrays:
        pixels, labels = (torch.from_numpy(arrays[f"{part}_{what}"][:limit]) for what in ("images", "labels"))
    return Images(pixels.unsqueeze(1).float() / 255, labels.long())


def model_of(path: Path) -> nn.Module:
    """Run a file and return an instance of its class Net."""
    spec = importlib.util.spec_from_file_location("submission", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net: nn.Module = module.Net()
    return net


def rotated(images: Tensor, degrees: float) -> Tensor:
    """Turn each image by its own angle, nearest neighbour, black outside."""
    angle = (torch.rand(len(images)) * 2 - 1) * math.radians(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros(len(images))
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="nearest", align_corners=False)


class Training:
    """One model under one script."""

    def __init__(self, path: Path, script: str, output: str, pixels: str, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = model_of(path)
        self.script = SCRIPTS[script]
        self.loss = LOSSES[output]
        self.feed = PIXELS[pixels]
        self.optimizer = self.script.optimizer(self.model.parameters())
        self.schedule: LRScheduler = StepLR(self.optimizer, self.script.drop_every, 0.1)
        self.rows: list[dict[str, Any]] = []

    def epoch(self, images: Images) -> float:
        """Learn from each image once, and return the percentage that was right before it was learned from."""
        self.model.train()
        right = 0
        for index in torch.randperm(len(images.labels)).split(BATCH):
            labels = images.labels[index]
            output = self.model(self.feed(rotated(images.pixels[index], self.script.degrees)))
            self.optimizer.zero_grad()
            self.loss(output, labels).backward()
            self.optimizer.step()
            right += int((output.argmax(1) == labels).sum())
        self.schedule.step()
        return 100 * right / len(images.labels)

    @torch.no_grad()
    def errors(self, images: Images) -> int:
        """Return how many images are classified wrongly."""
        self.model.eval()
        parts = zip(images.pixels.split(TEST_BATCH), images.labels.split(TEST_BATCH), strict=True)
        return sum(int((self.model(self.feed(pixels)).argmax(1) != labels).sum()) for pixels, labels in parts)

    def save(self, path: Path) -> None:
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "rng": torch.get_rng_state(),
            "rows": self.rows,
        }
        beside = path.with_suffix(".tmp")
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, beside)
        beside.replace(path)

    def resume(self, path: Path) -> None:
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["rng"])
        self.rows = state["rows"]


def run(training: Training, epochs: int, limit: int | None, checkpoint: Path | None) -> None:
    """Train to the last epoch, printing each epoch's row."""
    if checkpoint is not None and checkpoint.exists():
        training.resume(checkpoint)
    for row in training.rows[:epochs]:
        print(json.dumps(row), flush=True)
    train, test = load("train", limit), load("test", limit)
    before = training.rows[-1] if training.rows else {"seconds": 0.0, "cpu_seconds": 0.0}
    started, cpu_started = time.monotonic(), time.process_time()
    for epoch in range(len(training.rows) + 1, epochs + 1):
        accuracy = training.epoch(train)
        row = {
            "epoch": epoch,
            "train_accuracy": accuracy,
            "errors": training.errors(test),
            "seconds": before["seconds"] + time.monotonic() - started,
            "cpu_seconds": before["cpu_seconds"] + time.process_time() - cpu_started,
        }
        training.rows.append(row)
        if checkpoint is not None:
            training.save(checkpoint)
        print(json.dumps(row), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, metavar="MODEL", help="a file with a class Net")
    parser.add_argument("--script", choices=SCRIPTS, default="assignment")
    parser.add_argument("--output", choices=LOSSES, default="log-probabilities", help="what the model returns")
    parser.add_argument("--pixels", choices=PIXELS, default="normalised", help="what the model is fed")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=int, help="use the first images only, to try the script")
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    training = Training(options.model, options.script, options.output, options.pixels, options.seed)
    run(training, options.epochs, options.limit, options.checkpoint)


if __name__ == "__main__":
    main()
