"""The imports of a fresh process, done once and before any submission is known."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from grader.sandbox import pages
from grader.sandbox.control import Setup

EARLY = ("resource", "encodings.ascii")  # what a child imports by itself, before it may no longer read


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
    gc.enable()
    return serve


def settle(setup: Setup) -> None:
    """Make this process ready to be forked: what its children would all do, and all have to copy, is done once.

    A role's module may hold `rehearse()`, which does what a child of it will do; for one submission alone that would
    take longer than it saves. What fails in it is not told: it will fail in a child too, and be told there.
    """
    for name in EARLY:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # a collection in a child would touch, and so copy, every page that it shares
    gc.disable()
    for name in setup.roles.values() if setup.many else ():
        if rehearse := getattr(sys.modules[name], "rehearse", None):
            with suppress(Exception):
                rehearse()
    gc.collect()
    pages.pack()
    gc.freeze()
    gc.enable()


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except BaseException as error:  # a broken installation can raise anything
        raise ImportFailed(f"{name} could not be imported: {type(error).__name__}: {error}") from error
