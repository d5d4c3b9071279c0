"""What the top level of a file defines: its statements, and the names that each one reads, binds and changes."""

from __future__ import annotations
import __future__

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Union

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_DEFINITIONS = (ast.ClassDef, *_FUNCTIONS)
_IMPORTS = (ast.Import, ast.ImportFrom)
_BLOCKS = (ast.Try, ast.With, ast.For, ast.AsyncFor, ast.While, ast.If, ast.ExceptHandler)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)

# Methods that change the object they are called on, beside those whose names end with an underscore or begin as below.
_MUTATORS = frozenset(
    "append extend insert update setdefault pop popitem remove clear sort reverse discard apply".split()
)
_MUTATING_PREFIXES = ("add", "set_", "register")
# Functions that change the module they are given.
_REPARAMETRISERS = frozenset(
    "weight_norm spectral_norm orthogonal register_parametrization remove_parametrizations remove_weight_norm"
    " remove_spectral_norm l1_unstructured random_unstructured ln_structured random_structured".split()
)
_ATTRIBUTE_SETTERS = frozenset(("setattr", "delattr"))
# Calls that only programs make: a statement that makes one is never run.
_PROGRAM = frozenset(("backward", "step", "zero_grad", "load_state_dict"))
# Settings of the machine, not of what is computed; to touch the compiler's costs seconds.
_SETTINGS = ("torch.backends", "torch._dynamo", "torch._inductor", "torch.cuda", "torch.multiprocessing")

Path = tuple[tuple[ast.stmt, str], ...]


@dataclass
class Leaf:
    """A top-level statement, or one inside top-level `if` and `with` blocks, whose headers make its `path`.

    `reads` are names that running it reads, `later` those that only its functions read, `bases` those of a class's
    header. `changes` are names whose objects it changes, `patched` those that it does so by assignment; `aliases` are
    bound to parts of these. `main` stands under `if __name__ == "__main__"`; `program` trains.
    """

    index: int
    node: ast.stmt
    path: Path
    main: bool
    reads: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    bases: set[str] = field(default_factory=set)
    binds: set[str] = field(default_factory=set)
    changes: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)
    patched: set[str] = field(default_factory=set)
    program: bool = False

    @property
    def line(self) -> int:
        return self.node.lineno


@dataclass(frozen=True)
class Import:
    """Where an imported name comes from: `from ..module import name`; name is '' for the module itself."""

    module: str
    name: str
    level: int

    @property
    def path(self) -> str:
        return f"{'.' * self.level}{self.module}{'.' if self.name and self.module else ''}{self.name}"


