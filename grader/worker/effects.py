"""What calls of a file's own functions and methods change, and what they give back."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Container, Iterator

from grader.worker.expressions import Function, construction, is_program, keeps, loads_or_trains, own_nodes, root_of
from grader.worker.statements import (
    ASSIGNMENTS,
    ATTRIBUTE_SETTERS,
    FUNCTIONS,
    bound_in,
    changed_targets,
    target_names,
)

# Methods that change the object they are called on, beside those whose names end with an underscore or begin as below.
_MUTATORS = frozenset(
    "append extend insert update setdefault pop popitem remove clear sort reverse discard apply".split()
)
_MUTATING_PREFIXES = ("add", "set_", "register", "read_")
# Functions that change the module they are given.
_REPARAMETRISERS = frozenset(
    "weight_norm spectral_norm orthogonal register_parametrization remove_parametrizations remove_weight_norm"
    " remove_spectral_norm l1_unstructured random_unstructured ln_structured random_structured".split()
)


# Methods that return the parts of a module, and functions that return them in another collection.
_GIVES_PARTS = frozenset("children modules named_children named_modules get_submodule values items".split())
_COLLECTORS = frozenset("list tuple dict set next iter reversed sorted filter getattr".split())
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)


class Effects:
    """The functions and methods of one file, read and never run; `imports` are the names that it imports."""

    def __init__(self, imports: Container[str]) -> None:
        self.imports = imports
        self.functions: dict[str, Function] = {}
        self.methods: dict[str, list[Function]] = defaultdict(list)
        self.constructors: dict[str, Function] = {}
        self._changed: dict[Function, set[str]] = {}
        self._returned: dict[Function, set[str]] = {}
        self._training: dict[ast.stmt, bool] = {}

    def add(self, node: ast.stmt) -> None:
        """Take in a statement of the top level, if it is a definition."""
        if isinstance(node, FUNCTIONS):
            self.functions[node.name] = node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, FUNCTIONS):
                    self.methods[inner.name].append(inner)
                    if inner.name == "__init__":
                        self.constructors[node.name] = inner

    def changed_by(self, call: ast.Call) -> set[str]:
        """Return the names whose objects a call changes, its result being thrown away."""
        while isinstance(call.func, ast.Call):  # `LAYERS.register("conv")(Conv)`, a decorator called by hand
            call = ast.Call(call.func.func, [*call.func.args, *call.args], [*call.func.keywords, *call.keywords])
        function = call.func
        last = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        arguments = [root for item in call.args if (root := root_of(item))]
        if last in ATTRIBUTE_SETTERS or last in _REPARAMETRISERS:
            return set(arguments[:1])
        changed = self._changed_by_own(call, False)
        if isinstance(function, ast.Attribute):
            root = root_of(function.value)
            if last.endswith("_") and not last.endswith("__"):
                changed.update(arguments)
            if root and (last in _MUTATORS or (root not in self.imports and _is_mutator(last))):  # `sys.path.append`
                changed.add(root)
        return changed

    def changed_inside(self, node: ast.stmt) -> set[str]:
        """Return the names whose objects a statement changes by calls of setattr and of this file's functions in it."""
        changed: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                changed |= self._changed_by_own(inner, True)
                if getattr(inner.func, "id", "") in ATTRIBUTE_SETTERS and inner.args:
                    changed |= {root_of(inner.args[0])} - {""}
        return changed | owners(changed, node)

    def _changed_by_own(self, call: ast.Call, untrained: bool) -> set[str]:
        """`untrained` leaves out functions that train only by those that they call, as methods that do always are."""
        changed: set[str] = set()
        for node, given in self._run_by(call):
            if (untrained or isinstance(call.func, ast.Attribute)) and self.trains(node):
                continue
            names = self._changed_in(node)
            changed |= {root_of(item) for name, item in given.items() if name in names}
            changed |= names.difference(_parameters(node))
        return changed - {""}

    def globals_of(self, name: str) -> set[str]:
        """Return the global names whose objects a function of this file changes."""
        node = self.functions.get(name)
        return self._changed_in(node).difference(_parameters(node)) if node is not None else set()

    def passed_on(self, value: ast.expr) -> ast.expr | None:
        """Return what a call is given and gives back, changed or not: the `Net()` of `frozen(Net())`; None for others.

        What trains or restores a model gives back the one that it was given.
        """
        call = construction(value)
        for node, given in self._run_by(call) if call is not None else ():
            returned = [inner.value for inner in own_nodes(node) if isinstance(inner, ast.Return)]
            for name, item in given.items():
                if not self.trains(node) and any(each is not None and keeps(each, name) for each in returned):
                    return item
        return None

    def parts_of(self, value: ast.expr) -> set[str]:
        """Return the names whose objects, or parts of them, an expression is or gathers; none where it does more.

        `net.layers[0]`, `list(net.modules())`, `[net, other]`, `first_layer(net)`.
        """
        while isinstance(value, (ast.Attribute, ast.Subscript, ast.Starred, ast.NamedExpr)):
            value = value.value
        if isinstance(value, ast.Name):
            return {value.id}
        if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
            return self._parts_of_all(value.elts)
        if isinstance(value, ast.Dict):
            return self._parts_of_all(value.values)
        if isinstance(value, _COMPREHENSIONS):
            first = value.generators[0]
            return self.parts_of(first.iter) if root_of(value.elt) in target_names(first.target) else set()
        return self._parts_in_result(value) if isinstance(value, ast.Call) else set()

    def _parts_of_all(self, values: list[ast.expr]) -> set[str]:
        found = [self.parts_of(value) for value in values if not isinstance(value, ast.Constant)]
        return set().union(*found) if all(found) else set()

    def _parts_in_result(self, call: ast.Call) -> set[str]:
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in _GIVES_PARTS:
            return self.parts_of(function.value)
        if isinstance(function, ast.Name) and function.id in _COLLECTORS:
            return set().union(*map(self.parts_of, call.args))
        found: set[str] = set()
        for node, given in self._run_by(call):
            names = self._given_back(node)
            found = found.union(*(self.parts_of(item) for name, item in given.items() if name in names))
        return found

    def _given_back(self, node: Function) -> set[str]:
        """Return the parameters of a function whose objects, or parts of them, it returns; none if it trains."""
        if node not in self._returned:
            self._returned[node] = set()  # ends recursion
            values = [inner.value for inner in own_nodes(node) if isinstance(inner, ast.Return) and inner.value]
            if not self.trains(node):
                self._returned[node] = set().union(*map(self.parts_of, values)).intersection(_parameters(node))
        return self._returned[node]

    def taken_apart(self, value: ast.expr | None) -> str:
        """Return the name whose parts are all that a module is made of: `nn.Sequential(*list(net.children())[:-1])`."""
        call = construction(value) if value is not None else None
        if call is None or call.keywords:
            return ""
        items = [item.value if isinstance(item, ast.Starred) else item for item in call.args]
        roots = self._parts_of_all(items)
        whole = any(isinstance(item, ast.Name) for item in items)
        return roots.pop() if len(roots) == 1 and not whole else ""

    def trains(self, node: ast.stmt) -> bool:
        """Tell whether a function or a statement, or what it calls in this file, trains or restores a model."""
        if node not in self._training:
            self._training[node] = any(map(loads_or_trains, self._reached(node)))
        return self._training[node]

    def _reached(self, node: ast.stmt) -> Iterator[ast.stmt]:
        """Yield a statement and the functions of this file that it names, directly or through others."""
        todo, seen = [node], {node}
        while todo:
            current = todo.pop()
            yield current
            for inner in ast.walk(current):
                named: list[Function] = []
                if isinstance(inner, ast.Name) and inner.id in self.functions:
                    named = [self.functions[inner.id]]
                elif isinstance(inner, ast.Attribute):
                    named = self.methods.get(inner.attr, [])
                todo += [each for each in named if each not in seen]
                seen.update(named)

    def _run_by(self, call: ast.Call) -> Iterator[tuple[Function, dict[str, ast.expr]]]:
        """Yield the functions, methods and constructors of this file that a call may run, with what these are given."""
        function = call.func
        keywords = {item.arg: item.value for item in call.keywords if item.arg}
        if isinstance(function, ast.Name) and function.id in self.functions:
            node = self.functions[function.id]
            yield node, {**dict(zip(_parameters(node), call.args, strict=False)), **keywords}
        elif isinstance(function, ast.Name) and function.id in self.constructors:
            node = self.constructors[function.id]
            yield node, {**dict(zip(_parameters(node)[1:], call.args, strict=False)), **keywords}
        elif isinstance(function, ast.Attribute) and not function.attr.startswith("__"):
            for node in self.methods.get(function.attr, ()) if root_of(function) not in self.imports else ():
                static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
                values = call.args if static else [function.value, *call.args]
                yield node, {**dict(zip(_parameters(node), values, strict=False)), **keywords}

    def _changed_in(self, node: Function) -> set[str]:
        """Return the parameters and the global names of a function whose objects it changes; none if it trains."""
        if node not in self._changed:
            self._changed[node] = set()  # ends recursion
            self._changed[node] = set() if is_program(node) else self._changes(node)
        return self._changed[node]

    def _changes(self, node: Function) -> set[str]:
        changed: set[str] = set()
        declared: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Global):
                declared.update(inner.names)
            elif isinstance(inner, ASSIGNMENTS):
                changed |= changed_targets(inner)
            elif isinstance(inner, ast.Expr) and isinstance(inner.value, ast.Call):
                changed |= self.changed_by(inner.value)
        changed |= owners(changed, node)
        return changed.difference(bound_in(node)) | declared | changed.intersection(_parameters(node))


def owners(changed: set[str], node: ast.AST) -> set[str]:
    """Who changes with the elements: what is done to `layer` in `for layer in model.modules()` is done to the model."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, (ast.For, ast.comprehension)) and target_names(inner.target) & changed:
            values = inner.iter.args if isinstance(inner.iter, ast.Call) else []  # enumerate(…), zip(…), reversed(…)
            values = inner.iter.elts if isinstance(inner.iter, (ast.Tuple, ast.List)) else values
            found |= {root_of(item) for item in (inner.iter, *values)}
    return found - {""}


def _parameters(node: Function) -> list[str]:
    return [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _is_mutator(method: str) -> bool:
    in_place = method.endswith("_") and not method.endswith("__")
    return in_place or method in _MUTATORS or method.startswith(_MUTATING_PREFIXES)
