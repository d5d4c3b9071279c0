"""Hooks that only look at what layers compute: they keep or print it, and the model is the same without them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from grader.worker.callees import Callees, parameters_of
from grader.worker.expressions import Function, is_partial, own_nodes, root_of

REGISTER = ("register_forward_hook", "register_forward_pre_hook")
_KEEPING = ("append", "extend", "add", "update")  # methods that return nothing
_REACHING = ("setattr", "delattr", "exec", "eval")


def looking(hook: ast.expr, callees: Callees) -> list[Function]:
    """Return the functions that a hook may be; none where one of them may do more than look."""
    functions = list(_functions(hook, callees))
    return functions if all(_only_looks(node, callees) for node in functions) else []


def _functions(hook: ast.expr, callees: Callees) -> Iterator[Function]:
    value = callees.values.get(hook.id, hook) if isinstance(hook, ast.Name) else hook
    own = callees.function_of(hook) or callees.function_of(value)
    if own is not None:
        yield own
    elif isinstance(value, ast.Attribute):  # `collector.keep`
        yield from callees.methods.get(value.attr, ())
    elif isinstance(value, ast.Call) and is_partial(value):
        yield from _functions(value.args[0], callees)
    elif isinstance(value, ast.Call):
        maker = callees.function_of(value.func)
        if maker is None:  # `Collector()`
            yield from callees.methods.get("__call__", ())
            return
        returned = {getattr(inner.value, "id", "") for inner in own_nodes(maker) if isinstance(inner, ast.Return)}
        yield from (inner for inner in maker.body if isinstance(inner, ast.FunctionDef) and inner.name in returned)


def _only_looks(node: Function, callees: Callees) -> bool:
    """Tell whether a function does nothing but keep and print; what it can't be seen to do counts as more."""
    given = {*parameters_of(node), *(item.arg for item in (node.args.vararg, node.args.kwarg) if item)} - {"self"}
    for inner in ast.walk(node):
        if isinstance(inner, ast.stmt) and inner is not node and not _is_quiet(inner, given):
            return False
        if isinstance(inner, ast.NamedExpr) or (isinstance(inner, ast.Call) and not _is_harmless(inner, callees)):
            return False
    return True


def _is_quiet(node: ast.stmt, given: set[str]) -> bool:
    """Tell whether a statement returns nothing, and writes into nothing that the hook is given."""
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(item, (ast.Attribute, ast.Subscript)) and root_of(item) not in given for item in targets)
    if isinstance(node, (ast.Expr, ast.Return)):
        value = node.value
        function = value.func if isinstance(value, ast.Call) else None
        keeps = isinstance(function, ast.Attribute) and function.attr in _KEEPING and root_of(function) not in given
        return value is None or isinstance(value, ast.Constant) or keeps or getattr(function, "id", "") == "print"
    return isinstance(node, (ast.If, ast.Pass))


def _is_harmless(call: ast.Call, callees: Callees) -> bool:
    """Tell whether a call is none of the file's own functions, and works on nothing in place."""
    function = call.func
    if any(item.arg in ("inplace", "out") for item in call.keywords):
        return False
    if isinstance(function, ast.Attribute):
        return not function.attr.endswith("_") and function.attr not in callees.methods
    return (
        isinstance(function, ast.Name)
        and function.id not in (*_REACHING, *callees.functions, *callees.constructors)
        and function.id not in callees.values
    )
