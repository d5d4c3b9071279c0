"""What travels between the front and the workers: bytes, decoded strictly at either end."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from grader.classroom.keys import VERSIONS
from grader.classroom.types import Course, Done, Job
from grader.rules import Rules
from grader.sandbox import Sandbox
from grader.settings import Settings, reproduction

DONE_CAP = 64 * 1024 * 1024  # bytes of one result


class WireError(Exception):
    """Bytes that are not what was asked for."""


class Terms(msgspec.Struct, frozen=True):
    """How a whole class is graded, the same with every job; `versions` are those that the front has."""

    rules: Rules
    settings: Settings
    sandbox: Sandbox
    versions: dict[str, str]

    @property
    def course(self) -> Course:
        return Course(self.rules, self.settings)


def versions_here(course: Course) -> dict[str, str]:
    """Return the versions on which a result depends, as this process has them."""
    found = reproduction("", course.rules, course.settings).versions
    return {name: found[name] for name in VERSIONS}


def encode_terms(course: Course, sandbox: Sandbox) -> bytes:
    return msgspec.msgpack.encode(Terms(course.rules, course.settings, sandbox, versions_here(course)))


@lru_cache(maxsize=4)
def decode_terms(data: bytes) -> Terms:
    return msgspec.msgpack.decode(data, type=Terms)


def encode_job(job: Job) -> bytes:
    return msgspec.msgpack.encode(job)


def decode_job(data: bytes) -> Job:
    return msgspec.msgpack.decode(data, type=Job)


def encode_done(done: Done) -> bytes:
    return msgspec.msgpack.encode(done)


def decode_done(data: object, key: str) -> Done:
    """Return the result of the job with this key, from what a worker has answered; raise WireError."""
    if not isinstance(data, bytes) or len(data) > DONE_CAP:
        raise WireError("the worker's answer is not a result")
    try:
        done = msgspec.msgpack.decode(data, type=Done)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise WireError(f"the worker's answer cannot be read: {error}") from None
    if done.key != key:
        raise WireError("the worker's answer is that to another job")
    return done
