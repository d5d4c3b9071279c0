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
from typing import Any, Literal

from torch import nn

from grader.notebook import is_notebook
from grader.worker.definitions import Function, Leaf, Outline, dotted, excludes, is_program
from grader.worker.modules import Definitions
from grader.worker.stand_ins import REPLACED, LightningModule, is_tool

_MODEL_NAME = re.compile(r"(?i)(?:^|_)(?:\w*model|\w*net(?:work)?|cnn|classifier)\w*$")
_FACTORY_NAME = re.compile(r"(?i)^(?:make|build|get|create|define|init|load|new)?_?\w*(?:model|net|network|cnn)\w*$")
_BASE_NAME = re.compile(r"(?i)^_|base|abstract")
_WRAPPED_NAME = re.compile(r"(?i)(?:\w+_)?(?:model|net|network|module|backbone)")
_PART_NAME = re.compile(r"(?i)(?:block|layer|bottleneck|attention|unit)_?\d*$")
# Methods that return the module they are called on, and functions that return the module they are given.
_SELF_METHODS = frozenset("to cuda cpu eval train float double half apply requires_grad_ type share_memory xpu".split())
_WRAPPERS = frozenset(
    "DataParallel DistributedDataParallel DDP compile script trace freeze convert_sync_batchnorm".split()
)
# A function that does any of these is a program, whatever it returns.
_PROGRAM_NAMES = frozenset("load hub DataLoader load_url load_state_dict_from_url".split())


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
        self._returns: dict[str, str] = {}

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
        helpers = {name for item in wanting for name in self._used(item.leaf) - {item.name}}
        whole = self._without_parts(_latest_of_equals(fit), built)
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
            return "" if own_call else "it has no forward"
        if isinstance(forward, (staticmethod, classmethod)):
            return ""
        return _input_misfit(forward)

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
                call = _construction(node.value)
                by_method = call is not None and dotted(call.func) != target
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
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and not _required(node.value):
                for name in node.targets:
                    if isinstance(name, ast.Name) and (target := self._built_by(node.value.body, name.id)):
                        yield Candidate(name.id, "factory", leaf, target)

    def _built_by(self, value: ast.expr, bound: str) -> str:
        """Return which class, function or path an expression builds a model with; '' if it builds none."""
        call = _construction(value)
        if call is None:
            return ""
        name = dotted(call.func)
        root, _, rest = name.partition(".")
        if not root:
            return ""
        if name in self.fit_names or (root in self.fit_names and self._is_own_method(root, rest)):
            return root
        if name in self.outline.functions:
            return self._returned_by(name) and name
        if root in self.outline.binders and root not in self.outline.imports:
            return ""
        source = self.outline.imports.get(root)
        full = f"{source.path}.{rest}".rstrip(".") if source is not None else ""
        if full.startswith("torch."):
            return full if full.endswith(".Sequential") else ""
        foreign = bool(full) and (full.startswith(".") or full.partition(".")[0] not in _plain_modules())
        return full if foreign and _MODEL_NAME.match(bound) and not is_tool(full) else ""

    def _is_own_method(self, owner: str, name: str) -> bool:
        """Tell whether a class of this file says how it is made by a method of its own: `Net.small()`."""
        nodes = [leaf.node for leaf in self.outline.classes if owner in leaf.binds]
        inner = [node for item in nodes if isinstance(item, ast.ClassDef) for node in item.body]
        return any(isinstance(node, ast.FunctionDef) and node.name == name and node.decorator_list for node in inner)

    def _returned_by(self, name: str) -> str:
        """Return what a function of this file builds and returns; '' if that is no model, or if the function trains."""
        if name not in self._returns:
            self._returns[name] = ""  # ends recursion
            self._returns[name] = self._returned(self.outline.functions[name])
        return self._returns[name]

    def _returned(self, node: Function) -> str:
        if is_program(node) or _mentions(node, _PROGRAM_NAMES):
            return ""
        local = {inner.name for inner in ast.walk(node) if isinstance(inner, ast.ClassDef)}
        values = [
            inner.value for inner in _own_nodes(node) if isinstance(inner, ast.Return) and inner.value is not None
        ]
        assigned: dict[str, list[ast.expr]] = defaultdict(list)
        for inner in _own_nodes(node):
            if isinstance(inner, ast.Assign):
                for name in inner.targets:
                    if isinstance(name, ast.Name):
                        assigned[name.id].append(inner.value)
        for value in list(values):
            if isinstance(value, ast.Name):
                values += assigned.get(value.id, [])
        if any((call := _construction(value)) is not None and dotted(call.func) in local for value in values):
            return node.name
        targets = {target for value in values if (target := self._built_by(value, node.name))}
        if targets:
            return targets.pop() if len(targets) == 1 else node.name
        unknown = [value for value in values if isinstance(value, (ast.Call, ast.Subscript))]
        return node.name if unknown and _FACTORY_NAME.match(node.name) else ""

    # Parts of a whole

    def _without_parts(self, classes: list[Candidate], built: list[Candidate]) -> list[Candidate]:
        """Leave out what others use: blocks of models, the class behind a lone instance, bases that are no models."""
        reached: dict[int, set[str]] = {item.leaf.index: self._used(item.leaf) for item in [*classes, *built]}
        used_by_models = {name for item in classes for name in reached[item.leaf.index] - {item.name}}
        built = [item for item in built if item.name not in used_by_models]
        parts = used_by_models if not all(item.name in used_by_models for item in classes) else set()
        parts = parts | {item.name for item in classes if self._is_only_base(item, classes)}
        whole = [item for item in classes if item.name not in parts]
        whole = [item for item in whole if not self._is_left_over(item)] or whole
        # One that chooses among whole models by its arguments says nothing about which is to be graded.
        chooses = {
            item.leaf.index
            for item in built
            if item.target in self.outline.functions
            and len(reached[item.leaf.index].intersection(model.name for model in whole)) > 1
        }
        built = [item for item in built if item.kind == "instance" or item.leaf.index not in chooses]
        used_by_built = {
            name for item in built for name in reached[item.leaf.index] - {item.name} if item.leaf.index not in chooses
        }
        instances = [item for item in built if item.kind == "instance"]
        built = [item for item in built if item.kind == "instance" or item.name not in used_by_built]
        built = [item for item in built if item.kind == "factory" or item.name not in _read_by(instances, item)]
        merged = _merged(built)
        constructed = {item.target for item in built} | used_by_built
        return [item for item in whole if item.name not in constructed] + merged

    def _used(self, leaf: Leaf) -> set[str]:
        """Names that a definition uses, directly or through functions and values; a base is used for what it uses."""
        seen: set[str] = set()
        todo = sorted((leaf.reads | leaf.later) - leaf.bases)
        inherited = set(leaf.bases)
        visited = set(leaf.binds)
        if isinstance(leaf.node, ast.Assign):
            todo += [added for name in leaf.binds for added in self._put_into(name)]
        while todo or inherited:
            if todo:
                name = todo.pop()
                seen.add(name)
            else:
                name = inherited.pop()
            if name in visited:
                continue
            visited.add(name)
            todo += self._put_into(name)
            for index in self.outline.visible(name, None):
                other = self.outline.leaves[index]
                if isinstance(other.node, (ast.FunctionDef, ast.AsyncFunctionDef)) and is_program(other.node):
                    continue
                todo += (other.reads | other.later) - other.bases - visited
                inherited |= other.bases - visited
        return seen

    def _is_left_over(self, item: Candidate) -> bool:
        """Tell whether a class is a block that nothing uses, or trains the model that it must be given.

        Neither can be made by itself.
        """
        made = self.definitions.made.get(item.leaf.index)
        needed = required_arguments(made) if made is not None else []
        trains = made is not None and issubclass(made, LightningModule)
        return bool(needed) and (
            bool(_PART_NAME.search(item.name)) or (trains and any(map(_WRAPPED_NAME.fullmatch, needed)))
        )

    def _put_into(self, name: str) -> Iterator[str]:
        """Yield what statements add to a value: layers to a list, by a decorator a class to a registry."""
        for index in self.outline.changes_of(name, None):
            leaf = self.outline.leaves[index]
            yield from leaf.binds if isinstance(leaf.node, ast.ClassDef) else leaf.reads - {name}

    def _is_only_base(self, item: Candidate, classes: list[Candidate]) -> bool:
        """A base counts as a model of its own unless its name or its constructor says that it is none."""
        heirs = [other for other in classes if item.name in other.leaf.bases and other.name != item.name]
        made = self.definitions.made.get(item.leaf.index)
        needs = bool(required_arguments(made)) if made is not None else False
        return bool(heirs) and (needs or bool(_BASE_NAME.search(item.name)))


