"""The files of one submission: found by the names that imports give them, read as text, made into modules."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterator

import torch
from torch.overrides import _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes

from grader.notebook import manifest_text
from grader.protocol import CaptureJob, Refusal
from grader.worker import places
from grader.worker.environment import device_rewrite
from grader.worker.finder import FINDER
from grader.worker.modules import Definitions
from grader.worker.neighbours import Neighbours
from grader.worker.refusal import Refused
from grader.worker.stand_ins import REPLACED_PARTS, StandIn

_OF_A_KIND = "Submit the file as a .py file or a notebook."


class Files:
    """The files of one submission: their texts, the modules made from them, and what had to stand in for others."""

    def __init__(self, job: CaptureJob) -> None:
        self.job = job
        self.modules: dict[str, Definitions] = {}
        self.stand_ins: dict[str, None] = {}
        self.notes: list[str] = []
        self.settled = False
        self.neighbours = Neighbours(self)
        folder = job.entry.rpartition("/")[0]
        self.package = ""
        while folder and f"{folder}/__init__.py" in job.files:
            folder, _, name = folder.rpartition("/")
            self.package = f"{name}.{self.package}" if self.package else name
        parts = job.entry.split("/")[:-1]
        beside = ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]
        self.roots = [folder, *(root for root in beside if root != folder)]

    def entry(self, horizon: int | None = None) -> Definitions:
        """Return the module of the submission's own file, made afresh, without the statements from `horizon` on."""
        stem = self.job.entry.rpartition("/")[2].rpartition(".")[0]
        name = f"{self.package}.{stem}" if self.package else stem
        taken = (name in sys.modules and name not in FINDER.names) or name.partition(".")[0] in sys.stdlib_module_names
        name = "submission" if taken or not stem.isidentifier() else name
        return self._module(name, self.job.entry, horizon)

    def locate(self, name: str) -> str:
        """Return the file or the folder (ending in a slash) that a top-level import of a name means; '' if none."""
        for root in self.roots:
            if found := self.within(root, name):
                return found
        # Folders put on sys.path by the student's program can't be known: a file of that name is, if there is just one.
        same = [path for path in self.job.files if path.endswith(f"/{name}.py")]
        return same[0] if len(same) == 1 else ""

    def within(self, folder: str, name: str) -> str:
        """Return the file or folder that `name` means inside a folder; '' if none."""
        base = f"{folder}/{name}" if folder else name
        for path in (f"{base}/__init__.py", f"{base}.py"):
            if path in self.job.files:
                return path
        return (
            f"{base}/" if any(path.startswith(f"{base}/") and path.endswith(".py") for path in self.job.files) else ""
        )

    def load(self, name: str, path: str) -> Definitions:
        """Return the module of a file or folder; the same for the same path, whatever name asked for it."""
        return self.modules[path] if path in self.modules else self._module(name, path, None)

    def _module(self, name: str, path: str, horizon: int | None) -> Definitions:
        text = "" if path.endswith("/") else self.text(path)
        module = Definitions(self, name, path, text, horizon)
        self.modules[path] = module
        if name not in sys.modules or name in FINDER.names:  # dataclasses and pickle look a class's module up there
            sys.modules[name] = module.module
            FINDER.names.add(name)
        return module

    def text(self, path: str) -> str:
        """Return the text of a file; what is no text of a Python file is refused."""
        try:
            text = manifest_text(path, self.job.files[path])
        except ValueError as error:
            is_encoding = "UTF-8" in str(error)
            fix = "In most editors: Save with Encoding, then UTF-8." if is_encoding else _OF_A_KIND
            raise Refused(Refusal("syntax", str(error), fix=fix)) from None
        places.remember(path, text)
        return text

    def absent(self, path: str) -> StandIn:
        """Return a stand-in, noted for the report."""
        root = path if path.startswith(".") else path.partition(".")[0]
        self.stand_ins[path if path in REPLACED_PARTS else root] = None
        return StandIn(path)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Run definitions that a forward asks for as if they had been run before: unrecorded, and always the same."""
        if not self.settled:
            yield
            return
        modes = []
        while torch._C._len_torch_function_stack():
            modes.append(_pop_mode())
        python = random.getstate()
        try:
            with _disable_current_modes(), torch.random.fork_rng(devices=[]), torch.enable_grad(), device_rewrite():
                torch.default_generator.manual_seed(self.job.seed)
                random.seed(self.job.seed)
                yield
        finally:
            random.setstate(python)
            for mode in reversed(modes):
                _push_mode(mode)
