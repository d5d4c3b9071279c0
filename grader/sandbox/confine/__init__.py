"""What a child gives up, for good, before a stranger's code or numbers get into it: layer by layer, on Linux.

Each layer is a module with one function that puts it in force and says what it is, or raises `Unavailable` and says why
not. A layer that is missing stops none of the others; the front decides what is enough (`sandbox/standing.py`).

    limits      resource limits: memory, processor time, files, descriptors
    privileges  capabilities, set-user-id programs, a debugger's view
    landlock    files: libraries can be read, nothing else, nothing written
    seccomp     system calls: some eighty of some four hundred
    bubblewrap  own mounts, processes, network, users: around the template, and thus around all of its children

On macOS there are limits and `seatbelt`, the profile of `sandbox-exec`, around each child.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from grader.sandbox.confine import landlock, limits, paths, privileges, seccomp, witness
from grader.sandbox.confine.state import Unavailable
from grader.sandbox.control import Attempt, Errand, Layer, LayerName, Terms

__all__ = ["Confinement"]


class Confinement:
    """The way of one child into its confinement, in the order of the methods; `layers` tells how far it came."""

    def __init__(self, terms: Terms, errand: Errand, readable: Iterable[str] = ()) -> None:
        self.layers: list[Layer] = []
        self._terms = terms
        self._errand = errand
        self._readable = readable

    def lessen(self) -> None:
        """Give up resources and privileges."""
        errand = self._errand
        self._put("limits", lambda: limits.restrict(seconds=errand.seconds, threads=errand.threads))
        if self._terms.counted_apart:
            self._put("limits", limits.restrict_processes)
        self._put("privileges", privileges.drop)

    def enclose(self) -> None:
        """Give up files, then system calls; descriptors must be closed by now, and no thread but this one run."""
        gpu = self._errand.device == "cuda"
        self._put("landlock", lambda: landlock.restrict(*self._files(gpu)))
        self._put("seccomp", lambda: seccomp.install(gpu=gpu))

    def bound_memory(self) -> None:
        """Limit memory, once everything is imported; a GPU's driver maps more address space than could be bounded."""
        if "limits" not in self._terms.layers:
            return
        if self._errand.device == "cuda":
            self._add("limits", True, "memory not limited, as a GPU's driver maps it")
            return
        try:
            limit = limits.restrict_memory(self._errand.threads)
            self._add("limits", True, f"{limit / 2**30:.1f} GiB of address space")
        except (Unavailable, OSError) as error:
            self._add("limits", False, f"memory not limited: {error}")

    def testify(self) -> tuple[Attempt, ...]:
        """Try what must not be possible any more; nothing is tried where nothing was asked to be confined."""
        return witness.testify(self._terms.canary) if self._terms.layers else ()

    def _files(self, gpu: bool) -> tuple[list[str], tuple[str, ...]]:
        readable = [*self._readable, *paths.kernel()]
        return ([*readable, *paths.GPU_READ], paths.GPU_WRITE) if gpu else (readable, ())

    def _put(self, name: LayerName, layer: Callable[[], str]) -> None:
        if name not in self._terms.layers:
            return
        try:
            if sys.platform != "linux" and name in ("landlock", "seccomp"):
                raise Unavailable("only Linux has it")
            self._add(name, True, layer())
        except (Unavailable, OSError, ValueError) as error:
            self._add(name, False, str(error))

    def _add(self, name: LayerName, held: bool, words: str) -> None:
        """Note a layer; of two parts of one layer, both must be in force."""
        before = next((layer for layer in self.layers if layer.name == name), None)
        if before is None:
            self.layers.append(Layer(name, held, words))
        else:
            merged = Layer(name, before.held and held, f"{before.words}, {words}")
            self.layers[self.layers.index(before)] = merged
