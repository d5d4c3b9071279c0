"""Functions that a file imports from the submission's other files, found by reading these."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING

from grader.notebook import manifest_text
from grader.worker.definitions import Outline
from grader.worker.effects import Effects
from grader.worker.expressions import Function

if TYPE_CHECKING:
    from grader.worker.files import Files

_HOPS = 5  # from a file to that which it imports a function from


class Neighbours:
    """The files of one submission, read for what their functions do."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._outlines: dict[str, Outline | None] = {}

    def function(self, path: str, outline: Outline, name: str, hops: int = _HOPS) -> tuple[Effects, Function] | None:
        """Return the function that a name or `module.name` means in a file, where another defines it, with its file's.

        Neighbours of that other file are not looked at.
        """
        root, _, rest = name.partition(".")
        source = outline.imports.get(root)
        sources = [f"{source.path}.{rest}".rstrip(".")] if source is not None else []
        sources = sources or [f"{star.path}.{name}" for star in outline.stars]
        for dotted in sources:
            module, _, function = dotted.rpartition(".")
            found = self._located(path, module)
            other = self._outline_of(found) if found.endswith(".py") else None
            if other is not None and function in other.effects.functions:
                return other.effects, other.effects.functions[function]
            if other is not None and hops and (known := self.function(found, other, function, hops - 1)) is not None:
                return known
        return None

    def _located(self, path: str, module: str) -> str:
        """Return the file that a module's dotted name means in an import of a file; '' where it is none of these."""
        parts = module.lstrip(".").split(".")
        level = len(module) - len(module.lstrip("."))
        if level:
            folder = "/".join(path.split("/")[:-level])
            found = f"{folder}/__init__.py" if folder else ""
        else:
            own = parts[0] != "torch" and parts[0] not in sys.stdlib_module_names
            found = self.files.locate(parts.pop(0)) if own else ""
            if not found:
                return ""
            folder = found.removesuffix("/__init__.py").removesuffix("/")
        for part in filter(None, parts):
            found = self.files.within(folder, part)
            folder = found.removesuffix("/__init__.py").removesuffix("/")
        return found

    def _outline_of(self, path: str) -> Outline | None:
        if path not in self._outlines:
            try:
                tree = ast.parse(manifest_text(path, self.files.job.files[path]))
                self._outlines[path] = Outline(tree)
            except (KeyError, ValueError, SyntaxError, RecursionError, MemoryError):
                self._outlines[path] = None
        return self._outlines[path]
