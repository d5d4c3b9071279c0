"""Which definitions of a file are its models: whole ones, told from blocks, losses and helpers."""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from grader.worker.definitions import Outline, excludes
from grader.worker.expressions import (
    Function,
    construction,
    dotted,
    loads_or_trains,
    own_nodes,
    requires_arguments,
)
from grader.worker.modules import Definitions
from grader.worker.parts import MODEL_NAME, Parts
from grader.worker.signatures import input_misfit
from grader.worker.stand_ins import REPLACED, is_tool
from grader.worker.statements import Leaf

_FACTORY_NAME = re.compile(r"(?i)^(?:make|build|get|create|define|init|load|new)?_?\w*(?:model|net|network|cnn)\w*$")


@dataclass(frozen=True)
class Candidate:
    """A definition that may be the model, `name` what `--class` takes.

    `target` is the class or function that an instance or a factory calls, `call` that call, `bound` the instance's
    variable. Where a `plain` call can't be made, because of where it runs, one without arguments does as well.
    """

    name: str
    kind: Literal["class", "instance", "factory"]
    leaf: Leaf
    target: str = ""
    call: str = ""
    bound: str = ""
    plain: bool = False

    @property
    def line(self) -> int:
        return self.leaf.line


@dataclass(frozen=True)
class Found:
    """`models` are what may be graded, in the file's order; `every` what `--class` may name besides.

    `unfit` are modules whose forward does not take one batch of images, each with the reason; `wanting` are functions
    that return a model, but must be given arguments.
    """

    models: tuple[Candidate, ...]
    every: tuple[Candidate, ...]
    unfit: tuple[tuple[Candidate, str], ...]
    wanting: tuple[Candidate, ...] = ()


