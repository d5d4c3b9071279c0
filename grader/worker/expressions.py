"""What code says by its form alone: names, calls that make a module, functions that train."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Union

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]

# Methods that return the module they are called on, and functions that return the module they are given.
_SELF_METHODS = frozenset("to cuda cpu eval train float double half apply requires_grad_ type share_memory xpu".split())
_WRAPPERS = frozenset(
    "DataParallel DistributedDataParallel DDP compile script trace freeze convert_sync_batchnorm".split()
)
# Calls that only programs make: a statement that makes one is never run.
PROGRAM = frozenset(("backward", "step", "zero_grad", "load_state_dict"))
# A function that mentions any of these is a program, too, whatever it returns.
_PROGRAM_NAMES = frozenset("load hub DataLoader load_url load_state_dict_from_url".split())
_NAME_CAP = 100  # code points of a name that are looked at
_WORD = re.compile(r"[^\W\d]\w*")
# What attributes, keys and methods are called that hold or return a whole model.
_KEPT_MODEL = re.compile(r"(?i)(?:^|_)(?:\w*model|\w*net(?:work)?|\w*module|backbone|cnn|classifier|student|m)s?$")


def root_of(node: ast.AST) -> str:
    """Return the name that an expression such as `net.layers[0].weight` starts from; '' if it starts from none."""
    while True:
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "super":
            return "self"
        else:
            return node.id if isinstance(node, ast.Name) else ""


def words_in(node: ast.AST) -> set[str]:
    """Return the names in code, and what in its texts may be names: `eval("net.head")`, `globals()["net"]`."""
    found: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            found.add(inner.id)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            found.update(_WORD.findall(inner.value))
    return found


def touched(node: ast.expr) -> set[str]:
    """Return the names whose objects change where that of an expression is changed.

    `name.` stands for a model that the object keeps: `trainer` and `trainer.` for `trainer.net.head`.
    """
    root = root_of(node)
    names = {root} if root else words_in(node)
    steps = [getattr(inner, "attr", getattr(inner, "value", None)) for inner in ast.walk(node)]
    keeps_model = any(isinstance(step, str) and _KEPT_MODEL.search(step[:_NAME_CAP]) for step in steps)
    return names | {f"{name}." for name in names} if keeps_model else names


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
        isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in PROGRAM
        for inner in ast.walk(node)
    )


def loads_or_trains(node: ast.AST) -> bool:
    """Tell whether code trains or restores a model, or loads what such code needs."""
    return is_program(node) or mentions(node, _PROGRAM_NAMES)


def is_partial(value: ast.expr | None) -> bool:
    """Tell whether an expression is `partial(function, …)`."""
    return isinstance(value, ast.Call) and bool(value.args) and dotted(value.func).rpartition(".")[2] == "partial"


def construction(value: ast.expr) -> ast.Call | None:
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


def keeps(value: ast.expr, name: str) -> bool:
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


def mentions(node: ast.AST, names: Iterable[str]) -> bool:
    wanted = frozenset(names)
    return any(
        (isinstance(inner, ast.Name) and inner.id in wanted)
        or (isinstance(inner, ast.Attribute) and inner.attr in wanted)
        for inner in ast.walk(node)
    )


def requires_arguments(node: Function | ast.Lambda) -> bool:
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    return positional > len(arguments.defaults) or any(default is None for default in arguments.kw_defaults)


def own_nodes(node: Function) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions and classes inside it."""
    stack: list[ast.AST] = list(node.body)
    while stack:
        inner = stack.pop()
        yield inner
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            stack.extend(ast.iter_child_nodes(inner))