def required_arguments(function: Any) -> list[str]:
    """Return the parameters without defaults that a class or function must be given."""
    return [name for name, item in parameters(function).items() if item.default is item.empty and item.kind in _NAMED]


_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class's constructor, without `self`, or of a function; none if they can't be told."""
    try:
        if isinstance(function, type):
            init = inspect.getattr_static(function, "__init__")
            if init is inspect.getattr_static(nn.Module, "__init__") or not inspect.isfunction(init):
                return {}
            return dict(list(inspect.signature(init).parameters.items())[1:])
        return dict(inspect.signature(function).parameters)
    except Exception:  # a submission's own __signature__ may be anything
        return {}


def calls_of(outline: Outline, name: str) -> list[ast.Call]:
    """Return the calls of a class anywhere in the file, in order: how its author constructs it."""
    found = [
        node
        for node in ast.walk(outline.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def horizon(definitions: Definitions, candidate: Candidate) -> int | None:
    """Return the first statement that no longer belongs to the file as the candidate was written; None if all do.

    A class defined anew ends the earlier one's file. In a notebook, so does a later cell that binds anew what it uses.
    """
    outline = definitions.outline
    index = candidate.leaf.index
    later = [leaf for leaf in outline.leaves[index + 1 :] if not leaf.main]
    if candidate.kind == "class":
        for leaf in later:
            same = isinstance(leaf.node, ast.ClassDef) and leaf.node.name in candidate.leaf.binds
            if same and not excludes(candidate.leaf, leaf):
                return leaf.index
    if not is_notebook(definitions.path):
        return None
    names = Search(definitions)._used(candidate.leaf) | candidate.leaf.bases
    for leaf in later:
        anew = (leaf.binds & names) - candidate.leaf.binds
        if not isinstance(leaf.node, (ast.Import, ast.ImportFrom)) and any(
            outline.binders[name][0] < index for name in anew
        ):
            return leaf.index
    return None


def rebindings(outline: Outline, candidate: Candidate, limit: int | None) -> list[int]:
    """Return the statements that make an instance: its construction, and what wraps or changes it until another."""
    name = candidate.bound
    chosen = [candidate.leaf.index]
    for leaf in outline.leaves[candidate.leaf.index + 1 : limit]:
        if leaf.main or leaf.program:
            continue
        if name in leaf.binds and isinstance(leaf.node, ast.Assign):
            if not _keeps(leaf.node.value, name):
                if _construction(leaf.node.value) is not None and not _mentions(leaf.node.value, {name}):
                    break
                continue
            chosen.append(leaf.index)
        elif name in leaf.changes:
            chosen.append(leaf.index)
    return chosen


def _keeps(value: ast.expr, name: str) -> bool:
    """Tell whether an expression is the named module again, moved or wrapped."""
    while True:
        if isinstance(value, ast.IfExp):
            value = value.body
        if isinstance(value, ast.Name):
            return value.id == name
        if not isinstance(value, ast.Call):
            return False
        last = dotted(value.func).rpartition(".")[2] or getattr(value.func, "attr", "")
        if isinstance(value.func, ast.Attribute) and last in _SELF_METHODS:
            value = value.func.value
        elif last in _WRAPPERS and value.args:
            value = value.args[0]
        else:
            return False


def _construction(value: ast.expr) -> ast.Call | None:
    """Return the call that makes the module in `Net(16).to(device)` or `nn.DataParallel(Net(16))`."""
    while isinstance(value, ast.Call):
        last = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
        if (
            isinstance(value.func, ast.Attribute)
            and last in _SELF_METHODS
            and not isinstance(value.func.value, ast.Name)
        ):
            value = value.func.value
        elif last in _WRAPPERS and value.args:
            value = value.args[0]
        else:
            return value
    return None


def _input_misfit(forward: Any) -> str:
    try:
        signature = dict(list(inspect.signature(forward).parameters.items())[1:])
    except Exception:  # a submission's own __signature__ may be anything
        return ""
    needed = [name for name, item in signature.items() if item.default is item.empty and item.kind in _NAMED]
    if len(needed) > 1:
        return f"its forward needs {len(needed)} inputs ({', '.join(needed)[:100]})"
    takes = [item for item in signature.values() if item.kind in (*_NAMED[:2], inspect.Parameter.VAR_POSITIONAL)]
    return "" if takes else "its forward takes no input"


def _merged(built: list[Candidate]) -> list[Candidate]:
    """One candidate for each way in which a class is built; a lone way stands under the class's name."""
    ways: dict[str, dict[str, Candidate]] = defaultdict(dict)
    for item in built:
        ways[item.target][item.call or item.name] = item
    factories = {item.name for item in built if item.kind == "factory"}
    merged = []
    for target, calls in ways.items():
        for item in calls.values():
            alone = len(calls) == 1 and item.kind == "instance" and target.isidentifier() and target not in factories
            merged.append(replace(item, name=target) if alone else item)
    return merged


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


