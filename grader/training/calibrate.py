"""Running statistics that follow the last batches too closely, averaged over many batches after training.

A batch normalisation with momentum=None keeps the plain average of all batches. In a captured graph the momentum of one
forward is a literal, often 1, and the statistics of the last batch alone would make the prediction. Momenta that large
written by hand (Keras counts them the other way round) have the same effect. All others are left as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from grader import ops
from grader.facts import named_arguments
from grader.graph import Graph, Node, Ref
from grader.kinds import signature
from grader.replay import Replay, Values

LARGE = 0.3  # at this momentum the last three batches make two thirds of the statistics
BATCHES = 50  # images enough that the averages differ less between runs than the weights do


class Calibration:
    """The batch normalisations of a graph whose statistics need averaging, often none."""

    def __init__(self, graph: Graph) -> None:
        found = ((index, followed(node)) for index, node in enumerate(graph.train.nodes))
        self.statistics = {index: mean.id for index, mean in found if mean is not None}

    def run(self, replay: Replay, batches: Iterable[Tensor], state: Values) -> None:
        """Replace these statistics in `state` by their plain averages over the first batches, in training mode."""
        if not self.statistics:
            return
        seen: Counter[int] = Counter()

        def around(index: int, op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], values: Values) -> Any:
            if index in self.statistics:
                seen[self.statistics[index]] += 1
                args, kwargs = _with_momentum(op, args, kwargs, 1 / seen[self.statistics[index]])
            return op.run(*args, **kwargs)

        with torch.no_grad():
            for images in islice(batches, BATCHES):
                replay.run("train", images, state, around)


def followed(node: Node) -> Ref | None:
    """Return the running mean of a batch normalisation that follows the last batches too closely, else None."""
    if ops.table()[node.op].kind != "batch-norm":
        return None
    named = named_arguments(node)
    momentum, mean = named.get("momentum"), named.get("running_mean")
    large = isinstance(momentum, (int, float)) and momentum >= LARGE
    return mean if isinstance(mean, Ref) and named.get("training") is True and large else None


def _with_momentum(
    op: ops.Op, args: tuple[Any, ...], kwargs: dict[str, Any], momentum: float
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    place = signature(op.name).index("momentum")
    if place < len(args):
        return (*args[:place], momentum, *args[place + 1 :]), kwargs
    return args, {**kwargs, "momentum": momentum}
