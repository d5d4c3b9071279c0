"""The executor: decodes what a worker sent, proves that it is what runs untraced, observes it, checks it, trains it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

import msgspec
import torch
from torch import Tensor

from grader import cost, kernels, ops, rehearsal, wire
from grader.checks import Subject, checks
from grader.checks._constants import hidden_weights
from grader.experiments import Laboratory
from grader.facts import Facts
from grader.finding import CheckResult
from grader.fingerprint import fingerprint
from grader.graph import Graph, Mode
from grader.layers import layer_table
from grader.leaves import evened, leaf
from grader.observe import observe, run_within
from grader.pictures import digits, probe_images
from grader.protocol import Exported, Graded, GradeJob, Progress, Ungradable
from grader.replay import Replay, ReplayError
from grader.training import train

ops.table()  # both are read once, by the process that all executors are forked from
checks()

JOB_CAP = 352 * 1024 * 1024  # a capture, the outputs of an untraced worker, the files of a data set
RELATIVE, ABSOLUTE = 1e-4, 1e-5  # one thread is bit-equal here; another build of torch may round otherwise
MODES: tuple[Mode, ...] = ("eval", "train")
BY_EFFECT = frozenset(
    "batch-norm depthwise dilated dropout global-average-pool last-layer layer-count linear receptive-field".split()
)


class Channel(Protocol):
    """The one way in and out of the executor."""

    def send(self, data: bytes) -> None: ...

    def receive(self, cap: int) -> bytes | None: ...


class NotGradable(Exception):
    """A capture that no statement can be made about."""

    def __init__(self, answer: Ungradable) -> None:
        super().__init__(answer.message)
        self.answer = answer


def serve(channel: Channel) -> None:
    """Answer one job: any number of `P` and a progress, then `D` and what was found, or `U` and why nothing was."""
    data = channel.receive(JOB_CAP)
    if data is None:
        return
    job = msgspec.msgpack.decode(data, type=GradeJob)

    def progress(where: Progress) -> None:
        channel.send(b"P" + msgspec.msgpack.encode(where))

    try:
        channel.send(b"D" + msgspec.msgpack.encode(grade(job, progress)))
    except NotGradable as error:
        channel.send(b"U" + msgspec.msgpack.encode(error.answer))


def rehearse() -> None:
    """Grade a graph of our own, and leave nothing of it behind."""
    numbers = torch.default_generator.get_state()
    try:
        msgspec.msgpack.encode(grade(rehearsal.job(), lambda progress: None))
    finally:
        kernels.suit_training()
        torch.default_generator.set_state(numbers)


def grade(job: GradeJob, progress: Callable[[Progress], None]) -> Graded:
    """Grade one capture.

    Raises:
        NotGradable: it is malformed, can't be run within the limits, or is not what the submission computes untraced.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch thinks of a submission's calls is no news on this side
        return _grade(job, progress)


def _grade(job: GradeJob, progress: Callable[[Progress], None]) -> Graded:
    try:
        graph, tensors, loaded = wire.decode(job.capture)
        untraced = wire.decode_tensors(job.untraced)
    except wire.WireError as error:
        raise NotGradable(Ungradable(f"the captured graph is malformed: {error}")) from None
    kernels.suit(tensors[info.id].shape for info in graph.of_role("parameter"))
    try:
        replay = Replay(graph, tensors, job.classes)
        facts = {mode: observe_proven(replay, mode, untraced, job) for mode in MODES}
    except ReplayError as error:
        raise NotGradable(not_replayed(graph, error)) from None
    originals = digits(msgspec.structs.replace(job.probe, digits=b""), job.input_shape)
    laboratory = Laboratory(replay, facts, digits(job.probe, job.input_shape), originals, job.probe.seed)
    registered = {info.id for info in graph.of_role("parameter")}
    leaves = {
        key: leaf(tensor, exact=key not in registered and hides_numbers(laboratory, key, tensor))
        for key, tensor in tensors.items()
    }
    facts = {mode: facts[mode].following(laboratory.followers(mode)) for mode in MODES}
    subject = Subject(graph, facts, leaves, laboratory, job.input_shape, job.classes)
    results = {number: run(subject, job, number) for number in range(len(job.checks)) if not trains(job, number)}
    report = None
    if job.train is not None:
        kernels.suit_training()
        report = train(replay, job.train, job.normalise, job.classes, hidden_weights(subject), progress)
        subject = replace(subject, training=report)
    ordered = [results[number] if number in results else run(subject, job, number) for number in range(len(job.checks))]
    count = sum(leaves[info.id].size for info in graph.of_role("parameter"))
    table = layer_table(graph, facts["train"], leaves)
    graph_and_weights = exported(job.capture) if job.export else None
    likeness = fingerprint(graph, facts)
    return Graded(tuple(ordered), loaded, count, table, report, graph_and_weights, likeness)


