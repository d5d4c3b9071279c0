"""What the front asks of the executor, and how it reads the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, Union

import msgspec

from grader.protocol import Device, Graded, Progress, Ungradable
from grader.sandbox.control import Errand
from grader.sandbox.conversation import Ask, Conversation, Script, converse, greet
from grader.sandbox.outcomes import Executed, ExecuteOutcome, Malformed, Unexecuted
from grader.sandbox.template import Template

RESULT_CAP = 64 * 1024 * 1024  # bytes of one answer of the executor

Message = TypeVar("Message", Graded, Progress, Ungradable)


def execute(
    template: Template,
    job: bytes,
    *,
    timeout: float,
    on_progress: Callable[[Progress], None],
    threads: int = 1,
    device: Device = "cpu",
) -> ExecuteOutcome:
    """Have an executor carry out an encoded GradeJob; `on_progress` is called with each report of a training.

    `timeout` is in seconds from when the process stands ready. `threads` and `device` are those of a training: its
    limits depend on them. On return nothing of the process is left. Raises SandboxError when none could be started.
    """
    with template.child(Errand("executor", timeout, threads, device)) as child:
        greet([child])
        if (unsealed := template.refusal(child)) is not None:
            return unsealed
        conversation = Conversation(child, _executed(job, on_progress))
        for _ in converse([conversation], timeout, template.heed):
            pass
    assert conversation.outcome is not None  # what `converse` yields has ended
    return conversation.outcome


def _executed(job: bytes, on_progress: Callable[[Progress], None]) -> Script[Union[Executed, Unexecuted, Malformed]]:
    frame = yield Ask(RESULT_CAP, job)
    while frame[:1] == b"P":
        progress = _decode(frame, Progress)
        if isinstance(progress, Malformed):
            return progress
        on_progress(progress)
        frame = yield Ask(RESULT_CAP)
    if frame[:1] == b"D":
        graded = _decode(frame, Graded)
        return graded if isinstance(graded, Malformed) else Executed(graded)
    if frame[:1] == b"U":
        ungradable = _decode(frame, Ungradable)
        return ungradable if isinstance(ungradable, Malformed) else Unexecuted(ungradable)
    return Malformed(f"the answer begins with {bytes(frame[:1])!r}, not with b'P', b'D' or b'U'")


def _decode(frame: bytearray, message: type[Message]) -> Message | Malformed:
    try:
        return msgspec.msgpack.decode(memoryview(frame)[1:], type=message)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Malformed(f"the {message.__name__} message cannot be read: {error}")
