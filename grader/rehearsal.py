"""A graph of our own, graded once where executors are forked from: none of them pays for a first time."""

from __future__ import annotations

import torch
from torch import Tensor

from grader import wire
from grader.graph import Arg, Graph, Items, Mode, Module, Node, Program, Ref, Size, TensorInfo
from grader.pictures import probe_images
from grader.protocol import CheckRequest, GradeJob, Loaded, Probe
from grader.replay import Replay, tensors_in

SHAPE = (1, 28, 28)
CLASSES = 10
PROBE = Probe(1, (4, 36))
CHECKS = (
    CheckRequest("parameters", {"below": 20_000}),
    *(CheckRequest(check) for check in ("batch-norm", "dropout", "global-average-pool", "linear", "output")),
)
MODES: tuple[Mode, ...] = ("eval", "train")

WEIGHT, SCALE, SHIFT, MEAN, VARIANCE, COUNTER = range(1, 7)
LEAVES = (
    (TensorInfo(WEIGHT, "parameter", "conv.weight", (CLASSES, 1, 3, 3), True), torch.linspace(-1, 1, CLASSES * 9)),
    (TensorInfo(SCALE, "parameter", "norm.weight", (CLASSES,), True), torch.ones(CLASSES)),
    (TensorInfo(SHIFT, "parameter", "norm.bias", (CLASSES,), True), torch.zeros(CLASSES)),
    (TensorInfo(MEAN, "buffer", "norm.running_mean", (CLASSES,)), torch.zeros(CLASSES)),
    (TensorInfo(VARIANCE, "buffer", "norm.running_var", (CLASSES,)), torch.ones(CLASSES)),
    (TensorInfo(COUNTER, "buffer", "norm.num_batches_tracked", ()), torch.tensor(0)),
)


def program(training: bool) -> Program:
    """Return what most submissions do, in the order in which they do it."""
    pair = Items((2, 2))
    rows: list[tuple[str, tuple[Arg, ...]]] = [
        ("conv2d", (Ref(0), Ref(WEIGHT), None, Items((1, 1)), Items((1, 1)), Items((1, 1)), 1)),
        ("batch_norm", (Ref(101), Ref(MEAN), Ref(VARIANCE), Ref(SCALE), Ref(SHIFT), training, 0.1, 1e-5)),
        ("relu", (Ref(102),)),
        ("dropout", (Ref(103), 0.1, training)),
        ("max_pool2d", (Ref(104), pair, pair)),
        ("adaptive_avg_pool2d", (Ref(105), 1)),
    ]
    nodes = [
        Node(f"torch.nn.functional.{short}", given, {}, (101 + place,)) for place, (short, given) in enumerate(rows)
    ]
    if training:
        nodes.insert(1, Node("torch.Tensor.add_", (Ref(COUNTER), 1), {}, (COUNTER,)))
    nodes.append(Node("torch.Tensor.view", (Ref(106), Size(1, 0), -1), {}, (107,)))
    nodes.append(Node("torch.nn.functional.log_softmax", (Ref(107),), {"dim": 1}, (108,)))
    return Program(tuple(nodes), Ref(108))


def job() -> GradeJob:
    """Return a job whose capture reproduces what an untraced worker would have said of it."""
    infos = (TensorInfo(0, "input", "input"), *(info for info, _ in LEAVES))
    graph = Graph("Net", infos, program(False), program(True), (Module("", "torch.nn.Module"),))
    tensors = {info.id: numbers.reshape(info.shape or ()) for info, numbers in LEAVES}
    replay = Replay(graph, tensors)
    untraced: dict[str, Tensor] = {}
    for mode in MODES:
        for place, batch in enumerate(PROBE.batches):
            torch.default_generator.manual_seed(PROBE.seed)
            with torch.no_grad():
                output = replay.run(mode, probe_images(PROBE, place, SHAPE), replay.state())
            untraced |= {f"{mode}.{batch}.{number}": tensor for number, tensor in enumerate(tensors_in(output))}
    capture = wire.encode(graph, tensors, Loaded("Net"))
    normalise = ((0.1307,), (0.3081,))
    return GradeJob(capture, wire.encode_tensors(untraced), PROBE, SHAPE, CLASSES, normalise, CHECKS)
