"""Layers that are used as if they were something else, and what is used as if it were a layer."""

from __future__ import annotations

import re

from torch import nn

from grader.worker.explain.raised import DOING, Case, Raised

_NO_TENSOR = re.compile(r"must be Tensor, not (\w+)|invalid combination of arguments - got \((\w+),")
_NO_LAYER = re.compile(r"^'(list|tuple|NoneType)' object is not callable$")
_SET_TO = {
    "list": "Make it nn.Sequential(*layers), or call each layer of nn.ModuleList(layers) in a loop.",
    "tuple": "Look where it is set: a comma at the end of that line makes it a tuple.",
    "NoneType": "Look where it is set: there it is None, or what a function without a return gives.",
}


def layer_for_tensor(raised: Raised) -> Case | None:
    """`nn.ReLU(x)` makes a layer, and what follows is given that."""
    match = _NO_TENSOR.search(raised.text)
    name = (match[1] or match[2]) if match else ""
    if not isinstance(getattr(nn, name, None), type):
        return None
    message = f"{DOING[raised.stage]} the layer nn.{name} is given where a tensor is expected"
    if raised.stage != "forward":
        return Case(None, message, "One layer is called with another as its images.", "Put a comma between two layers.")
    why = f"nn.{name}(x) makes a layer and does nothing to x."
    return Case(None, message, why, f"Make the layer in __init__, self.layer = nn.{name}(), and write self.layer(x).")


def no_layer(raised: Raised) -> Case | None:
    """What is called is a list, a tuple or nothing at all."""
    match = _NO_LAYER.search(raised.text)
    if match is None:
        return None
    what = {"NoneType": "None"}.get(match[1], f"a {match[1]}")
    message = f"{DOING[raised.stage]} {what} is called like a layer"
    return Case(None, message, "Python can call functions, classes and modules.", _SET_TO[match[1]])
