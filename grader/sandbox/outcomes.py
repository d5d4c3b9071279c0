"""How a conversation with a separate process can end: one frozen type each, for callers to match on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Union

from grader.protocol import Graded, Probe, Refusal, Ungradable
from grader.sandbox.standing import Standing

Resource = Literal["memory", "processor time", "threads"]


class SandboxError(Exception):
    """The grader's own processes could not do their work; the submission is not to blame."""


@dataclass(frozen=True, slots=True)
class Replied:
    """The process gave a complete answer: its bytes, without the tag."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Captured:
    """Both workers answered: the graph, and the outputs of the untraced forwards on the probe's inputs."""

    graph: bytes
    untraced: bytes
    probe: Probe


@dataclass(frozen=True, slots=True)
class Executed:
    """The executor graded the graph."""

    graded: Graded


@dataclass(frozen=True, slots=True)
class Unexecuted:
    """The executor could not grade what the workers sent, and says why."""

    ungradable: Ungradable


@dataclass(frozen=True, slots=True)
class Refused:
    """A worker could not capture the submission, and says why."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Unsealed:
    """The process stood ready, but less confined than was demanded, and was given nothing to do."""

    standing: Standing


@dataclass(frozen=True, slots=True)
class Crashed:
    """The process ended, or closed its channel, without a complete answer.

    `status` reads 'signal 11 (SIGSEGV)', 'exit status 3' or 'closed its channel'. `stderr` is the end of what it wrote
    there, decoded with replacement characters: hostile text.
    """

    status: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The process was ended for what it took of a resource; `stderr` is the end of what it wrote.

    Memory and processor time are the kernel's to watch, threads are ours.
    """

    resource: Resource
    stderr: str


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline passed; `seconds` is what the process was given, `stderr` the end of what it wrote: where it was."""

    seconds: float
    stderr: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The process announced an answer above the cap, both in bytes; nothing of it was read."""

    announced: int
    cap: int


@dataclass(frozen=True, slots=True)
class Malformed:
    """The answer was complete but is not of the form that was asked for."""

    reason: str


Failure = Union[Crashed, Exhausted, TimedOut, TooLarge, Malformed]
CaptureOutcome = Union[Captured, Refused, Unsealed, Failure]
ExecuteOutcome = Union[Executed, Unexecuted, Unsealed, Failure]