class Search:
    """Looks through the definitions of one file."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.outline: Outline = definitions.outline
        self.classes: dict[int, type | None] = {}
        self.parts = Parts(definitions)
        self._returns: dict[str, str] = {}
        self._holds: dict[str, bool] = {}

    def find(self) -> Found:
        """Return the models of the file; nothing is constructed."""
        suspects = [leaf for leaf in self.outline.classes if not leaf.main and self._may_be_module(leaf)]
        self.definitions.run({name for leaf in suspects for name in leaf.binds}, [leaf.index for leaf in suspects])
        modules = [leaf for leaf in suspects if self._is_module(leaf) and self._ran(leaf, suspects)]
        self.module_names = {leaf.node.name for leaf in modules if isinstance(leaf.node, ast.ClassDef)}
        classes = [Candidate(next(iter(leaf.binds)), "class", leaf) for leaf in modules]
        reasons = {candidate.leaf.index: self._misfit(candidate) for candidate in classes}
        unfit = tuple((item, reasons[item.leaf.index]) for item in classes if reasons[item.leaf.index])
        fit = [item for item in classes if not reasons[item.leaf.index]]
        self.fit_names = {item.name for item in fit}
        factories = list(self._factories())
        wanting = [item for item in factories if _wants_arguments(item)]
        built = [*self._instances(), *(item for item in factories if item not in wanting)]
        helpers = {name for item in wanting for name in self.parts.used(item.leaf) - {item.name}}
        whole = self.parts.without_parts(_latest_of_equals(fit), built)
        models = tuple(_named(sorted(whole, key=lambda item: item.line)))
        every = tuple(_named(sorted([*classes, *built], key=lambda item: item.line)))
        return Found(models, every, unfit, tuple(item for item in wanting if item.name not in helpers))

    # Classes

    def _may_be_module(self, leaf: Leaf, depth: int = 0) -> bool:
        """Tell, before running it, whether a class may be a module: not if all its bases are known to be otherwise."""
        node = leaf.node
        assert isinstance(node, ast.ClassDef)
        return any(self._may_be_base(base, depth) for base in node.bases) or bool(node.keywords and node.bases)

    def _may_be_base(self, base: ast.expr, depth: int) -> bool:
        if isinstance(base, ast.Subscript):
            base = base.value
        name = dotted(base)
        root, _, rest = name.partition(".")
        same = [leaf for leaf in self.outline.classes if root in leaf.binds]
        if same and depth < 50:
            return any(self._may_be_module(leaf, depth + 1) for leaf in same)
        source = self.outline.imports.get(root)
        if source is None:
            return not hasattr(builtins, root) if root else True
        full = f"{source.path}.{rest}" if rest else source.path
        package = full.partition(".")[0]
        if package in sys.stdlib_module_names or full.startswith("torch.utils.data"):
            return False
        return package not in REPLACED or full.endswith("Module") or "Model" in full

    def _is_module(self, leaf: Leaf) -> bool:
        """A class that could not be made counts when its header says that it is a module: its failure must be told."""
        made = self.definitions.made.get(leaf.index)
        if made is None:
            return _says_module(leaf)
        return isinstance(made, type) and issubclass(made, nn.Module)

    def _ran(self, leaf: Leaf, suspects: list[Leaf]) -> bool:
        """Tell whether a class was made here, where another branch of an `if` makes one of that name too."""
        made = self.definitions.made.get(leaf.index)
        twins = [other for other in suspects if excludes(leaf, other) and other.binds == leaf.binds]
        if made is None or not twins:
            return True
        lines = range(leaf.node.lineno, (leaf.node.end_lineno or leaf.node.lineno) + 1)
        return any(inspect.isfunction(item) and item.__code__.co_firstlineno in lines for item in vars(made).values())

    def _misfit(self, candidate: Candidate) -> str:
        """Say why a class can't be called on one batch of images; '' when it can."""
        made = self.definitions.made.get(candidate.leaf.index)
        if made is None:
            return ""
        forward = inspect.getattr_static(made, "forward", None)
        if forward is None or forward is inspect.getattr_static(nn.Module, "forward"):
            own_call = inspect.getattr_static(made, "__call__") is not inspect.getattr_static(nn.Module, "__call__")
            return "" if own_call or _assigns_forward(candidate.leaf.node) else "it has no forward"
        if isinstance(forward, (staticmethod, classmethod)):
            return ""
        return input_misfit(forward)

    # What the file builds

    def _instances(self) -> Iterator[Candidate]:
        for leaf in self.outline.leaves:
            node = leaf.node
            if leaf.main or leaf.program or not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
                continue
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            if len(names) != len(targets):
                continue
            target = self._built_by(node.value, names[0])
            if target:
                call = construction(node.value)
                by_method = call is not None and dotted(call.func).startswith(f"{target}.")
                plain = by_method or (call is not None and not call.args and not call.keywords)
                yield Candidate(names[0], "instance", leaf, target, ast.dump(call) if call else "", names[0], plain)

    def _factories(self) -> Iterator[Candidate]:
        for leaf in self.outline.leaves:
            node = leaf.node
            if leaf.main:
                continue
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                target = self._returned_by(node.name)
                if target and not node.name.startswith("test"):
                    yield Candidate(node.name, "factory", leaf, target)
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Lambda)
                and not requires_arguments(node.value)
            ):
                for name in node.targets:
                    if isinstance(name, ast.Name) and (target := self._built_by(node.value.body, name.id)):
                        yield Candidate(name.id, "factory", leaf, target)

    def _built_by(self, value: ast.expr, bound: str) -> str:
        """Return which class, function or path an expression builds a model with; '' if it builds none."""
        call = construction(value)
        if call is None:
            return ""
        changed = self.outline.effects.passed_on(value)
        if changed is not None and self._built_before(changed, bound):
            return ast.unparse(call.func)
        name = dotted(call.func)
        root, _, rest = name.partition(".")
        if not root:
            return ""
        if name in self.fit_names or (root in self.fit_names and self._is_own_method(root, rest)):
            return root
        if name in self.outline.effects.functions:
            return self._returned_by(name) and name
        if root in self.outline.binders and root not in self.outline.imports:
            return ""
        source = self.outline.imports.get(root)
        full = f"{source.path}.{rest}".rstrip(".") if source is not None else ""
        if full.startswith("torch."):
            return full if full.endswith(".Sequential") else ""
        foreign = bool(full) and (full.startswith(".") or full.partition(".")[0] not in _plain_modules())
        return full if foreign and MODEL_NAME.match(bound) and not is_tool(full) else ""

    def _built_before(self, value: ast.expr, bound: str) -> bool:
        """Tell whether an expression builds a model, or is a variable that holds one."""
        if not isinstance(value, ast.Name):
            return bool(self._built_by(value, bound))
        if value.id not in self._holds:
            self._holds[value.id] = False  # ends recursion
            nodes = [self.outline.leaves[index].node for index in self.outline.visible(value.id, None)]
            values = [node.value for node in nodes if isinstance(node, ast.Assign)]
            self._holds[value.id] = any(self._built_by(item, value.id) for item in values)
        return value.id != bound and self._holds[value.id]

    def _is_own_method(self, owner: str, name: str) -> bool:
        """Tell whether a class of this file says how it is made by a method of its own: `Net.small()`."""
        nodes = [leaf.node for leaf in self.outline.classes if owner in leaf.binds]
        inner = [node for item in nodes if isinstance(item, ast.ClassDef) for node in item.body]
        return any(isinstance(node, ast.FunctionDef) and node.name == name and node.decorator_list for node in inner)

    def _returned_by(self, name: str) -> str:
        """Return what a function of this file builds and returns; '' if that is no model, or if the function trains."""
        if name not in self._returns:
            self._returns[name] = ""  # ends recursion
            self._returns[name] = self._returned(self.outline.effects.functions[name])
        return self._returns[name]

    def _returned(self, node: Function) -> str:
        if loads_or_trains(node):
            return ""
        local = {inner.name for inner in ast.walk(node) if isinstance(inner, ast.ClassDef)}
        values = [inner.value for inner in own_nodes(node) if isinstance(inner, ast.Return) and inner.value is not None]
        assigned: dict[str, list[ast.expr]] = defaultdict(list)
        for inner in own_nodes(node):
            if isinstance(inner, ast.Assign):
                for name in inner.targets:
                    if isinstance(name, ast.Name):
                        assigned[name.id].append(inner.value)
        for value in list(values):
            given = self.outline.effects.passed_on(value) or value
            if isinstance(given, ast.Name):
                values += assigned.get(given.id, [])
        if any((call := construction(value)) is not None and dotted(call.func) in local for value in values):
            return node.name
        targets = {target for value in values if (target := self._built_by(value, node.name))}
        if targets:
            return targets.pop() if len(targets) == 1 else node.name
        unknown = [value for value in values if isinstance(value, (ast.Call, ast.Subscript))]
        return node.name if unknown and _FACTORY_NAME.match(node.name) else ""


