"""Train the reference model as the assignment does: 15 epochs of SGD on rotated digits.

    python reference_model/train.py [--epochs 15] [--seed 1] [--threads 1] [--out runs/reference]

Stands alone: it needs torch, numpy and tqdm; torchinfo for the layer table and matplotlib for the plot when they are
there. Nothing of the grader is imported. After every epoch the state is written to `--out`, and an interrupted run
goes on from there.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from model import Net
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

DATA = Path(__file__).resolve().parents[1] / "grader" / "data" / "mnist.npz"
MEAN, STD = 0.1307, 0.3081
ROTATION = 35.0  # degrees, either way


def load(path: Path) -> tuple[TensorDataset, TensorDataset]:
    """Return the training and the test set: images in 0..1 of shape (N, 1, 28, 28), and labels."""
    with np.load(path) as arrays:
        images = {part: torch.from_numpy(arrays[f"{part}_images"]) for part in ("train", "test")}
        labels = {part: torch.from_numpy(arrays[f"{part}_labels"]).long() for part in ("train", "test")}
    train, test = (TensorDataset(images[p].unsqueeze(1).float() / 255, labels[p]) for p in ("train", "test"))
    return train, test


def rotate(images: Tensor, degrees: float) -> Tensor:
    """Turn each of the (N, C, H, W) square images by its own angle, nearest neighbour, black outside."""
    angle = (torch.rand(len(images)) * 2 - 1) * math.radians(degrees)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    matrix = torch.stack([torch.stack([cos, -sin, zero], -1), torch.stack([sin, cos, zero], -1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="nearest", align_corners=False)


def normalise(images: Tensor) -> Tensor:
    return (images - MEAN) / STD


def train_epoch(model: Net, loader: DataLoader, optimizer: torch.optim.Optimizer) -> tuple[float, float]:
    """Run one epoch; return its mean loss and its accuracy in percent, both as measured while training."""
    model.train()
    seen = correct = 0
    total = 0.0
    bar = tqdm(loader)
    for batch, (images, labels) in enumerate(bar):
        optimizer.zero_grad()
        output = model(normalise(rotate(images, ROTATION)))
        loss = F.nll_loss(output, labels)
        loss.backward()
        optimizer.step()
        seen += len(labels)
        total += loss.item() * len(labels)
        correct += int((output.argmax(1) == labels).sum())
        bar.set_description(f"loss={loss.item():.4f} batch={batch} accuracy={100 * correct / seen:.2f}")
    return total / seen, 100 * correct / seen


@torch.no_grad()
def test(model: Net, loader: DataLoader) -> tuple[float, float]:
    """Return mean loss and accuracy in percent on the test set."""
    model.eval()
    total, correct, seen = 0.0, 0, 0
    for images, labels in loader:
        output = model(normalise(images))
        total += F.nll_loss(output, labels, reduction="sum").item()
        correct += int((output.argmax(1) == labels).sum())
        seen += len(labels)
    print(f"Test set: average loss {total / seen:.4f}, accuracy {correct}/{seen} ({100 * correct / seen:.2f} %)\n")
    return total / seen, 100 * correct / seen


def layer_table(model: Net) -> str:
    """Return the layers with their output shapes and parameters."""
    try:
        from torchinfo import summary
    except ImportError:
        return f"{model}\nparameters: {sum(p.numel() for p in model.parameters()):,}"
    return str(summary(model, (1, 1, 28, 28), verbose=0))


def plot(log: list[dict[str, float]], path: Path) -> None:
    """Write the curves of loss and accuracy as a picture, where matplotlib is installed."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    epochs = [row["epoch"] for row in log]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for axis, quantity in zip(axes, ("loss", "accuracy"), strict=True):
        for part in ("train", "test"):
            axis.plot(epochs, [row[f"{part}_{quantity}"] for row in log], marker="o", label=part)
        axis.set_xlabel("epoch")
        axis.set_ylabel(quantity + (" (%)" if quantity == "accuracy" else ""))
        axis.grid(alpha=0.3)
        axis.legend()
    axes[1].axhline(99.0, color="grey", linestyle="--", linewidth=1)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1, help="two are slower than one on a busy machine")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path("runs/reference"))
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    train_set, test_set = load(options.data)
    train_loader = DataLoader(train_set, batch_size=128, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=1000)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    print(layer_table(model))

    log: list[dict[str, float]] = []
    checkpoint = options.out / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["rng"])
        log = state["log"]
        print(f"going on after epoch {len(log)} of {checkpoint}")
    for epoch in range(len(log) + 1, options.epochs + 1):
        print(f"EPOCH {epoch}")
        started = time.monotonic()
        train_loss, train_accuracy = train_epoch(model, train_loader, optimizer)
        seconds = time.monotonic() - started
        test_loss, test_accuracy = test(model, test_loader)
        log.append({"epoch": epoch, "train_loss": train_loss, "train_accuracy": train_accuracy,
                    "test_loss": test_loss, "test_accuracy": test_accuracy, "train_seconds": seconds})  # fmt: skip
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
        state["log"] = log
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)
        (options.out / "log.json").write_text(json.dumps(log, indent=1) + "\n")
    plot(log, options.out / "curves.png")
    best = {part: max(row[f"{part}_accuracy"] for row in log) for part in ("train", "test")}
    print(f"best training accuracy {best['train']:.2f} %, best test accuracy {best['test']:.2f} %")


if __name__ == "__main__":
    main()