class Outline:
    """The top level of one file, taken apart once."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.leaves: list[Leaf] = []
        self.binders: dict[str, list[int]] = defaultdict(list)
        self.changers: dict[str, list[int]] = defaultdict(list)
        self.imports: dict[str, Import] = {}
        self.stars: list[Import] = []
        self.classes: list[Leaf] = []
        self.functions: dict[str, Function] = {}
        self.flags = 0
        self._effects: dict[str, tuple[set[int], set[str]]] = {}
        for node, path, main in _leaves(tree.body, (), False):
            self._add(Leaf(len(self.leaves), node, path, main))
        for leaf in self.leaves:
            self._note_effects(leaf)
            for name in leaf.binds:
                self.binders[name].append(leaf.index)
            for name in leaf.changes:
                self.changers[name].append(leaf.index)

    def _add(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        _scan(leaf)
        node = leaf.node
        if isinstance(node, ast.ClassDef):
            self.classes.append(leaf)
        elif isinstance(node, _FUNCTIONS):
            self.functions[node.name] = node
        for inner in [node] if not isinstance(node, (ast.Try, *_LOOPS)) else ast.walk(node):
            if isinstance(inner, _IMPORTS):
                self._note_import(inner)

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                bound = _bound_by(alias)
                self.imports[bound] = Import(alias.name if alias.asname else bound, "", 0)
            elif node.module == "__future__":
                self.flags |= getattr(getattr(__future__, alias.name, None), "compiler_flag", 0)
            elif alias.name == "*":
                self.stars.append(Import(node.module or "", "", node.level))
            else:
                self.imports[alias.asname or alias.name] = Import(node.module or "", alias.name, node.level)

    def _note_effects(self, leaf: Leaf) -> None:
        """Calls whose results are not kept, and decorators, may change what they are given or what they name."""
        for call in _bare_calls(leaf.node):
            leaf.changes |= self._changed_by(call)
        if isinstance(leaf.node, _LOOPS):
            leaf.changes |= _owners(leaf.changes, leaf.node)
        if isinstance(leaf.node, _DEFINITIONS):
            for decorator in leaf.node.decorator_list:
                function = decorator.func if isinstance(decorator, ast.Call) else decorator
                if isinstance(function, ast.Name):
                    leaf.changes |= self.effects(function.id)[1]
                    leaf.changes |= self._changed_by(decorator) if isinstance(decorator, ast.Call) else set()
                elif (root := root_of(function)) and root not in self.imports:
                    leaf.changes.add(root)

    def _changed_by(self, call: ast.Call) -> set[str]:
        function = call.func
        last = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        arguments = [root for item in call.args if (root := root_of(item))]
        if last in _ATTRIBUTE_SETTERS or last in _REPARAMETRISERS:
            return set(arguments[:1])
        if isinstance(function, ast.Attribute):
            changed = set()
            root = root_of(function.value)
            if last.endswith("_") and not last.endswith("__"):
                changed.update(arguments)
            if root and root not in self.imports and _is_mutator(last):
                changed.add(root)
            elif root and last in _MUTATORS:
                changed.add(root)  # `sys.path.append`
            return changed
        if isinstance(function, ast.Name):
            positions, names = self.effects(function.id)
            given = {root for place, item in enumerate(call.args) if place in positions and (root := root_of(item))}
            return given | names
        return set()

    def effects(self, name: str) -> tuple[set[int], set[str]]:
        """Return what calling a function of this file changes: positions of arguments, and global names."""
        node = self.functions.get(name)
        if node is None:
            return set(), set()
        if name not in self._effects:
            self._effects[name] = (set(), set())  # ends recursion
            self._effects[name] = self._function_effects(node)
        return self._effects[name]

    def _function_effects(self, node: Function) -> tuple[set[int], set[str]]:
        if is_program(node):
            return set(), set()
        parameters = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        changed: set[str] = set()
        declared: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Global):
                declared.update(inner.names)
            elif isinstance(inner, _ASSIGNMENTS):
                changed |= _changed_targets(inner)
            elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
                changed |= self._changed_by(inner.value)
        changed |= _owners(changed, node)
        positions = {place for place, parameter in enumerate(parameters) if parameter in changed}
        return positions, (changed - _bound_in(node)) | declared

    def visible(self, name: str, horizon: int | None) -> list[int]:
        """Return the statements that bind a name, in order; those of the main block only where there is no other."""
        found = [i for i in self.binders.get(name, ()) if horizon is None or i < horizon]
        usable = [i for i in found if not self.leaves[i].program]
        return [i for i in usable if not self.leaves[i].main] or usable

    def needed(self, names: Iterable[str], horizon: int | None, settled: Iterable[str] = ()) -> set[int]:
        """Return the statements that give names their values: those that bind or change them, what these read."""
        todo = list(names)
        seen = set(settled)
        changed: set[str] = set()
        chosen: set[int] = set()
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            found = self.visible(name, horizon)
            main = any(self.leaves[i].main for i in found)
            fresh = [*found, *self.changes_of(name, horizon, main)]
            for index in fresh:
                leaf = self.leaves[index]
                for alias in leaf.aliases - changed:
                    changed.add(alias)
                    fresh.extend(self.changes_of(alias, horizon, main))
                if index not in chosen:
                    chosen.add(index)
                    todo.extend(leaf.reads)
        return chosen

    def changes_of(self, name: str, horizon: int | None, main: bool = False) -> list[int]:
        """Return the statements that change a name's object in place."""
        return [
            i
            for i in self.changers.get(name, ())
            if (horizon is None or i < horizon) and not self.leaves[i].program and (main or not self.leaves[i].main)
        ]

    def source(self, leaves: list[Leaf], depth: int = 0) -> list[ast.stmt]:
        """Return statements to run: the leaves, in order, inside the `if` and `with` blocks that they stand in."""
        body: list[ast.stmt] = []
        position = 0
        while position < len(leaves):
            path = leaves[position].path
            if len(path) == depth:
                body.append(leaves[position].node)
                position += 1
                continue
            block = path[depth][0]
            group = [leaf for leaf in leaves[position:] if len(leaf.path) > depth and leaf.path[depth][0] is block]
            position += len(group)
            inside = [leaf for leaf in group if leaf.path[depth][1] == "body"]
            outside = [leaf for leaf in group if leaf.path[depth][1] == "orelse"]
            filled = self.source(inside, depth + 1) or [ast.copy_location(ast.Pass(), block)]
            if isinstance(block, ast.If):
                new: ast.stmt = ast.If(block.test, filled, self.source(outside, depth + 1))
            elif isinstance(block, ast.With):
                new = ast.With(block.items, filled)
            else:
                raise AssertionError(block)
            body.append(ast.copy_location(new, block))
        return body


