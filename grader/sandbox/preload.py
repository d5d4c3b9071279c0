"""The imports of a fresh process, done once and before any submission is known."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from typing import Any

from grader.sandbox.control import Setup


class ImportFailed(Exception):
    """A module that every child needs could not be imported."""


def load(setup: Setup) -> dict[str, Callable[[Any], None]]:
    """Import the libraries and the roles' modules; return each role's `serve`.

    Nothing here may start a thread: a fork would lose it, and whatever lock it holds.
    """
    gc.disable()  # imports make no garbage worth a tenth of their time
    for name in setup.preload:
        _import(name)
    serve = {role: _import(name).serve for role, name in setup.roles.items()}
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)
    gc.freeze()  # a collection in a child would touch, and so copy, every page that it shares
    gc.enable()
    return serve


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # a broken installation can raise anything
        raise ImportFailed(f"{name} could not be imported: {type(error).__name__}: {error}") from error
