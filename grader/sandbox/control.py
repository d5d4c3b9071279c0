"""What the front and the template process say to each other; both are ours, no student code speaks here."""

from __future__ import annotations

from typing import Union

import msgspec

REQUEST_CAP = 64 * 1024  # bytes of one control message


class Setup(msgspec.Struct, frozen=True):
    """What a fresh process imports: libraries first, then for each role the module that holds `serve(channel)`."""

    preload: tuple[str, ...]
    roles: dict[str, str]


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Everything is imported; `threads` is the number of threads that a fork would lose, plus this one."""

    threads: int
    number: int = 0


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A request, or the start (number 0), could not be carried out."""

    message: str
    number: int = 0


class Launch(msgspec.Struct, frozen=True, tag=True):
    """Fork a child for a role; its channel, stdout and stderr travel with this message as descriptors."""

    number: int
    role: str


class Launched(msgspec.Struct, frozen=True, tag=True):
    """The child runs."""

    number: int


class End(msgspec.Struct, frozen=True, tag=True):
    """Wait up to `grace` seconds for a child to end by itself, then kill it, and all that it has left behind."""

    number: int
    grace: float


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The child is reaped.

    `code` is its exit status, or minus the signal's number, or None where no status is known. `killed` says that it did
    not end by itself, `left` how many stray processes could not be ended.
    """

    number: int
    code: int | None = None
    killed: bool = False
    left: int = 0


Request = Union[Launch, End]
Reply = Union[Ready, Failed, Launched, Ended]
