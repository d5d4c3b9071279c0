"""An exception of a submission as text that is safe to handle, and the case that it is told as."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from grader.protocol import CaptureJob

Stage = Literal["load", "constructor", "forward"]

TEXT_CAP = 2_000  # code points of an exception's own text
_HEADLINE_CAP = 300
DOING = {"load": "while the file was loaded", "constructor": "in the constructor", "forward": "in forward"}
_UNCONTROLLED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Case:
    """What an exception is told as; `code` None is the stage's own."""

    code: Any
    message: str
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Raised:
    """An exception as text that is safe to handle, and what it was raised from."""

    error: BaseException
    kind: str
    text: str
    stage: Stage
    job: CaptureJob

    @property
    def line(self) -> str:
        """The exception as Python's last traceback line has it."""
        first = next((line.strip() for line in self.text.split("\n") if line.strip()), "")
        return f"{self.kind}: {first}" if first else self.kind

    @property
    def input(self) -> str:
        return "(N, " + ", ".join(str(size) for size in self.job.input_shape) + ")"


def headline(raised: Raised) -> str:
    return f"{clean(raised.line, _HEADLINE_CAP)} ({DOING[raised.stage]})"


def clean(text: str, cap: int) -> str:
    """Return text without control characters, lone surrogates and marks that turn the direction, cut to `cap`."""
    cut = text[: cap + 1]
    cut = _UNCONTROLLED.sub("\ufffd", cut).encode("utf-8", "replace").decode("utf-8")
    return cut if len(cut) <= cap else cut[: cap - 1] + "…"


def name_of(value: Any) -> str:
    """Return the name of a class, a function, or an object's class, whatever their metaclass says of it."""
    owner = value if isinstance(value, type) else type(value)
    name = type.__dict__["__name__"].__get__(owner)
    if not isinstance(value, (type, BaseException)) and type(value).__name__ == "function":
        name = value.__name__
    return clean(str(name), 100)


def text_of(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException:  # the exception's class is the submission's
        return "(its text could not be made)"
