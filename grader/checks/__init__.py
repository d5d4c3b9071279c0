"""The checks: one file each, found by name; a check's docstring is its documentation page."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from grader.checks._subject import Subject
from grader.finding import CheckResult

__all__ = ["Check", "Subject", "checks"]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its id, the type of its options, its documentation page, and the function that makes it."""

    id: str
    options: type[msgspec.Struct]
    page: str
    run: Callable[[Subject, Any], CheckResult]

    @property
    def summary(self) -> str:
        """The first sentence of the page."""
        return self.page.split("\n\n", 1)[0].replace("\n", " ")


@cache
def checks() -> dict[str, Check]:
    """Return every check by its id: the modules of this package whose names do not begin with an underscore."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        if not info.name.startswith("_"):
            module = importlib.import_module(f"{__name__}.{info.name}")
            identifier = info.name.replace("_", "-")
            found[identifier] = Check(identifier, module.Options, inspect.cleandoc(module.__doc__ or ""), module.check)
    return found
