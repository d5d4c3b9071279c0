"""What the front asks of the two workers, and how it reads their answers: strictly, tag by tag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

import msgspec

from grader.protocol import GRAPH_CAP, REFUSAL_CAP, CaptureJob, Probe, Refusal
from grader.sandbox import unforeseen
from grader.sandbox.control import Errand
from grader.sandbox.conversation import Ask, Conversation, Script, converse, greet
from grader.sandbox.outcomes import Captured, CaptureOutcome, Malformed, Refused, Replied, TooLarge
from grader.sandbox.template import Template

_TAG = 1  # bytes of the tag before each answer
Normalisation = tuple[tuple[float, ...], tuple[float, ...]]
_BadAnswer = Union[Refused, TooLarge, Malformed]


@dataclass(frozen=True, slots=True)
class _Probed:
    """The untraced worker's whole part."""

    probe: Probe
    data: bytes


def capture(
    template: Template,
    job: CaptureJob,
    probe_batches: tuple[int, ...],
    timeout: float,
    normalise: Normalisation = ((0.1307,), (0.3081,)),
) -> CaptureOutcome:
    """Have two workers load one submission: one traces it, one runs it plainly on inputs drawn after it has loaded.

    `normalise` is the mean and the deviation of the images for each channel. `timeout` is in seconds for both together,
    from when both processes stand ready. Where both fail, the outcome is the traced one's. On return no process of
    either is left. Raises SandboxError when the grader is to blame.
    """
    errand = Errand("worker", timeout)
    with template.child(errand) as first, template.child(errand) as second:
        greet([first, second])
        if (unsealed := template.refusal(first, second)) is not None:
            return unsealed
        traced = Conversation(first, _traced(job))
        untraced = Conversation(second, _untraced(job, probe_batches, normalise))
        for _ in converse([traced, untraced], timeout, template.heed):
            if traced.outcome is not None and not isinstance(traced.outcome, Replied):
                return traced.outcome
    graph, probed = traced.outcome, untraced.outcome
    assert isinstance(graph, Replied) and probed is not None  # what `converse` yields has ended
    if not isinstance(probed, _Probed):
        return probed
    return Captured(graph.data, probed.data, probed.probe)


def _traced(job: CaptureJob) -> Script[Replied | _BadAnswer]:
    frame = yield Ask(_TAG + GRAPH_CAP, msgspec.msgpack.encode(job))
    return _read(frame, b"G")


def _untraced(job: CaptureJob, batches: tuple[int, ...], normalise: Normalisation) -> Script[_Probed | _BadAnswer]:
    frame = yield Ask(_TAG + REFUSAL_CAP, msgspec.msgpack.encode(msgspec.structs.replace(job, untraced=True)))
    loaded = _read(frame, b"L")
    if not isinstance(loaded, Replied):
        return loaded
    if loaded.data:
        return Malformed(f"{len(loaded.data):,} bytes after the tag b'L', which stands alone")
    probe = Probe(unforeseen.seed(), batches, unforeseen.digits(max(batches, default=0)), normalise)
    frame = yield Ask(_TAG + GRAPH_CAP, msgspec.msgpack.encode(probe))
    outputs = _read(frame, b"T")
    return _Probed(probe, outputs.data) if isinstance(outputs, Replied) else outputs


def _read(frame: bytearray, wanted: bytes) -> Replied | _BadAnswer:
    tag, body = bytes(frame[:_TAG]), bytes(memoryview(frame)[_TAG:])
    if tag == wanted:
        return Replied(body)
    if tag == b"R":
        return _refusal(body)
    return Malformed(f"the answer begins with {tag!r}, not with {wanted!r} or b'R'")


def _refusal(body: bytes) -> Refused | TooLarge | Malformed:
    if len(body) > REFUSAL_CAP:
        return TooLarge(len(body), REFUSAL_CAP)
    try:
        return Refused(msgspec.json.decode(body, type=Refusal))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Malformed(f"the refusal cannot be read: {error}")
