"""What calls of a file's own functions and methods change, and what they give back."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Container

from grader.worker.callees import Callees, given_to, parameters_of
from grader.worker.expressions import (
    PROGRAM,
    Function,
    construction,
    dotted,
    is_program,
    keeps,
    own_nodes,
    root_of,
    touched,
    words_in,
)
from grader.worker.hooks import REGISTER, looking
from grader.worker.statements import (
    ASSIGNMENTS,
    ATTRIBUTE_SETTERS,
    bound_in,
    changed_targets,
    target_names,
)

# Methods that change the object they are called on, beside those whose names end with an underscore or begin as below.
_MUTATORS = frozenset(
    "append extend insert update setdefault pop popitem remove clear sort reverse discard apply".split()
)
_MUTATING_PREFIXES = ("add", "set_", "register", "read_")
# Methods that change their object; called on a class, the first argument.
_SETTERS = frozenset("__init__ __setattr__ __delattr__ __setitem__ __delitem__".split())
_RUN_TEXT = ("exec", "eval")
# Functions that change the module they are given.
_REPARAMETRISERS = frozenset(
    "weight_norm spectral_norm orthogonal register_parametrization remove_parametrizations remove_weight_norm"
    " remove_spectral_norm l1_unstructured random_unstructured ln_structured random_structured".split()
)

# Methods that return the parts of a module, or a handle of it, and functions that return them in another collection.
_GIVES_PARTS = {*REGISTER, *"children modules named_children named_modules get_submodule values items".split()}
_COLLECTORS = frozenset("list tuple dict set next iter reversed sorted filter getattr".split())
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp)

Elsewhere = Callable[[str], tuple["Effects", Function] | None]


class Effects(Callees):
    """What running the functions and methods of one file does to objects, and what it gives back.

    `elsewhere` finds a function that another file of the submission defines, with that file's effects.
    """

    def __init__(self, imports: Container[str], elsewhere: Elsewhere | None) -> None:
        super().__init__(imports)
        self.elsewhere = elsewhere
        self._changed: dict[Function, set[str]] = {}
        self._returned: dict[Function, set[str]] = {}

    def changed_by(self, call: ast.Call) -> set[str]:
        """Return the names whose objects a call changes, its result being thrown away: see `touched`."""
        call = self.unfolded(call)
        function = call.func
        last = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        if last in ATTRIBUTE_SETTERS or last in _REPARAMETRISERS:
            return touched(call.args[0]) if call.args else set()
        if last in REGISTER and call.args and (functions := looking(call.args[0], self)):
            kept = set().union(*(_without(self._changed_in(node), parameters_of(node)) for node in functions))
            return kept | touched(function) if kept & self._read_by_methods() else kept
        if last in _RUN_TEXT and isinstance(function, ast.Name):
            return self._changed_by_text(call)
        changed = self._changed_by_own(call, False)
        if isinstance(function, ast.Attribute):
            root = root_of(function.value)
            if last.endswith("_") and not last.endswith("__"):
                changed = changed.union(*map(touched, call.args))
            if last in _SETTERS:
                of_class = root in self.imports or root in self.constructors
                changed |= touched(call.args[0]) if of_class and call.args else touched(function.value)
            if last in _MUTATORS or (root not in self.imports and _is_mutator(last)):  # `sys.path.append`
                changed |= touched(function.value)
        return changed

    def kept_by(self, value: ast.expr) -> set[str]:
        """Return the names of what an object keeps that is made from others: `Trainer(net)`, `{"net": net}`."""
        given = list(getattr(value, "elts", getattr(value, "values", [])))
        if isinstance(value, ast.Call) and not any(self.trains(node) for node, _ in self.run_by(value)):
            given = [*value.args, *(item.value for item in value.keywords)]
        return set().union(*map(self.parts_of, given))

    def changed_inside(self, node: ast.stmt) -> set[str]:
        """Return the names whose objects a statement changes by calls of setattr and of this file's functions in it."""
        changed: set[str] = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                changed |= self._changed_by_own(self.unfolded(inner), True)
                changed |= self.changed_by(inner) if getattr(inner.func, "attr", "") in REGISTER else set()
                if getattr(inner.func, "id", "") in ATTRIBUTE_SETTERS and inner.args:
                    changed |= touched(inner.args[0])
        return changed | owners(changed, node)

    def _read_by_methods(self) -> set[str]:
        nodes = itertools.chain.from_iterable(self.methods.values())
        return set().union(*map(words_in, nodes))

    def _changed_by_text(self, call: ast.Call) -> set[str]:
        """Every name in a text that runs as code may be changed; none if the text trains."""
        words = set().union(*map(words_in, call.args))
        words |= set().union(*(words_in(self.values[word]) for word in words if word in self.values))
        named = [self.functions[word] for word in words if word in self.functions]
        trains = not words.isdisjoint(PROGRAM) or any(map(self.trains, named))
        return set() if trains else {word for word in words if word not in self.imports}

    def _changed_by_own(self, call: ast.Call, untrained: bool) -> set[str]:
        """`untrained` leaves out functions that train only by those that they call, as methods that do always are."""
        changed: set[str] = set()
        for node, given in self.run_by(call):
            if (untrained or isinstance(call.func, ast.Attribute)) and self.trains(node):
                continue
            names = self._changed_in(node)
            for name, item in given.items():
                if name in names:
                    roots = touched(item) if root_of(item) else self.parts_of(item)
                    changed |= roots | {f"{root}." for root in roots if f"{name}." in names}
            changed |= _without(names, parameters_of(node))
        return changed | self._changed_by_handed(call) | self._changed_elsewhere(call)

    def _changed_elsewhere(self, call: ast.Call) -> set[str]:
        """Return what a function of another file changes of what it is given; nothing where it trains."""
        name = dotted(call.func)
        own = name.partition(".")[0] in (*self.functions, *self.constructors, *self.values)
        known = self.elsewhere(name) if self.elsewhere is not None and name and not own else None
        if known is None or known[0].trains(known[1]):
            return set()
        effects, node = known
        names = effects._changed_in(node)
        given = given_to(parameters_of(node), call.args, call)
        return set().union(*(touched(item) for name, item in given.items() if name in names))

    def _changed_by_handed(self, call: ast.Call) -> set[str]:
        """Return what is given to others together with a function of this file that changes it: `map(off, layers)`."""
        if any(True for _ in self.run_by(call)):
            return set()
        given = [*call.args, *(item.value for item in call.keywords)]
        functions = [node for item in given if (node := self.function_of(item))]
        changed: set[str] = set()
        for node in functions:
            names = self._changed_in(node) if not self.trains(node) else set()
            changed |= _without(names, parameters_of(node))
            if names.intersection(parameters_of(node)):
                changed = changed.union(*map(self.parts_of, given))
        return {name for name in changed if name not in self.functions}

    def globals_of(self, name: str) -> set[str]:
        """Return the global names whose objects a function of this file changes."""
        node = self.functions.get(name)
        return _without(self._changed_in(node), parameters_of(node)) if node is not None else set()

    def passed_on(self, value: ast.expr) -> ast.expr | None:
        """Return what a call is given and gives back, changed or not: the `Net()` of `frozen(Net())`; None for others.

        What trains or restores a model gives back the one that it was given.
        """
        call = construction(value)
        for node, given in self.run_by(call) if call is not None else ():
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
        if isinstance(value, (ast.IfExp, ast.BoolOp)):
            ways = [value.body, value.orelse] if isinstance(value, ast.IfExp) else value.values
            return set().union(*map(self.parts_of, ways))
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
        for node, given in self.run_by(call):
            names = self._given_back(node)
            found = found.union(*(self.parts_of(item) for name, item in given.items() if name in names))
            found |= names.difference(parameters_of(node))
        return found

    def _given_back(self, node: Function) -> set[str]:
        """Return the parameters and global names whose objects, or parts, a function returns; none if it trains."""
        if node not in self._returned:
            self._returned[node] = set()  # ends recursion
            values = [inner.value for inner in own_nodes(node) if isinstance(inner, ast.Return) and inner.value]
            if not self.trains(node):
                own = bound_in(node).difference(parameters_of(node))
                self._returned[node] = set().union(*map(self.parts_of, values)) - own
        return self._returned[node]

    def returned_by(self, name: str) -> set[str]:
        """Return the global names whose objects, or parts of them, a function of this file returns."""
        node = self.functions[name]
        return self._given_back(node).difference(parameters_of(node))

    def taken_apart(self, value: ast.expr | None) -> str:
        """Return the name whose parts are all that a module is made of: `nn.Sequential(*list(net.children())[:-1])`."""
        call = construction(value) if value is not None else None
        if call is None or call.keywords:
            return ""
        items = [item.value if isinstance(item, ast.Starred) else item for item in call.args]
        roots = self._parts_of_all(items)
        whole = any(isinstance(item, ast.Name) for item in items)
        return roots.pop() if len(roots) == 1 and not whole else ""

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
        return _without(changed, bound_in(node).difference(parameters_of(node))) | declared


def _without(names: set[str], others: Container[str]) -> set[str]:
    return {name for name in names if name.rstrip(".") not in others}


def owners(changed: set[str], node: ast.AST) -> set[str]:
    """Who changes with the elements: what is done to `layer` in `for layer in model.modules()` is done to the model."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, (ast.For, ast.comprehension)) and target_names(inner.target) & changed:
            values = inner.iter.args if isinstance(inner.iter, ast.Call) else []  # enumerate(…), zip(…), reversed(…)
            values = inner.iter.elts if isinstance(inner.iter, (ast.Tuple, ast.List)) else values
            found = found.union(*map(touched, (inner.iter, *values)))
    return found


def _is_mutator(method: str) -> bool:
    in_place = method.endswith("_") and not method.endswith("__")
    return in_place or method in _MUTATORS or method.startswith(_MUTATING_PREFIXES)
