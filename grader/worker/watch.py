"""Which module of a model runs at the moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from grader.worker.tape import Tape


class Watch:
    """Keeps track of which module runs, for the tape that records.

    A change of `nn.Module` reaches each of its some hundred subclasses, so one serves all traces of a model; one of
    `__call__` would be written into every one of them, on as many pages of memory.
    """

    def __init__(self) -> None:
        self.tape: Tape | None = None
        self.call: Callable[..., Any] = nn.Module._call_impl

    def __enter__(self) -> Watch:
        call = self.call

        def tracked(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            tape = self.tape
            if tape is None:
                return call(module, *args, **kwargs)
            path = tape.paths.get(id(module), tape.module)
            tape.calls[path] = tape.calls.get(path, 0) + 1
            tape.modules.append(path)
            try:
                return call(module, *args, **kwargs)
            finally:
                tape.modules.pop()

        nn.Module._call_impl = tracked  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *error: Any) -> None:
        nn.Module._call_impl = self.call  # type: ignore[method-assign]

    @contextmanager
    def of(self, tape: Tape) -> Iterator[None]:
        """Watch for one tape."""
        self.tape = tape
        try:
            yield
        finally:
            self.tape = None
