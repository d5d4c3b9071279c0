"""What the front and the template process say to each other; both are ours, no student code speaks here."""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from grader.protocol import Device

REQUEST_CAP = 64 * 1024  # bytes of one control message


LayerName = Literal["limits", "privileges", "landlock", "seccomp", "bubblewrap", "seatbelt"]


class Terms(msgspec.Struct, frozen=True):
    """How every child is confined: the layers to put in force, and the file that must then be out of its reach.

    `counted_apart` says that the kernel counts the processes of this grader by themselves, not with all of its user's.
    """

    layers: tuple[LayerName, ...]
    canary: str
    counted_apart: bool = False


class Setup(msgspec.Struct, frozen=True):
    """What a fresh process imports: libraries first, then for each role the module that holds `serve(channel)`.

    `many` says that it will serve many submissions, so that work is worth doing once for all.
    """

    preload: tuple[str, ...]
    roles: dict[str, str]
    terms: Terms
    many: bool = False


class Errand(msgspec.Struct, frozen=True):
    """What one child is for, as far as its limits depend on it: `seconds` of the wall clock, threads, the device."""

    role: str
    seconds: float
    threads: int = 1
    device: Device = "cpu"


class Start(msgspec.Struct, frozen=True):
    """What a fresh process of ours reads from its stdin: a command line could be read by all that runs in it.

    `parent` is the process to end with, `errand` that of a process which serves just one.
    """

    setup: Setup
    parent: int
    errand: Errand | None = None


class Layer(msgspec.Struct, frozen=True):
    """One layer of a child's confinement: in force or not, and what it is, or why not, in words."""

    name: LayerName
    held: bool
    words: str


class Attempt(msgspec.Struct, frozen=True):
    """Something that a confined child has tried, what guards against it, and how it was stopped (an errno's name)."""

    what: str
    guard: Literal["files", "calls"]
    stopped: bool
    how: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The template has imported everything; `threads` is how many threads a fork would lose, plus this one."""

    threads: int
    number: int = 0


class Confined(msgspec.Struct, frozen=True, tag=True):
    """A child stands ready: its layers and its attempts to get past them, told before a stranger's code runs in it."""

    layers: tuple[Layer, ...]
    attempts: tuple[Attempt, ...]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A request, or the start (number 0), could not be carried out."""

    message: str
    number: int = 0


class Launch(msgspec.Struct, frozen=True, tag=True):
    """Fork a child for an errand; its channel, stdout and stderr travel with this message as descriptors."""

    number: int
    errand: Errand


class Launched(msgspec.Struct, frozen=True, tag=True):
    """The child runs. A descriptor that stands for it travels along where the system has such; `pid` is its number.

    Seen from another process namespace the number is another one, the descriptor the same.
    """

    number: int
    pid: int


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
