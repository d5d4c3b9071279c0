"""Classes that hold a model that they are given, or a copy, and compute what it does: averages of weights."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from grader.worker.expressions import dotted, keeps, own_nodes

GIVEN_NAME = re.compile(r"(?i)(?:\w+_)?(?:model|net|network|module|backbone)")

# Calls that a constructor may make of what it holds.
_HARMLESS = frozenset("__init__ eval to cuda requires_grad_ detach_ register_buffer load_state_dict".split())


def is_double(node: ast.stmt) -> bool:
    """Tell whether a class computes what the model does that its constructor is given: `ModelEMA(model)`."""
    methods = {inner.name: inner for inner in getattr(node, "body", ()) if isinstance(inner, ast.FunctionDef)}
    init, forward = methods.get("__init__"), methods.get("forward")
    if init is None or forward is None or _alters(init):
        return False
    given = [argument.arg for argument in init.args.args[1:] if GIVEN_NAME.fullmatch(argument.arg)]
    held = {name: any(_is_copy(value, model) for model in given) for name, value in _attributes(init)}
    passed = {argument.arg for argument in ast.walk(forward.args) if isinstance(argument, ast.arg)}
    returned = [inner.value for inner in own_nodes(forward) if isinstance(inner, ast.Return)]
    return bool(returned) and all(_is_call_of(value, held, passed) for value in returned)


def is_average(path: str) -> bool:
    """Tell whether what an absent package provides averages the weights of the model that it is given."""
    return bool(re.search(r"EMA|Ema|Averag|SWA", path.rpartition(".")[2])) and not path.isidentifier()


def _alters(init: ast.FunctionDef) -> bool:
    """Tell whether a constructor may do more with the model than keep it."""
    for inner in ast.walk(init):
        if isinstance(inner, (ast.Attribute, ast.Subscript)) and isinstance(inner.ctx, ast.Store):
            harmless = dotted(inner.value) == "self" or getattr(inner, "attr", "") == "requires_grad"
        else:
            call = inner.value if isinstance(inner, ast.Expr) else None
            harmless = not isinstance(call, ast.Call) or getattr(call.func, "attr", "") in _HARMLESS
        if not harmless:
            return True
    return False


def _attributes(init: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield what a constructor sets: `self.name = value`."""
    for inner in ast.walk(init):
        if isinstance(inner, ast.Assign):
            for target in inner.targets:
                if isinstance(target, ast.Attribute) and dotted(target.value) == "self":
                    yield target.attr, inner.value


def _is_copy(value: ast.expr, model: str) -> bool:
    """Tell whether an expression is a module or a copy of it, moved or not: `deepcopy(model).eval()`."""
    if isinstance(value, ast.Call) and value.args and dotted(value.func).rpartition(".")[2] in ("deepcopy", "copy"):
        return keeps(value.args[0], model)
    is_method = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and not dotted(value.func)
    return keeps(value, model) or (is_method and _is_copy(value.func.value, model))  # type: ignore[attr-defined]


def _is_call_of(value: ast.expr | None, held: dict[str, bool], passed: set[str]) -> bool:
    """Tell whether an expression is a held model's prediction for what forward is given: `self.module(*args)`."""
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return False
    given = [*value.args, *(item.value for item in value.keywords)]
    plain = (item.value if isinstance(item, ast.Starred) else item for item in given)
    known = all(isinstance(item, ast.Name) and item.id in passed for item in plain)
    return known and dotted(value.func.value) == "self" and held.get(value.func.attr, False)
