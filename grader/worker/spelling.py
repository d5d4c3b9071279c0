"""Names that nothing has bound, and names that torch does not have: which was meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import pairwise
from types import FrameType, ModuleType, TracebackType

from torch import Tensor

# What files of this kind import by these names.
IMPORTS = {
    "torch": "import torch",
    "nn": "from torch import nn",
    "F": "import torch.nn.functional as F",
    "optim": "from torch import optim",
    "Tensor": "from torch import Tensor",
    "np": "import numpy as np",
    "math": "import math",
    "random": "import random",
    "os": "import os",
    "OrderedDict": "from collections import OrderedDict",
    "partial": "from functools import partial",
    "dataclass": "from dataclasses import dataclass",
    **{name: f"from typing import {name}" for name in ("List", "Tuple", "Dict", "Optional", "Union", "Any")},
}
ABBREVIATED = {"torch.nn": "nn", "torch.nn.functional": "F"}


def unbound(error: NameError) -> tuple[str, str]:
    """Return the name that code reads and nothing binds, and how to mend that; ('', '') where that can't be told."""
    name = error.name
    frame = _innermost(error.__traceback__)
    if type(name) is not str or frame is None:
        return "", ""
    if name in IMPORTS:
        return name, f"Add the import: {IMPORTS[name]}."
    if ("super", name) in pairwise(frame.f_code.co_names) and "self" in frame.f_locals:  # super(Net, self)
        own = _class_of(frame.f_locals["self"])
        return name, f"The class is called {own}: write super().__init__(), which needs no name."
    near = _nearest(name, (*frame.f_locals, *frame.f_globals))
    return name, f"Did you mean {near}?" if near else f"Give {name} a value before this line, or import it."


def absent(error: AttributeError) -> tuple[str, str]:
    """Return what a module of torch, or a tensor, is asked for in vain, and what was meant; ('', '') for others."""
    name, owner = error.name, error.obj
    if type(name) is not str:
        return "", ""
    if type(owner) is ModuleType and owner.__name__.partition(".")[0] == "torch":
        shown = ABBREVIATED.get(owner.__name__, owner.__name__)
    elif isinstance(owner, Tensor):
        shown = "a tensor"
    else:
        return "", ""
    near = _nearest(name, dir(owner))
    written = near if shown == "a tensor" else f"{shown}.{near}"
    return f"{shown} has no {name}", f"Did you mean {written}?" if near else "Look it up in PyTorch's documentation."


def constructed(error: BaseException) -> str:
    """Return the name of the class whose constructor raised an error, the outermost one; '' if none is known."""
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_name == "__init__" and "self" in frame.f_locals:
            return _class_of(frame.f_locals["self"])
        traceback = traceback.tb_next
    return ""


def _class_of(value: object) -> str:
    return str(type.__dict__["__name__"].__get__(type(value)))  # whatever its metaclass says of it


def _innermost(traceback: TracebackType | None) -> FrameType | None:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return None if traceback is None else traceback.tb_frame


def _nearest(name: str, names: Iterable[object]) -> str:
    """Return the name that differs in its capitals alone, else the most similar one; '' if none is."""
    known = [item for item in names if type(item) is str and not item.startswith("__")]
    same = [item for item in known if item.lower() == name.lower()]
    return next(iter(same or get_close_matches(name, known, 1, 0.75)), "")