def _latest_of_equals(classes: list[Candidate]) -> list[Candidate]:
    """A class that was pasted twice, word for word, is one candidate."""
    counts = Counter(item.name for item in classes)
    latest = {(item.name, ast.dump(item.leaf.node) if counts[item.name] > 1 else ""): item for item in classes}
    return list(latest.values())


def _named(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Tell candidates of the same name apart by their lines: `Net@40`."""
    candidates = list(candidates)
    counts = Counter(item.name for item in candidates)
    for item in candidates:
        yield replace(item, name=f"{item.name}@{item.line}") if counts[item.name] > 1 else item


def _says_module(leaf: Leaf) -> bool:
    assert isinstance(leaf.node, ast.ClassDef)
    names = [dotted(base) for base in leaf.node.bases]
    return any(name.rpartition(".")[2] in ("Module", "LightningModule", "Sequential") for name in names)


def _assigns_forward(node: ast.stmt) -> bool:
    """Tell whether methods of a class give the instance a forward of its own: `self.forward = …`."""
    stored = (inner for inner in ast.walk(node) if isinstance(getattr(inner, "ctx", None), ast.Store))
    return any(getattr(target, "attr", "") == "forward" for target in stored)


def _wants_arguments(factory: Candidate) -> bool:
    return isinstance(factory.leaf.node, ast.FunctionDef) and requires_arguments(factory.leaf.node)


def _plain_modules() -> frozenset[str]:
    """Packages whose calls return no models, whatever the result is named."""
    return frozenset(sys.stdlib_module_names) | {"torch", "numpy", "tqdm", "scipy"}
