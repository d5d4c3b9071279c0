"""Which functions and methods of a file a call runs, read and never run."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Container, Iterator

from grader.worker.expressions import Function, is_partial, loads_or_trains, root_of
from grader.worker.statements import FUNCTIONS

_FOLDS = 20  # of a call that are followed


class Callees:
    """The functions, methods and constructors of one file; `imports` are the names that it imports.

    `values` are what the file's variables are last set to.
    """

    def __init__(self, imports: Container[str]) -> None:
        self.imports = imports
        self.functions: dict[str, Function] = {}
        self.methods: dict[str, list[Function]] = defaultdict(list)
        self.constructors: dict[str, Function] = {}
        self.values: dict[str, ast.expr] = {}
        self._lambdas: dict[ast.Lambda, Function] = {}
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
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            self.values.update({target.id: node.value for target in targets if isinstance(target, ast.Name)})

    def unfolded(self, call: ast.Call) -> ast.Call:
        """Return the call that one comes down to: of what a name stands for, of a partial's function, of a result's."""
        for _ in range(_FOLDS):
            function = call.func
            value = self._meaning(function.id) if isinstance(function, ast.Name) else None
            if value is not None:
                call = ast.Call(value, call.args, call.keywords)
            elif isinstance(function, ast.Call):  # `LAYERS.register("conv")(Conv)`, a decorator called by hand
                first = function.args if is_partial(function) else [function.func, *function.args]
                call = ast.Call(first[0], [*first[1:], *call.args], [*function.keywords, *call.keywords])
            else:
                break
        return call

    def _meaning(self, name: str) -> ast.expr | None:
        """Return what a variable stands for as a function: another name, a method, a partial, a lambda; else None."""
        value = self.values.get(name)
        known = isinstance(value, (ast.Name, ast.Attribute, ast.Lambda)) or is_partial(value)
        return value if known else None

    def function_of(self, callee: ast.expr) -> Function | None:
        """Return the function of this file that an expression is; a lambda as the function that it is short for."""
        if isinstance(callee, ast.Lambda):
            if callee not in self._lambdas:
                body: list[ast.stmt] = [ast.Expr(callee.body), ast.Return(callee.body)]
                self._lambdas[callee] = ast.FunctionDef("", callee.args, body, [])
            return self._lambdas[callee]
        return self.functions.get(callee.id) if isinstance(callee, ast.Name) else None

    def trains(self, node: ast.stmt) -> bool:
        """Tell whether a function or a statement, or what it calls in this file, trains or restores a model."""
        if node not in self._training:
            self._training[node] = any(map(loads_or_trains, self._reached(node)))
        return self._training[node]

    def _reached(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield a statement and the functions of this file that it names, directly or through others."""
        todo: list[ast.AST] = [node]
        seen = {*todo}
        while todo:
            current = todo.pop()
            yield current
            for inner in ast.walk(current):
                named: list[ast.AST] = []
                if isinstance(inner, ast.Name):
                    found = (self.function_of(inner), self._meaning(inner.id))
                    named = [each for each in found if each is not None]
                elif isinstance(inner, ast.Attribute):
                    named = [*self.methods.get(inner.attr, ())]
                todo += [each for each in named if each not in seen]
                seen.update(named)

    def run_by(self, call: ast.Call) -> Iterator[tuple[Function, dict[str, ast.expr]]]:
        """Yield the functions, methods and constructors of this file that a call may run, with what these are given."""
        function = call.func
        own = self.function_of(function)
        if own is not None:
            yield own, given_to(parameters_of(own), call.args, call)
        elif isinstance(function, ast.Name) and function.id in self.constructors:
            node = self.constructors[function.id]
            own_name, *names = parameters_of(node) or [""]
            kept = ast.Call(ast.Name("list"), [*call.args, *(item.value for item in call.keywords if item.arg)], [])
            yield node, {f"{own_name}.": kept, **given_to(names, call.args, call)}
        elif isinstance(function, ast.Subscript):  # `INITS["kaiming"](net)`
            table = self.values.get(root_of(function))
            for item in getattr(table, "elts", getattr(table, "values", ())):
                if not isinstance(item, ast.Subscript):
                    yield from self.run_by(ast.Call(item, call.args, call.keywords))
        elif isinstance(function, ast.Attribute) and not function.attr.startswith("__"):
            for node in self.methods.get(function.attr, ()) if root_of(function) not in self.imports else ():
                static = any(isinstance(item, ast.Name) and item.id == "staticmethod" for item in node.decorator_list)
                values = call.args if static else [function.value, *call.args]
                yield node, given_to(parameters_of(node), values, call)


def given_to(names: list[str], values: list[ast.expr], call: ast.Call) -> dict[str, ast.expr]:
    """Return what parameters of these names are given by position, and all that a call gives by name."""
    return {**dict(zip(names, values, strict=False)), **{item.arg: item.value for item in call.keywords if item.arg}}


def parameters_of(node: Function) -> list[str]:
    return [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
