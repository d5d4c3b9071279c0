"""Models that stand where few look: classes inside `try` or made by calls, all in the main block."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn

from grader.worker.expressions import dotted, own_nodes, root_of
from grader.worker.modules import Definitions
from grader.worker.statements import Leaf


def hidden_models(definitions: Definitions) -> dict[str, Any]:
    """Return the models that stand there, classes and instances, by their names."""
    found = {}
    makers = {"type", *_makers_of_classes(definitions)}
    for leaf in definitions.outline.leaves:
        node = leaf.node
        made = isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and root_of(node.value.func) in makers
        in_try = isinstance(node, ast.Try) and any(isinstance(inner, ast.ClassDef) for inner in ast.walk(node))
        if made or in_try or (leaf.main and (isinstance(node, ast.ClassDef) or makes_sequential(node))):
            found.update({name: value for name, value in _values(definitions, leaf) if _is_model(value)})
    return found


def makes_sequential(node: ast.AST) -> bool:
    """Tell whether a statement assigns an `nn.Sequential`, moved to a device or not."""
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return isinstance(node, ast.Assign) and any(dotted(name).rpartition(".")[2] == "Sequential" for name in calls)


def _makers_of_classes(definitions: Definitions) -> Iterator[str]:
    """Yield the functions that define a class and return it: `return Net`."""
    for name, node in definitions.outline.effects.functions.items():
        inner = {item.name for item in ast.walk(node) if isinstance(item, ast.ClassDef)}
        if any(isinstance(item, ast.Return) and getattr(item.value, "id", "") in inner for item in own_nodes(node)):
            yield name


def _values(definitions: Definitions, leaf: Leaf) -> Iterator[tuple[str, Any]]:
    """Yield the names that a statement binds with their values; the name of a caught exception is gone after it."""
    for name in sorted(leaf.binds):
        with contextlib.suppress(KeyError):
            yield name, definitions.find(name)


def _is_model(value: Any) -> bool:
    is_class = isinstance(value, type) and issubclass(value, nn.Module) and value.forward is not nn.Module.forward
    return is_class or isinstance(value, nn.Module)
