"""Submitted files as modules that run the definitions they are asked for."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterable
from functools import partial
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from grader.finding import Span
from grader.notebook import cell_ranges, is_notebook
from grader.protocol import Refusal
from grader.worker import places
from grader.worker.definitions import Import, Outline
from grader.worker.imports import Imports
from grader.worker.refusal import Refused
from grader.worker.stand_ins import StandIn, StandInUsed
from grader.worker.statements import Leaf

if TYPE_CHECKING:
    from grader.worker.files import Files

# What notebooks have without an import.
_NOTEBOOK_NAMES = frozenset(("get_ipython", "display"))
# Causes that lie in where the code runs, not in the code: what only adjusts a definition is then left out, with a note.
SURROUNDINGS = (StandInUsed, OSError, EOFError, ImportError, SystemExit)


class LeftOut(NameError):
    """A name whose only binding belongs to a program that is not run."""


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
        self.position: int | None = None  # what stands from here on has not run yet, for the statement that runs
        self.unfinished: set[str] = set()
        self.imports = Imports(files, path, self.outline)
        self.module = ModuleType(name)
        self.names = vars(self.module)
        package = path.endswith(("/", "/__init__.py"))
        known = dict(vars(builtins))
        # A definition that hides a builtin must be found first.
        self.hidden = {key: known.pop(key) for key in self.outline.binders if key in known}
        scope = _Builtins(known)
        scope.owner = self
        scope["__import__"] = self.imports.imported
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
            if star.level == 0 and self.imports.is_real(star.module):
                self.imports.import_star(self.names, star)

    # Running

    def run(self, names: Iterable[str] = (), leaves: Iterable[int] = (), settled: Iterable[str] = ()) -> None:
        """Run what gives `names` their values, and the given statements; each statement once, in the file's order."""
        outline, horizon = self.outline, self.horizon if self.position is None else self.position
        wanted = [*names, *self._patched_modules()]
        for index in leaves:
            wanted += outline.leaves[index].reads
            wanted += [taker for name in outline.leaves[index].changes for taker in outline.takers.get(name, ())]
        chosen = sorted((outline.needed(wanted, horizon, settled) | set(leaves)) - self.done)
        group: list[Leaf] = []
        for index in chosen:
            leaf = outline.leaves[index]
            if group and not (leaf.path and group[0].path and leaf.path[0][0] is group[0].path[0][0]):
                self._execute(group)
                group = []
            group.append(leaf)
        if group:
            self._execute(group)
        self._finish()

    def _finish(self) -> None:
        """Run what changes the names that a statement read before: when all is run, they are what the file leaves."""
        if self.unfinished and not self.running and self.position is None:
            self.unfinished, names = set(), self.unfinished
            self.run(names)

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
        outer, self.position = self.position, group[-1].index + 1
        group = [
            leaf for leaf in group if not (isinstance(leaf.node, ast.ImportFrom) and self.imports.is_own(leaf.node))
        ]
        try:
            with self.files.aside():
                self._run_code(group)
        except Refused:
            raise
        except BaseException as error:  # an exit at module level ends nothing here
            self._note_failure(group, error)
        finally:
            self.position = outer
        for leaf in group:
            if isinstance(leaf.node, ast.ClassDef):
                self.made[leaf.index] = self.names.get(leaf.node.name)

    def _run_code(self, group: list[Leaf]) -> None:
        code = self._compiled(group)
        try:
            exec(code, self.names)
        except (ImportError, SystemExit):
            # `try: import x / except ImportError: exit()` gives the stand-in that it did not want at first.
            if self.imports.lenient or not any(isinstance(leaf.node, ast.Try) for leaf in group):
                raise
            self.imports.lenient = True
            try:
                exec(code, self.names)
            finally:
                self.imports.lenient = False

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
            self._finish()
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
            self._run_for(name)
        if name not in self.names and (error := self.failed.get(name)) is not None:
            if isinstance(error, KeyError):  # it would read as if the name were unknown
                raise RuntimeError(f"KeyError: {error}") from error
            raise error
        for star in reversed(self.outline.stars):
            if name not in self.names and (value := self.imports.from_star(self.names, star, name)) is not None:
                self.names[name] = value

    def _run_for(self, name: str) -> None:
        """Run what gives a name its value, for a statement that runs: what stands before that, if anything does."""
        outer = self.position
        if outer is not None and self.outline.visible(name, outer):
            self.unfinished.add(name)
        else:
            self.position = None
        try:
            self.run([name])
        finally:
            self.position = outer

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

    # Parsing

    def _parsed(self, text: str) -> Outline:
        try:
            try:
                tree = ast.parse(text, places.PREFIX + self.path)
            except SyntaxError as error:
                if not is_notebook(self.path):
                    raise
                tree = self._parsed_by_cell(text, error)
            return Outline(tree, partial(self.files.neighbours.function, self.path))
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