def hides_numbers(laboratory: Laboratory, key: int, tensor: Tensor) -> bool:
    """Tell whether a model uses what looks like the rounding of evenly spaced numbers."""
    even = evened(tensor)
    return not torch.equal(even, tensor) and not tensor.isnan().any() and laboratory.hears(key, even)


def exported(capture: bytes) -> Exported:
    """Return the graph that was graded, with the weights that the submission gave it, whatever ran on them since."""
    graph, tensors, _ = wire.decode(capture)
    return Exported(graph, wire.encode_tensors({str(key): tensor for key, tensor in tensors.items()}))


def trains(job: GradeJob, number: int) -> bool:
    return job.checks[number].check == "accuracy"


def run(subject: Subject, job: GradeJob, number: int) -> CheckResult:
    """Make one check with the options that it was asked for with."""
    request = job.checks[number]
    reason = subject.experiments.blocked() if request.check in BY_EFFECT else ""
    if reason:
        return CheckResult(request.check, "error", f"not judged: {reason}")
    made = checks()[request.check]
    return made.run(subject, msgspec.convert(request.options, made.options))


def observe_proven(replay: Replay, mode: Mode, untraced: Mapping[str, Tensor], job: GradeJob) -> Facts:
    """Observe one program, and compare it with what an untraced worker computed on the same inputs.

    These were chosen after that worker had loaded the submission. The first batch is observed, the others verify.

    Raises:
        NotGradable: the two differ.
    """
    probe = job.probe
    torch.default_generator.manual_seed(probe.seed)
    facts, found = observe(replay, mode, probe_images(probe, 0, job.input_shape), cost.Limits())
    compare(replay, mode, probe.batches[0], found, untraced)
    for place, batch in enumerate(probe.batches[1:], 1):
        torch.default_generator.manual_seed(probe.seed)
        found = run_within(replay, mode, probe_images(probe, place, job.input_shape), cost.Limits())
        compare(replay, mode, batch, found, untraced)
    return facts


def compare(replay: Replay, mode: Mode, batch: int, found: list[Tensor], untraced: Mapping[str, Tensor]) -> None:
    names = [f"{mode}.{batch}.{place}" for place in range(len(found))]
    given = {name for name in untraced if name.startswith(f"{mode}.{batch}.")}
    if given != set(names) or not all(same(one, untraced[name]) for one, name in zip(found, names, strict=True)):
        raise NotGradable(not_faithful(replay.graph, mode, batch))


def same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two results agree but for rounding."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    return torch.allclose(one, other, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)


def not_faithful(graph: Graph, mode: Mode, batch: int) -> Ungradable:
    return Ungradable(
        f"could not capture what the model computes: unrecorded, on {batch} images in {mode} mode, it differs",
        why="The captured graph is compared with forwards that nothing records; a model must do the same in both.",
        fix="Make forward depend on its input and its registered parameters and buffers alone.",
        span=graph.span,
    )


def not_replayed(graph: Graph, error: ReplayError) -> Ungradable:
    nodes = graph.program(error.mode).nodes
    span = nodes[error.index].span if error.index is not None else graph.span
    return Ungradable(f"the captured graph can't be run: {error}", span=span)
