"""The submission's files on `sys.meta_path`: anything that is imported later, by whomever, finds them there."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from grader.worker import places

if TYPE_CHECKING:
    from grader.worker.files import Files


class Loader(importlib.abc.Loader):
    def __init__(self, files: Files, path: str) -> None:
        self.files = files
        self.path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self.files.load(spec.name, self.path).module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs yet: definitions run when they are asked for."""


class Finder(importlib.abc.MetaPathFinder):
    """Finds the submission's files; last on `sys.meta_path`, so that they hide nothing that anyone else imports."""

    def __init__(self) -> None:
        self.files: Files | None = None
        self.names: set[str] = set()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if self.files is None:
            return None
        if path is None:
            found = self.files.locate(fullname)
        else:
            own = [entry[len(places.PREFIX) :] for entry in path if str(entry).startswith(places.PREFIX)]
            last = fullname.rpartition(".")[2]
            found = next((place for folder in own if (place := self.files.within(folder, last))), "")
        if not found:
            return None
        self.names.add(fullname)
        package = found.endswith(("/", "/__init__.py"))
        spec = importlib.machinery.ModuleSpec(
            fullname, Loader(self.files, found), origin=places.PREFIX + found, is_package=package
        )
        if package:
            spec.submodule_search_locations = [places.PREFIX + found.removesuffix("__init__.py").rstrip("/")]
        return spec


FINDER = Finder()


def install(files: Files) -> None:
    """Make a submission's files importable; those of an earlier one are forgotten."""
    uninstall()
    FINDER.files = files
    sys.meta_path.append(FINDER)


def uninstall() -> None:
    """Forget a submission's files."""
    for name in FINDER.names:
        sys.modules.pop(name, None)
    FINDER.names.clear()
    FINDER.files = None
    if FINDER in sys.meta_path:
        sys.meta_path.remove(FINDER)
