"""Work that reaches torch behind the back of the tape."""

from __future__ import annotations

import sys
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from grader.protocol import Refusal
from grader.worker import places
from grader.worker.tape import Tape
from grader.worker.tensors import memory_of, tensors_in


class Audit(TorchDispatchMode):
    """Sees the work that reaches torch's kernels behind the tape's back: scripted code, switched-off overrides."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler, three seconds, to exempt this class from it

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if not self.tape.busy and str(func) not in HARMLESS:
            memories = [memory_of(tensor) for tensor in tensors_in((args, kwargs))]
            if any(memory in self.tape.derived or memory in self.tape.owned for memory in memories):
                self.tape.refuse(
                    Refusal(
                        "capture",
                        f"{str(func).split('.')[1]} ran outside of what can be recorded",
                        why="Scripted or hidden code can't be seen, so the grader can't tell what the model computes.",
                        fix="Write this part of forward as plain PyTorch.",
                        span=places.nearest(sys._getframe()),
                    )
                )
        return func(*args, **(kwargs or {}))


HARMLESS = frozenset(("aten.detach.default", "aten.alias.default", "aten.lift_fresh.default"))