_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)


def excludes(one: Leaf, other: Leaf) -> bool:
    """Tell whether two statements stand in different branches of one `if`."""
    pairs = zip(one.path, other.path, strict=False)
    return any(block is twin and branch != side for (block, branch), (twin, side) in pairs)


def root_of(node: ast.AST) -> str:
    """Return the name that an expression such as `net.layers[0].weight` starts from; '' if it starts from none."""
    while True:
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
        else:
            return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for an expression that is only names and dots, else ''."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def is_program(node: ast.AST) -> bool:
    """Tell whether code trains or restores a model: it makes a call that only such programs make."""
    return any(
        isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in _PROGRAM
        for inner in ast.walk(node)
    )


def is_main_guard(node: ast.stmt) -> bool:
    """Tell whether a statement is `if __name__ == "__main__":`."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and isinstance(node.test.ops[0], ast.Eq)
        and any(
            isinstance(side, ast.Name) and side.id == "__name__" for side in (node.test.left, *node.test.comparators)
        )
    )


def _leaves(body: list[ast.stmt], path: Path, main: bool) -> Iterator[tuple[ast.stmt, Path, bool]]:
    for node in body:
        if is_main_guard(node) and isinstance(node, ast.If):
            yield from _leaves(node.body, path, True)
            yield from _leaves(node.orelse, path, main)
        elif isinstance(node, ast.If):
            yield from _leaves(node.body, (*path, (node, "body")), main)
            yield from _leaves(node.orelse, (*path, (node, "orelse")), main)
        elif isinstance(node, ast.With):
            yield from _leaves(node.body, (*path, (node, "body")), main)
        else:
            yield node, path, main


def _scan(leaf: Leaf) -> None:
    """Fill in what a statement reads, binds and changes."""
    node = leaf.node
    _Scan(leaf).run()
    if isinstance(node, ast.ClassDef):
        leaf.bases = {inner.id for base in node.bases for inner in ast.walk(base) if isinstance(inner, ast.Name)}
    for call in _bare_calls(node):
        if isinstance(call.func, ast.Name) and call.func.id in _ATTRIBUTE_SETTERS and call.args:
            leaf.patched.add(root_of(call.args[0]))
    if not isinstance(node, _DEFINITIONS):
        leaf.program = is_program(node)


class _Scan:
    """Walks what a statement evaluates when it runs: class bodies, decorators and defaults, but no function's body.

    `nested` is set inside a class body, where a binding is the class's own.
    """

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.stack: list[tuple[ast.AST, bool]] = [(leaf.node, False)]
        for block, _ in leaf.path:
            if isinstance(block, ast.If):
                self.push([block.test], False)
            elif isinstance(block, ast.With):
                self.push(block.items, False)

    def run(self) -> None:
        while self.stack:
            node, nested = self.stack.pop()
            if type(node) is not ast.Constant:
                self.visit(node, nested)

    def push(self, nodes: Iterable[ast.AST], nested: bool) -> None:
        self.stack.extend([(node, nested) for node in nodes])

    def visit(self, node: ast.AST, nested: bool) -> None:
        if isinstance(node, ast.Name):
            self.name(node, nested)
        elif isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            self.function(node, nested)
        elif isinstance(node, _COMPREHENSIONS):
            own = {name for part in node.generators for name in _target_names(part.target)}
            self.leaf.reads |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name)} - own
        elif isinstance(node, ast.ClassDef):
            self.bind([node.name], nested)
            self.push((*node.decorator_list, *node.keywords, *node.bases), nested)
            self.push(node.body, True)
        elif isinstance(node, _IMPORTS):
            self.bind([_bound_by(alias) for alias in node.names if alias.name != "*"], nested)
        else:
            self.other(node, nested)

    def bind(self, names: Iterable[str], nested: bool) -> None:
        if not nested:
            self.leaf.binds.update(names)

    def name(self, node: ast.Name, nested: bool) -> None:
        if isinstance(node.ctx, ast.Load):
            self.leaf.reads.add(node.id)
        elif isinstance(node.ctx, ast.Store):
            self.bind([node.id], nested)

    def function(self, node: Function | ast.Lambda, nested: bool) -> None:
        if not isinstance(node, ast.Lambda):
            self.bind([node.name], nested)
            self.push((*node.decorator_list, *_annotations(node)), nested)
        self.push((*node.args.defaults, *filter(None, node.args.kw_defaults)), nested)
        self.leaf.later |= _free(node)

    def other(self, node: ast.AST, nested: bool) -> None:
        leaf = self.leaf
        if isinstance(node, _ASSIGNMENTS) and not nested:
            changed = _changed_targets(node)
            leaf.changes |= changed
            leaf.patched |= changed
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                leaf.reads.add(node.target.id)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                _note_alias(leaf, node.targets, node.value.func)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.bind([node.name], nested)
        self.push(ast.iter_child_nodes(node), nested)


def _bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _note_alias(leaf: Leaf, targets: list[ast.expr], function: ast.expr) -> None:
    """`group = parser.add_argument_group()` changes the parser, and so does what is done to the group."""
    if isinstance(function, ast.Attribute) and function.attr.startswith("add_") and (root := root_of(function.value)):
        leaf.changes.add(root)
        leaf.aliases.update(target.id for target in targets if isinstance(target, ast.Name))


def _is_setting(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [getattr(node, "target", node)]
    return any(dotted(target).startswith(_SETTINGS) for target in targets)


def _changed_targets(node: ast.AST) -> set[str]:
    """Roots of the attributes and items that an assignment or `del` writes."""
    targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [getattr(node, "target", node)]
    found: set[str] = set()
    while targets:
        target = targets[0]
        targets = [*targets[1:], *(target.elts if isinstance(target, (ast.Tuple, ast.List)) else ())]
        if isinstance(target, (ast.Attribute, ast.Subscript)) and not _is_setting(node):
            found.add(root_of(target))
    return found - {""}


def _bare_calls(node: ast.stmt) -> Iterator[ast.Call]:
    """Calls whose results nobody keeps, at the top level or inside its blocks."""
    stack: list[ast.AST] = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            yield inner.value
        elif isinstance(inner, _BLOCKS):
            stack.extend(ast.iter_child_nodes(inner))


def _owners(changed: set[str], node: ast.AST) -> set[str]:
    """Who changes with the elements: what is done to `layer` in `for layer in model.modules()` is done to the model."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, (ast.For, ast.comprehension)) and _target_names(inner.target) & changed:
            arguments = inner.iter.args if isinstance(inner.iter, ast.Call) else []  # enumerate(…), zip(…), reversed(…)
            found |= {root_of(item) for item in (inner.iter, *arguments)}
    return found - {""}


