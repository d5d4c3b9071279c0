"""What a submitted file's `import` statements get: its neighbours, installed packages, or stand-ins."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

from grader.notebook import is_notebook
from grader.worker import places
from grader.worker.definitions import Import, Outline
from grader.worker.finder import FINDER
from grader.worker.refusal import Refused
from grader.worker.stand_ins import REPLACED, REPLACED_PARTS, StandIn

if TYPE_CHECKING:
    from grader.worker.files import Files

_import = builtins.__import__


class Imports:
    """Imports for one file; while `lenient`, a `try` that wants to know of a failure gets a stand-in, too."""

    def __init__(self, files: Files, path: str, outline: Outline) -> None:
        self.files = files
        self.path = path
        self.outline = outline
        self.lenient = False
        self._guarded: set[int] | None = None

    def imported(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        """`__import__` for this file: its neighbours are found, what is absent gets a stand-in."""
        if level:
            return self._relative(name, fromlist or (), level)
        if name.partition(".")[0] in REPLACED or name.startswith(REPLACED_PARTS):
            return self._missing(name, fromlist, ModuleNotFoundError(f"No module named {name!r}", name=name))
        self._prefer_own(name.partition(".")[0])
        try:
            module = _import(name, globals, locals, fromlist, 0)
        except (Refused, SyntaxError, RecursionError):
            raise
        except BaseException as error:  # a broken package raises anything
            return self._missing(name, fromlist, error)
        absent = [item for item in fromlist or () if item != "*" and not hasattr(module, item)]
        return self._completed(module, name, absent) if absent and not self._is_own_module(module) else module

    def _prefer_own(self, root: str) -> None:
        """The submission's own file comes before an installed package, never before the standard library."""
        if root in sys.modules or root in sys.stdlib_module_names:
            return
        spec = FINDER.find_spec(root)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            sys.modules[root] = module
            spec.loader.exec_module(module)

    def _relative(self, name: str, fromlist: Iterable[str], level: int) -> Any:
        """Resolve `from ..name import item` by folders: files that were never made a package use it too."""
        folder = self.path if self.path.endswith("/") else self.path.rpartition("/")[0]
        parts = folder.rstrip("/").split("/")
        folder = "/".join(parts[: max(0, len(parts) - level + 1)])
        module: Any = None
        for part in name.split(".") if name else ():
            path = self.files.within(folder, part)
            if not path:
                return self._missing("." * level + name, fromlist, ModuleNotFoundError(f"No module named {name!r}"))
            module, folder = self._own(path), f"{folder}/{part}" if folder else part
        if module is None:
            module = (
                self._own(self.files.within(folder, "__init__") or f"{folder}/") if folder else ModuleType("submission")
            )
        for item in fromlist:
            if item != "*" and not hasattr(module, item):
                path = self.files.within(folder, item)
                setattr(module, item, self._own(path) if path else self.files.absent("." * level + item))
        return module

    def _own(self, path: str) -> ModuleType:
        dotted = path.removesuffix("/__init__.py").removesuffix(".py").strip("/").replace("/", ".")
        return self.files.load(dotted, path).module

    def _completed(self, module: Any, name: str, absent: list[str]) -> Any:
        """A module with the names that it lacks: moved ones, those of the submission's file of that name, stand-ins."""
        if self._is_guarded():
            return module
        whole = ModuleType(name)
        vars(whole).update(vars(module), __getattr__=lambda item: getattr(module, item))
        path = self.files.locate(name)
        for item in absent:
            if name == "collections" and hasattr(collections.abc, item):
                value = getattr(collections.abc, item)
            elif path and item in self.files.load(name, path).outline.binders:
                value = getattr(self.files.load(name, path).module, item)
            else:
                value = self.files.absent(f"{name}.{item}")
            setattr(whole, item, value)
        return whole

    def _missing(self, name: str, fromlist: Any, error: BaseException) -> Any:
        if self._is_guarded():
            raise error if isinstance(error, ImportError) else ImportError(str(error)[:500])
        stand_in = self.files.absent(name)
        parent, _, last = name.rpartition(".")
        if fromlist or not parent or name.startswith("."):
            return stand_in
        # `import a.b` binds a: the real one with a stand-in for b, if there is one.
        root = self.imported(name.partition(".")[0], fromlist=())
        holder = root
        for part in parent.split(".")[1:]:
            holder = getattr(holder, part, None)
        if isinstance(holder, ModuleType):
            setattr(holder, last, stand_in)
        return root

    def _is_guarded(self) -> bool:
        """Tell whether the import in progress stands in a `try` that wants to know of its failure."""
        if self.lenient:
            return False
        if self._guarded is None:
            self._guarded = set(_guarded_lines(self.outline.tree))
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename != places.PREFIX + self.path:
            frame = frame.f_back
        return frame.f_lineno in self._guarded

    def is_own(self, node: ast.ImportFrom) -> bool:
        """A notebook that writes a cell to a file and imports it from there has the definitions already."""
        if (
            node.level
            or not is_notebook(self.path)
            or self.is_real(node.module or "")
            or self.files.locate(node.module or "")
        ):
            return False
        defined = {
            leaf.node.name for leaf in self.outline.leaves if isinstance(leaf.node, (ast.ClassDef, ast.FunctionDef))
        }
        return all((alias.asname or alias.name) in defined for alias in node.names)

    def _is_own_module(self, module: Any) -> bool:
        return str(getattr(module, "__file__", "")).startswith(places.PREFIX)

    def is_real(self, name: str) -> bool:
        root = name.partition(".")[0]
        return not name.startswith(REPLACED_PARTS) and (root == "torch" or root in sys.stdlib_module_names)

    def import_star(self, names: dict[str, Any], star: Import) -> None:
        try:
            exec(f"from {star.module} import *", names)
        except ImportError:
            self.files.absent(star.module)

    def from_star(self, names: dict[str, Any], star: Import, name: str) -> Any:
        """Look a name up in a `from … import *`; a stand-in's star provides every name that nothing else does."""
        if star.level == 0 and self.is_real(star.module):
            return None
        source = self.imported(star.module, names, None, ("*",), star.level)
        if isinstance(source, StandIn):
            return getattr(source, name, None)
        public = getattr(source, "__all__", None)
        if name.startswith("_") if public is None else name not in public:
            return None
        return getattr(source, name, None)


def _guarded_lines(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches_import_error(handler) for handler in node.handlers):
            for statement in node.body:
                for inner in ast.walk(statement):
                    if isinstance(inner, (ast.Import, ast.ImportFrom)):
                        yield inner.lineno


def _catches_import_error(handler: ast.ExceptHandler) -> bool:
    caught = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException", "OSError", "RuntimeError"}
    return handler.type is None or any(
        isinstance(inner, ast.Name) and inner.id in caught for inner in ast.walk(handler.type)
    )
