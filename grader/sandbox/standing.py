"""How well a child is confined: judged by the front, from what the child tried and from what the kernel says of it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from grader.protocol import MISSING
from grader.sandbox.control import Attempt, Confined, Layer

Level = Literal["sealed", "partial", "none"]
LEVELS: tuple[Level, ...] = ("none", "partial", "sealed")

_FILTERED = {"Seccomp": "2", "NoNewPrivs": "1"}  # in /proc/PID/status, for a process with a filter that binds

FILES, CALLS = "files", "calls"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a confined process must not be able to do and could: what, why, and how to change that."""

    what: str
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The level that a child has reached, each layer in words, and what is missing for the level above.

    *sealed*: files by Landlock or bubblewrap, and system calls by seccomp, each tried out and seen by the kernel;
    *partial*: one of them; *none*: neither.
    """

    level: Level
    layers: dict[str, str] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()


def weaker(one: Standing | None, other: Standing) -> Standing:
    """Return the weaker of two standings, the first where they are alike."""
    return one if one is not None and LEVELS.index(one.level) <= LEVELS.index(other.level) else other


def judge(
    common: Mapping[str, str], around: Iterable[Layer], confined: Confined, status: Mapping[str, str]
) -> Standing:
    """Judge one child.

    `common` are the layers that need no test, `around` those that the front has put around the child, `status` is what
    the kernel says of the process (see `kernel_view`).
    """
    layers: dict[str, Layer] = {layer.name: layer for layer in (*confined.layers, *around)}
    words = {name: layer.words if layer.held else f"{MISSING}: {layer.words}" for name, layer in layers.items()}
    if not layers:
        off = Gap("nothing is out of its reach", "the sandbox is switched off", "Leave --sandbox=off out.")
        return Standing("none", {**common, "confinement": "switched off"}, (off,))
    files = _files(layers, confined.attempts)
    calls = _calls(layers, confined.attempts, status)
    gaps = tuple(gap for gap in (files, calls) if gap is not None)
    return Standing(LEVELS[2 - len(gaps)], {**common, **words}, gaps)


def kernel_view(pid: int | None) -> dict[str, str]:
    """Return the kernel's own account of a process, field by field; nothing where it gives none."""
    if sys.platform != "linux" or pid is None:
        return {}
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def thread_count(pid: int | None) -> int:
    """Return how many threads the kernel counts of a process; 1 where it does not tell."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked for many times a second
            return int(file.read().rpartition(b")")[2].split()[17])
    except OSError:
        return 1


def _files(layers: Mapping[str, Layer], attempts: tuple[Attempt, ...]) -> Gap | None:
    """Return what is missing for files to be out of reach."""
    passed = _passed(attempts, FILES)
    if not passed:
        return None
    guards = [layers[name] for name in ("landlock", "bubblewrap", "seatbelt") if name in layers]
    holding = [f"{layer.name} is in force and does not hold" for layer in guards if layer.held]
    reasons = holding or [f"{layer.name}: {layer.words}" for layer in guards] or ["no layer against it was asked for"]
    return Gap(f"it could {passed}", "; ".join(reasons), FIXES["files" if sys.platform == "linux" else "other"])


def _calls(layers: Mapping[str, Layer], attempts: tuple[Attempt, ...], status: Mapping[str, str]) -> Gap | None:
    """Return what is missing for system calls to be filtered."""
    seccomp = layers.get("seccomp")
    fix = FIXES["calls" if sys.platform == "linux" else "other"]
    if seccomp is None or not seccomp.held:
        reason = "no filter was asked for" if seccomp is None else f"seccomp: {seccomp.words}"
        return Gap("system calls are not filtered", reason, fix)
    if passed := _passed(attempts, CALLS):
        return Gap(f"it could {passed}", "the filter of system calls is in force and does not hold", fix)
    if any(status.get(name) != value for name, value in _FILTERED.items()):
        shown = ", ".join(f"{name}: {status.get(name, 'nothing')}" for name in _FILTERED)
        told = f"/proc shows {shown}" if status else "/proc does not show the process (hidepid?)"
        return Gap("system calls may not be filtered", told, "Run s5-grade where /proc shows processes of your own.")
    return None


def _passed(attempts: tuple[Attempt, ...], guard: str) -> str:
    """Return what an attempt got done, '' if all were stopped; one that never was made counts as done."""
    made = [attempt for attempt in attempts if attempt.guard == guard]
    if not made:
        return "do what was not tried"
    return ", ".join(attempt.what for attempt in made if not attempt.stopped)


FIXES = {
    "files": "Use Linux 5.13 or newer with Landlock (kernel parameter lsm=landlock,…), or install bubblewrap.",
    "calls": "Use a kernel with seccomp on x86-64 or aarch64; in a container, let seccomp and landlock calls through.",
    "other": "Only Linux can do that: use a Linux machine, a virtual one, or a container.",
}
