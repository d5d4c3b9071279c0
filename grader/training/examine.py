"""What a model is like before it learns: what its scores are, and which parameters a gradient reaches."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from grader.replay import Values
from grader.training.bench import Bench, backward
from grader.training.scores import LOSSES, Kind, kind_of

IMAGES = 64


@dataclass(frozen=True, slots=True)
class Examined:
    """What the scores are, the ids of the parameters that a gradient reaches, and the percentage of images right."""

    kind: Kind
    learned: tuple[int, ...]
    accuracy: float = 0.0


def examine(bench: Bench, state: Values, seed: int) -> Examined:
    """Run a model once in both modes, backward in training; `state` is changed.

    Raises:
        NoScores: it does not return one row of scores for each image.
        NoGradient: the gradient can't be computed.
        ReplayError: the graph does not run.
    """
    images = bench.data.held_out.first(IMAGES)
    wanted = [info.id for info in bench.replay.graph.of_role("parameter") if info.trainable]
    for key in wanted:
        state[key].requires_grad_(state[key].is_floating_point())
    torch.manual_seed(seed)
    with torch.no_grad():
        right = bench.scores("eval", bench.feed(images), state).argmax(1) == images.labels
    accuracy = 100 * int(right.sum()) / len(images)
    scores = bench.scores("train", bench.feed(images), state)
    kind = kind_of(scores)
    if not scores.requires_grad:
        return Examined(kind, (), accuracy)
    backward(LOSSES[kind](scores, images.labels))
    learned = tuple(key for key in wanted if state[key].grad is not None)
    return Examined(kind, learned, accuracy)
