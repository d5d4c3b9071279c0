"""The parameters of a submission's classes and functions, whatever these say of themselves."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def required_arguments(function: Any) -> list[str]:
    """Return the parameters without defaults that a class or function must be given."""
    return [name for name, item in parameters(function).items() if item.default is item.empty and item.kind in _NAMED]


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """Return the parameters of a class's constructor, without `self`, or of a function; none if they can't be told."""
    try:
        if isinstance(function, type):
            init = inspect.getattr_static(function, "__init__")
            if init is inspect.getattr_static(nn.Module, "__init__") or not inspect.isfunction(init):
                return {}
            return dict(list(inspect.signature(init).parameters.items())[1:])
        return dict(inspect.signature(function).parameters)
    except Exception:  # a submission's own __signature__ may be anything
        return {}


def input_misfit(forward: Any) -> str:
    try:
        signature = dict(list(inspect.signature(forward).parameters.items())[1:])
    except Exception:  # a submission's own __signature__ may be anything
        return ""
    needed = [name for name, item in signature.items() if item.default is item.empty and item.kind in _NAMED]
    if len(needed) > 1:
        return f"its forward needs {len(needed)} inputs ({', '.join(needed)[:100]})"
    takes = [item for item in signature.values() if item.kind in (*_NAMED[:2], inspect.Parameter.VAR_POSITIONAL)]
    return "" if takes else "its forward takes no input"
