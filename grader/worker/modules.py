"""Submitted files as modules that run the definitions they are asked for, and the imports between them."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import random
import sys
from collections.abc import Iterable, Iterator
from types import CodeType, ModuleType
from typing import Any

import torch
from torch.overrides import _pop_mode, _push_mode
from torch.utils._python_dispatch import _disable_current_modes

from grader.finding import Span
from grader.notebook import cell_ranges, is_notebook, manifest_text
from grader.protocol import CaptureJob, Refusal
from grader.worker import places
from grader.worker.definitions import Import, Leaf, Outline
from grader.worker.environment import device_rewrite
from grader.worker.refusal import Refused
from grader.worker.stand_ins import REPLACED, REPLACED_PARTS, StandIn, StandInUsed

_import = builtins.__import__
_OF_A_KIND = "Submit the file as a .py file or a notebook."
# What notebooks have without an import.
_NOTEBOOK_NAMES = frozenset(("get_ipython", "display"))
# Causes that lie in where the code runs, not in the code: what only adjusts a definition is then left out, with a note.
SURROUNDINGS = (StandInUsed, OSError, EOFError, ImportError, SystemExit)


class LeftOut(NameError):
    """A name whose only binding belongs to a program that is not run."""


class Files:
    """The files of one submission: their texts, the modules made from them, and what had to stand in for others."""

    def __init__(self, job: CaptureJob) -> None:
        self.job = job
        self.modules: dict[str, Definitions] = {}
        self.stand_ins: dict[str, None] = {}
        self.notes: list[str] = []
        self.settled = False
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
        taken = (name in sys.modules and name not in _FINDER.names) or name.partition(".")[0] in sys.stdlib_module_names
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
        if name not in sys.modules or name in _FINDER.names:  # dataclasses and pickle look a class's module up there
            sys.modules[name] = module.module
            _FINDER.names.add(name)
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


class _Builtins(dict[str, Any]):
    """The builtins of one submitted module; a name found nowhere is a definition to run."""

    owner: Definitions

    def __missing__(self, name: str) -> Any:
        return self.owner.find(name)


class Definitions:
    """One submitted file as a module. Its definitions run when a name that they bind is first read."""

    def __init__(self, files: Files, name: str, path: str, text: str, horizon: int | None) -> None:
        self.files = files
        self.path = path
        self.horizon = horizon
        self.broken: list[Span] = []
        self.syntax: SyntaxError | None = None
        self.outline = self._parsed(text)
        self.done: set[int] = set()
        self.failed: dict[str, BaseException] = {}
        self.made: dict[int, Any] = {}
        self.running: list[str] = []
        self.lenient = False
        self._guarded: set[int] | None = None
        self.module = ModuleType(name)
        self.names = vars(self.module)
        package = path.endswith(("/", "/__init__.py"))
        known = dict(vars(builtins))
        # A definition that hides a builtin must be found first.
        self.hidden = {key: known.pop(key) for key in self.outline.binders if key in known}
        scope = _Builtins(known)
        scope.owner = self
        scope["__import__"] = self._imported
        scope["globals"] = self._globals
        self.names.update(
            __builtins__=scope,
            __file__=places.PREFIX + path,
            __package__=name if package else name.rpartition(".")[0],
            __getattr__=self._attribute,
        )
        if package:
            self.module.__path__ = [places.PREFIX + path.removesuffix("__init__.py").rstrip("/")]
        for star in self.outline.stars:
            if star.level == 0 and self._is_real(star.module):
                self._import_star(star)

    # Running

    def run(self, names: Iterable[str] = (), leaves: Iterable[int] = (), settled: Iterable[str] = ()) -> None:
        """Run what gives `names` their values, and the given statements; each statement once, in the file's order."""
        outline = self.outline
        wanted = [*names, *self._patched_modules()]
        for index in leaves:
            wanted += outline.leaves[index].reads
        chosen = sorted((outline.needed(wanted, self.horizon, settled) | set(leaves)) - self.done)
        group: list[Leaf] = []
        for index in chosen:
            leaf = outline.leaves[index]
            if group and not (leaf.path and group[0].path and leaf.path[0][0] is group[0].path[0][0]):
                self._execute(group)
                group = []
            group.append(leaf)
        if group:
            self._execute(group)

    def _patched_modules(self) -> set[str]:
        """Imported modules that the file changes: under another name the change concerns every definition."""
        if self.done:
            return set()
        patched = {name for leaf in self.outline.leaves if not leaf.main for name in leaf.patched}
        sources = {name: self.outline.imports.get(name) for name in patched}
        return {name for name, source in sources.items() if source is not None and self._is_model_code(source)}

    def _is_model_code(self, source: Import) -> bool:
        root = source.module.partition(".")[0]
        return source.level > 0 or root == "torch" or bool(root not in sys.modules and self.files.locate(root))

    def _execute(self, group: list[Leaf]) -> None:
        self.done.update(leaf.index for leaf in group)
        group = [leaf for leaf in group if not (isinstance(leaf.node, ast.ImportFrom) and self._is_own(leaf.node))]
        try:
            with self.files.aside():
                self._run_code(group)
        except Refused:
            raise
        except BaseException as error:  # an exit at module level ends nothing here
            self._note_failure(group, error)
        for leaf in group:
            if isinstance(leaf.node, ast.ClassDef):
                self.made[leaf.index] = self.names.get(leaf.node.name)

    def _run_code(self, group: list[Leaf]) -> None:
        code = self._compiled(group)
        try:
            exec(code, self.names)
        except (ImportError, SystemExit):
            # `try: import x / except ImportError: exit()` gives the stand-in that it did not want at first.
            if self.lenient or not any(isinstance(leaf.node, ast.Try) for leaf in group):
                raise
            self.lenient = True
            try:
                exec(code, self.names)
            finally:
                self.lenient = False

    def _compiled(self, group: list[Leaf]) -> CodeType:
        tree = ast.Module(body=self.outline.source(group), type_ignores=[])
        code: CodeType = compile(tree, places.PREFIX + self.path, "exec", flags=self.outline.flags, dont_inherit=True)
        return code

    def _note_failure(self, group: list[Leaf], error: BaseException) -> None:
        """What could not be bound fails where it is read; what could not be changed fails now, if that is its fault."""
        unbound = {name for leaf in group for name in leaf.binds if name not in self.names}
        for name in unbound:
            self.failed[name] = error
        if not unbound:
            if not isinstance(error, SURROUNDINGS):
                raise error
            self.files.notes.append(
                f"{self.path}, {places.line_of(self.path, group[0].line)}, could not be run and was left out"
            )

    def find(self, name: str) -> Any:
        """Return a name's value, running its definitions first; KeyError where nothing binds it."""
        if name not in self.running:
            self.running.append(name)
            try:
                self._bind(name)
            finally:
                self.running.remove(name)
        if name in self.names:
            return self.names[name]
        if name in self.hidden:
            return self.hidden[name]
        if name in _NOTEBOOK_NAMES:
            return StandIn(f"IPython.{name}")
        if any(self.outline.leaves[i].program for i in self.outline.binders.get(name, ())):
            line = places.line_of(self.path, self.outline.leaves[self.outline.binders[name][0]].line)
            raise LeftOut(f"name {name!r} is bound on {line} by code that trains, which is not run")
        raise KeyError(name)

    def _bind(self, name: str) -> None:
        if name not in self.failed:
            self.run([name])
        if name not in self.names and (error := self.failed.get(name)) is not None:
            if isinstance(error, KeyError):  # it would read as if the name were unknown
                raise RuntimeError(f"KeyError: {error}") from error
            raise error
        for star in reversed(self.outline.stars):
            if name not in self.names and (value := self._from_star(star, name)) is not None:
                self.names[name] = value

    def _attribute(self, name: str) -> Any:
        """The module's `__getattr__`: `from file import name` runs what `name` needs."""
        if name.startswith("__") and name not in self.outline.binders:
            raise AttributeError(f"module {self.module.__name__!r} has no attribute {name!r}")
        try:
            return self.find(name)
        except KeyError:
            raise AttributeError(f"module {self.module.__name__!r} has no attribute {name!r}") from None

    def _globals(self) -> dict[str, Any]:
        """`globals()` in the file: what looks names up there expects every definition to be there."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.Import, ast.ImportFrom)
        self.run(name for leaf in self.outline.leaves if isinstance(leaf.node, kinds) for name in leaf.binds)
        return self.names

    # Importing

    def _imported(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
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
        spec = _FINDER.find_spec(root)
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
        root = self._imported(name.partition(".")[0], fromlist=())
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

    def _is_own(self, node: ast.ImportFrom) -> bool:
        """A notebook that writes a cell to a file and imports it from there has the definitions already."""
        if (
            node.level
            or not is_notebook(self.path)
            or self._is_real(node.module or "")
            or self.files.locate(node.module or "")
        ):
            return False
        defined = {
            leaf.node.name for leaf in self.outline.leaves if isinstance(leaf.node, (ast.ClassDef, ast.FunctionDef))
        }
        return all((alias.asname or alias.name) in defined for alias in node.names)

    def _is_own_module(self, module: Any) -> bool:
        return str(getattr(module, "__file__", "")).startswith(places.PREFIX)

    def _is_real(self, name: str) -> bool:
        root = name.partition(".")[0]
        return not name.startswith(REPLACED_PARTS) and (root == "torch" or root in sys.stdlib_module_names)

    def _import_star(self, star: Import) -> None:
        try:
            exec(f"from {star.module} import *", self.names)
        except ImportError:
            self.files.absent(star.module)

    def _from_star(self, star: Import, name: str) -> Any:
        """Look a name up in a `from … import *`; a stand-in's star provides every name that nothing else does."""
        if star.level == 0 and self._is_real(star.module):
            return None
        source = self._imported(star.module, self.names, None, ("*",), star.level)
        if isinstance(source, StandIn):
            return getattr(source, name, None)
        public = getattr(source, "__all__", None)
        if name.startswith("_") if public is None else name not in public:
            return None
        return getattr(source, name, None)

    # Parsing

    def _parsed(self, text: str) -> Outline:
        try:
            try:
                tree = ast.parse(text, places.PREFIX + self.path)
            except SyntaxError as error:
                if not is_notebook(self.path):
                    raise
                tree = self._parsed_by_cell(text, error)
            return Outline(tree)
        except (RecursionError, MemoryError):
            message = f"{self.path} is nested too deeply to be read"
            fix = "Split the longest expression into several statements."
            raise Refused(Refusal("limit", message, fix=fix, span=Span(self.path, 1))) from None

    def _parsed_by_cell(self, text: str, error: SyntaxError) -> ast.Module:
        """A notebook runs without the cells that can't be read; so does this."""
        lines = text.split("\n")
        body: list[ast.stmt] = []
        for first, last in cell_ranges(text):
            cell = "\n" * (first - 1) + "\n".join(lines[first - 1 : last])
            try:
                body += ast.parse(cell, places.PREFIX + self.path).body
            except SyntaxError as found:
                self.syntax = self.syntax or found
                self.broken.append(Span(self.path, first, 0, last, 0))
        return ast.Module(body=body, type_ignores=[])


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


class _Loader(importlib.abc.Loader):
    def __init__(self, files: Files, path: str) -> None:
        self.files = files
        self.path = path

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self.files.load(spec.name, self.path).module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs yet: definitions run when they are asked for."""


class _Finder(importlib.abc.MetaPathFinder):
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
            fullname, _Loader(self.files, found), origin=places.PREFIX + found, is_package=package
        )
        if package:
            spec.submodule_search_locations = [places.PREFIX + found.removesuffix("__init__.py").rstrip("/")]
        return spec


_FINDER = _Finder()


def install(files: Files) -> None:
    """Make a submission's files importable; those of an earlier one are forgotten."""
    uninstall()
    _FINDER.files = files
    sys.meta_path.append(_FINDER)


def uninstall() -> None:
    """Forget a submission's files."""
    for name in _FINDER.names:
        sys.modules.pop(name, None)
    _FINDER.names.clear()
    _FINDER.files = None
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
