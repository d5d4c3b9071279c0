"""What the top level of a file defines: which statements give a name its value, in which order."""

from __future__ import annotations
import __future__

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from grader.worker.effects import Effects, owners
from grader.worker.expressions import Function, root_of
from grader.worker.hooks import REGISTER
from grader.worker.statements import DEFINITIONS, IMPORTS, Leaf, Path, bare_calls, bound_by, scan

Elsewhere = Callable[["Outline", str], tuple[Effects, Function] | None]
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


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

    def __init__(self, tree: ast.Module, elsewhere: Elsewhere | None = None) -> None:
        self.tree = tree
        self.leaves: list[Leaf] = []
        self.binders: dict[str, list[int]] = defaultdict(list)
        self.changers: dict[str, list[int]] = defaultdict(list)
        self.imports: dict[str, Import] = {}
        self.stars: list[Import] = []
        self.classes: list[Leaf] = []
        self.effects = Effects(self.imports, partial(elsewhere, self) if elsewhere is not None else None)
        self.flags = 0
        for node, path, main in _leaves(tree.body, (), False):
            self._add(Leaf(len(self.leaves), node, path, main))
        for leaf in self.leaves:
            self._note_effects(leaf)
        holders = self._holders()
        self.takers: dict[str, set[str]] = defaultdict(set)
        for name, owned in holders.items():
            for owner in owned:
                self.takers[owner].add(name)
            owned.difference_update(self.imports)
        for leaf in self.leaves:
            if any(name.endswith(".") for name in leaf.changes) and self.effects.trains(leaf.node):
                leaf.changes = {name for name in leaf.changes if not name.endswith(".")}
            leaf.changes |= _reached(leaf.changes, holders)
            for name in leaf.binds:
                self.binders[name].append(leaf.index)
            for name in leaf.changes:
                self.changers[name].append(leaf.index)

    def _add(self, leaf: Leaf) -> None:
        self.leaves.append(leaf)
        scan(leaf)
        node = leaf.node
        if isinstance(node, ast.ClassDef):
            self.classes.append(leaf)
        self.effects.add(node)
        for inner in [node] if not isinstance(node, (ast.Try, *_LOOPS)) else ast.walk(node):
            if isinstance(inner, IMPORTS):
                self._note_import(inner)

    def _note_import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                bound = bound_by(alias)
                self.imports[bound] = Import(alias.name if alias.asname else bound, "", 0)
            elif node.module == "__future__":
                self.flags |= getattr(getattr(__future__, alias.name, None), "compiler_flag", 0)
            elif alias.name == "*":
                self.stars.append(Import(node.module or "", "", node.level))
            else:
                self.imports[alias.asname or alias.name] = Import(node.module or "", alias.name, node.level)

    def _note_effects(self, leaf: Leaf) -> None:
        """Calls, and decorators, may change what they are given or what they name."""
        effects = self.effects
        for call in bare_calls(leaf.node):
            leaf.changes |= effects.changed_by(call)
        if isinstance(leaf.node, _LOOPS):
            leaf.changes |= owners(leaf.changes, leaf.node)
        if not isinstance(leaf.node, DEFINITIONS):
            leaf.changes |= effects.changed_inside(leaf.node)
            return
        for decorator in leaf.node.decorator_list:
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(function, ast.Name):
                leaf.changes |= effects.globals_of(function.id)
                leaf.changes |= effects.globals_of(leaf.node.name) if function.id in effects.functions else set()
                leaf.changes |= effects.changed_by(decorator) if isinstance(decorator, ast.Call) else set()
            elif (root := root_of(function)) and root not in self.imports:
                leaf.changes.add(root)

    def _holders(self) -> dict[str, set[str]]:
        """Return, by the names of variables, whose objects they are, gather, or are parts of: `drop = model.drop`.

        Under a name with a dot stands what the variable's object keeps in its attributes: `trainer = Trainer(model)`.
        """
        found: dict[str, set[str]] = defaultdict(set)
        for name in self.effects.functions:
            found[name] |= self.effects.returned_by(name)
        for leaf in self.leaves:
            for call in bare_calls(leaf.node):  # `handles.append(net.conv.register_forward_hook(look))`
                hooks = [item for item in call.args if getattr(getattr(item, "func", None), "attr", "") in REGISTER]
                found[root_of(call.func)].update(*map(self.effects.parts_of, hooks))
            for value, targets in _bindings(leaf.node):
                for name in targets:
                    found[name] |= self.effects.parts_of(value)
                    found[f"{name}."] |= self.effects.kept_by(value)
        return found

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
            changes = self.changes_of(name, horizon, main)
            fresh = [*found, *changes]
            todo += self.takers[name] if changes else ()  # `old = Net.forward` is what it was before
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


def _bindings(node: ast.stmt) -> Iterator[tuple[ast.expr, set[str]]]:
    """Yield the values that a statement binds, each with the names it is bound to."""
    for inner in ast.walk(node) if not isinstance(node, DEFINITIONS) else ():
        if isinstance(inner, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and inner.value is not None:
            targets = inner.targets if isinstance(inner, ast.Assign) else [inner.target]
            names = (item for target in targets for item in ast.walk(target) if isinstance(item, ast.Name))
            yield inner.value, {item.id for item in names if isinstance(item.ctx, ast.Store)}


def _reached(names: set[str], edges: dict[str, set[str]]) -> set[str]:
    """Return names and those that lead on from them."""
    found, todo = set(names), list(names)
    while todo:
        fresh = edges.get(todo.pop(), set()) - found - {""}
        found |= fresh
        todo += fresh
    return found


def excludes(one: Leaf, other: Leaf) -> bool:
    """Tell whether two statements stand in different branches of one `if`."""
    pairs = zip(one.path, other.path, strict=False)
    return any(block is twin and branch != side for (block, branch), (twin, side) in pairs)


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
