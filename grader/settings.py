"""How submissions are graded, and how one says that on a command line."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from grader.protocol import Device
from grader.report import Reproduction
from grader.rules import Rules
from grader.sandbox import Sandbox

SEED = 1
TIMEOUT = 60.0  # seconds of a submission's code
THREADS = 1  # a second one is 1.1 times as fast where the machine is idle, and many times slower where it is not


@dataclass(frozen=True, slots=True)
class Settings:
    """How submissions are graded: the options of `grade`; `export` asks for the graph beside the report."""

    file: str | None = None
    class_name: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    train: bool = False
    seed: int = SEED
    budget: float | None = None
    device: Device = "cpu"
    threads: int = THREADS
    timeout: float = TIMEOUT
    export: bool = False


def default_sandbox() -> Sandbox:
    """Return how strict the sandbox is when nobody says: at the keyboard a file is one's own, in CI it is anybody's."""
    return "strict" if os.environ.get("CI", "").lower() not in ("", "0", "false", "no") else "auto"


def reproduction(path: str, course: Rules, settings: Settings) -> Reproduction:
    """Return what repeats a grading: a training's threads are told too, as sums depend on their order."""
    words = ["s5-grade", path, *_words(course, settings)]
    versions = {
        "s5-grade": _version("s5-grade"),
        "python": platform.python_version(),
        "torch": _version("torch"),
        "platform": f"{platform.system()} {platform.machine()}",
    }
    return Reproduction(shlex.join(words), versions, course.sha256)


def _words(course: Rules, settings: Settings) -> Iterator[str]:
    """Yield the options that are not at their defaults."""
    if course.source:
        yield from ("--rules", course.source)
    if settings.file is not None:
        yield from ("--file", settings.file)
    if settings.class_name is not None:
        yield from ("--class", settings.class_name)
    for key, value in settings.arguments.items():
        yield from ("--arg", f"{key}={value}")
    if settings.timeout != TIMEOUT:
        yield from ("--timeout", f"{settings.timeout:g}")
    if settings.train:
        yield "--train"
        if settings.budget is not None:
            yield from ("--budget", f"{settings.budget:g}")
        if settings.device != "cpu":
            yield from ("--device", settings.device)
        yield from ("--threads", str(settings.threads))
    if settings.train or settings.seed != SEED:
        yield from ("--seed", str(settings.seed))


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from its source, without an installation
        return "not installed"
