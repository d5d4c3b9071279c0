"""The worker: loads one submission and answers with its graph, or runs it plainly on inputs named afterwards."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from torch import Tensor

from grader import ops, wire
from grader.graph import Mode
from grader.pictures import probe_images
from grader.protocol import CaptureJob, Probe
from grader.worker import capture, environment
from grader.worker.addresses import Addresses
from grader.worker.load import load
from grader.worker.refusal import Refused
from grader.worker.snapshot import Snapshot
from grader.worker.tensors import tensors_in

JOB_CAP = 64 * 1024 * 1024

ops.vocabulary()  # read now: student code, loaded later, may patch torch

# Another order than that of the traces: a model that counts its calls must not find the same count.
PROBES: tuple[tuple[Mode, int], ...] = (("train", 1), ("eval", 1), ("eval", 0), ("train", 0))


class Channel(Protocol):
    """The one way in and out of a worker."""

    def send(self, data: bytes) -> None: ...

    def receive(self, cap: int) -> bytes | None: ...


def serve(channel: Channel) -> None:
    """Answer one job: `G` and a capture, `L` and later `T` and outputs, or `R` and the reason for a refusal."""
    data = channel.receive(JOB_CAP)
    if data is None:
        return
    job = msgspec.msgpack.decode(data, type=CaptureJob)
    environment.prepare()
    try:
        if job.untraced:
            run_plain(job, channel)
        else:
            channel.send(b"G" + traced(job))
    except Refused as refused:
        channel.send(b"R" + msgspec.json.encode(refused.refusal))


def traced(job: CaptureJob) -> bytes:
    """Return the encoded capture of a submission."""
    with capture.Births() as births:
        submission = load(job)
    capturer = capture.Capturer(submission.model, job, births.spans)
    graph, tensors = capturer.graph(submission.loaded.class_name, submission.loaded.span)
    return wire.encode(graph, tensors, submission.loaded)


def run_plain(job: CaptureJob, channel: Channel) -> None:
    """Load a submission, then run it without a tape on the inputs that the trusted side names only now."""
    model: Any = load(job).model
    state = capture.warm_up(model, job)
    channel.send(b"L")
    data = channel.receive(JOB_CAP)
    if data is None:
        return
    probe = msgspec.msgpack.decode(data, type=Probe)
    outputs: dict[str, Tensor] = {}
    addresses = Addresses()
    for mode, place in PROBES:
        batch = probe.batches[place]
        output = plain_forward(model, state, mode, place, probe, job, addresses)
        for number, tensor in enumerate(tensors_in(output)):
            outputs[f"{mode}.{batch}.{number}"] = tensor.detach().clone()
    channel.send(b"T" + wire.encode_tensors(outputs))


def plain_forward(
    model: Any, state: Snapshot, mode: Mode, place: int, probe: Probe, job: CaptureJob, addresses: Addresses
) -> Any:
    """Run one forward as at home: without any mode of ours, unless the model can't run so (it asks for a GPU)."""
    for rewrite in (False, True):
        images = addresses.give(probe_images(probe, place, job.input_shape), mode)
        try:
            return capture.forward(model, mode, images, probe.seed, job, state=state, rewrite=rewrite)
        except Refused:
            if rewrite:
                raise
    return None
