"""One statement of a file's top level, and the names that it reads, binds and changes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from grader.worker.expressions import Function, dotted, is_program, root_of, touched

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DEFINITIONS = (ast.ClassDef, *FUNCTIONS)
IMPORTS = (ast.Import, ast.ImportFrom)
ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)
_BLOCKS = (ast.Try, ast.With, ast.For, ast.AsyncFor, ast.While, ast.If, ast.ExceptHandler)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)

ATTRIBUTE_SETTERS = frozenset("setattr delattr setitem delitem".split())
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


def scan(leaf: Leaf) -> None:
    """Fill in what a statement reads, binds and changes."""
    node = leaf.node
    _Scan(leaf).run()
    if isinstance(node, ast.ClassDef):
        leaf.bases = {inner.id for base in node.bases for inner in ast.walk(base) if isinstance(inner, ast.Name)}
    for call in bare_calls(node):
        if isinstance(call.func, ast.Name) and call.func.id in ATTRIBUTE_SETTERS and call.args:
            leaf.patched.add(root_of(call.args[0]))
        elif dotted(call.func).rpartition(".")[2].startswith("register_module_"):  # a hook of every module
            leaf.changes.add(root_of(call.func))
            leaf.patched.add(root_of(call.func))
    if not isinstance(node, DEFINITIONS):
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
        elif isinstance(node, (*FUNCTIONS, ast.Lambda)):
            self.function(node, nested)
        elif isinstance(node, _COMPREHENSIONS):
            own = {name for part in node.generators for name in target_names(part.target)}
            self.leaf.reads |= {item.id for item in ast.walk(node) if isinstance(item, ast.Name)} - own
        elif isinstance(node, ast.ClassDef):
            self.bind([node.name], nested)
            self.push((*node.decorator_list, *node.keywords, *node.bases), nested)
            self.push(node.body, True)
        elif isinstance(node, IMPORTS):
            self.bind([bound_by(alias) for alias in node.names if alias.name != "*"], nested)
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
        if isinstance(node, ASSIGNMENTS) and not nested:
            changed = changed_targets(node)
            leaf.changes |= changed
            leaf.patched |= changed
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                leaf.reads.add(node.target.id)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                _note_alias(leaf, node.targets, node.value.func)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self.bind([node.name], nested)
        self.push(ast.iter_child_nodes(node), nested)


def bound_by(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _note_alias(leaf: Leaf, targets: list[ast.expr], function: ast.expr) -> None:
    """`group = parser.add_argument_group()` changes the parser, and so does what is done to the group."""
    if isinstance(function, ast.Attribute) and function.attr.startswith("add_") and (root := root_of(function.value)):
        leaf.changes.add(root)
        leaf.aliases.update(target.id for target in targets if isinstance(target, ast.Name))


def _is_setting(node: ast.AST) -> bool:
    targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [getattr(node, "target", node)]
    return any(dotted(target).startswith(_SETTINGS) for target in targets)


def changed_targets(node: ast.AST) -> set[str]:
    """The names whose objects an assignment or `del` changes by writing attributes and items: see `touched`."""
    targets = node.targets if isinstance(node, (ast.Assign, ast.Delete)) else [getattr(node, "target", node)]
    found: set[str] = set()
    while targets:
        target = targets[0]
        targets = [*targets[1:], *(target.elts if isinstance(target, (ast.Tuple, ast.List)) else ())]
        if isinstance(target, (ast.Attribute, ast.Subscript)) and not _is_setting(node):
            found |= touched(target.value)
    return found


def bare_calls(node: ast.stmt) -> Iterator[ast.Call]:
    """Calls whose results nobody keeps, at the top level or inside its blocks."""
    stack: list[ast.AST] = [node]
    while stack:
        inner = stack.pop()
        if isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
            yield inner.value
        elif isinstance(inner, _BLOCKS):
            stack.extend(ast.iter_child_nodes(inner))


def _annotations(node: Function) -> Iterator[ast.expr]:
    arguments = node.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if argument is not None and argument.annotation is not None:
            yield argument.annotation
    if node.returns is not None:
        yield node.returns


def target_names(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def bound_in(node: Function) -> set[str]:
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
        elif isinstance(inner, IMPORTS):
            bound.update(bound_by(alias) for alias in inner.names)
        elif kind is not ast.Constant:
            if isinstance(inner, DEFINITIONS):
                bound.add(inner.name)
            for name in inner._fields:
                value = getattr(inner, name)
                if isinstance(value, list):
                    stack.extend([item for item in value if isinstance(item, ast.AST)])
                elif isinstance(value, ast.AST):
                    stack.append(value)
    return loads, bound - declared