def _is_mutator(method: str) -> bool:
    in_place = method.endswith("_") and not method.endswith("__")
    return in_place or method in _MUTATORS or method.startswith(_MUTATING_PREFIXES)


def _annotations(node: Function) -> Iterator[ast.expr]:
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns


def _target_names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _bound_in(node: Function) -> set[str]:
    return _loads_and_bound(node)[1]


def _free(node: Function | ast.Lambda) -> set[str]:
    """Names that a function may read from its module: used when asking which definition uses which."""
    loads, bound = _loads_and_bound(node)
    return loads - bound


def _loads_and_bound(node: Function | ast.Lambda) -> tuple[set[str], set[str]]:
    """Names that are read and names that are bound inside a function; those declared global count as read only."""
    loads: set[str] = set()
    bound: set[str] = set()
    declared: set[str] = set()
    stack: list[ast.AST] = [node.args, *(node.body if isinstance(node.body, list) else [node.body])]
    while stack:
        inner = stack.pop()
        kind = type(inner)
        if kind is ast.Name:
            (loads if type(inner.ctx) is ast.Load else bound).add(inner.id)  # type: ignore[attr-defined]
        elif kind is ast.arg:
            bound.add(inner.arg)  # type: ignore[attr-defined]
        elif kind is ast.Global:
            declared.update(inner.names)  # type: ignore[attr-defined]
        elif isinstance(inner, _IMPORTS):
            bound.update(_bound_by(alias) for alias in inner.names)
        elif kind is not ast.Constant:
            if isinstance(inner, _DEFINITIONS):
                bound.add(inner.name)
            for name in inner._fields:
                value = getattr(inner, name)
                if isinstance(value, list):
                    stack.extend([item for item in value if isinstance(item, ast.AST)])
                elif isinstance(value, ast.AST):
                    stack.append(value)
    return loads, bound - declared