def _read_by(instances: list[Candidate], item: Candidate) -> set[str]:
    """Names that other instances are built from: `model = nn.Sequential(features, head)`."""
    return {
        name
        for other in instances
        if other is not item and item.name not in other.leaf.binds
        for name in other.leaf.reads
    }


def _says_module(leaf: Leaf) -> bool:
    assert isinstance(leaf.node, ast.ClassDef)
    names = [dotted(base) for base in leaf.node.bases]
    return any(name.rpartition(".")[2] in ("Module", "LightningModule", "Sequential") for name in names)


def _own_nodes(node: Function) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes inside it."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        inner = stack.pop()
        yield inner
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(inner))


def _required(node: Function | ast.Lambda) -> bool:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional > len(arguments.defaults) or any(default is None for default in arguments.kw_defaults)


def _wants_arguments(factory: Candidate) -> bool:
    return isinstance(factory.leaf.node, ast.FunctionDef) and _required(factory.leaf.node)


def _mentions(node: ast.AST, names: Iterable[str]) -> bool:
    wanted = frozenset(names)
    return any(
        (isinstance(inner, ast.Name) and inner.id in wanted)
        or (isinstance(inner, ast.Attribute) and inner.attr in wanted)
        for inner in ast.walk(node)
    )


def _plain_modules() -> frozenset[str]:
    """Packages whose calls return no models, whatever the result is named."""
    return frozenset(sys.stdlib_module_names) | {"torch", "numpy", "tqdm", "scipy"}
