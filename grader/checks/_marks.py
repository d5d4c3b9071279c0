"""Which computations are the same one: those of one operator with the same arguments get the same mark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grader.facts import Facts, Operand, Step
from grader.graph import Arg, Items, Ref, Slice


class Marks:
    """Gives marks to the nodes and tensors of one program; `known` is shared by the programs of a submission."""

    def __init__(self, facts: Facts, known: dict[Any, int]) -> None:
        self.facts = facts
        self.known = known
        self.steps: dict[int, int] = {}

    def of(self, operand: Operand) -> int:
        """Return the mark of a tensor: of what it is, and of all that was written into it."""
        writers = [self.facts.steps[index] for index in operand.writers]
        places = [writer.node.outputs.index(operand.id) for writer in writers if operand.id in writer.node.outputs]
        return self.mark((operand.leaf, *map(self.of_step, writers), *places))

    def of_step(self, step: Step) -> int:
        if step.index not in self.steps:
            self.steps[step.index] = self.mark(step.index)  # a node that writes into what it reads
            given = {operand.id: self.of(operand) for operand in step.operands}
            arguments = [_marked(argument, given) for argument in step.node.args]
            named = [(name, _marked(argument, given)) for name, argument in sorted(step.node.kwargs.items())]
            own = step.index if step.kind == "random" else None
            self.steps[step.index] = self.mark((step.node.op, own, tuple(arguments), tuple(named)))
        return self.steps[step.index]

    def mark(self, what: Any) -> int:
        return self.known.setdefault(what, len(self.known))


def _marked(argument: Arg, given: Mapping[int, int]) -> Any:
    if isinstance(argument, Ref):
        return "tensor", given.get(argument.id, argument.id)
    if isinstance(argument, Items):
        return tuple(_marked(item, given) for item in argument.items)
    if isinstance(argument, Slice):
        return tuple(_marked(bound, given) for bound in (argument.start, argument.stop, argument.step))
    return argument
