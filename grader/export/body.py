"""A forward as lines of Python: one line for each operator, with the line of the submission that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from grader.export.expressions import BATCH, call, in_place, result, sizes, targets, value
from grader.export.steps import Forward, Step
from grader.export.variables import FIRST, UNREAD, Variables
from grader.finding import Span
from grader.graph import Ref
from grader.render.escape import visible

INDENT = "    "


def forward_lines(forward: Forward, fixed: Mapping[int, str], head: str = "forward") -> Iterator[str]:
    """Yield the lines of a method that does what a forward does; `fixed` are the expressions of the model's tensors."""
    yield f"def {head}(self, {FIRST[0]}):"
    for line in _body(forward, Variables(forward, fixed), fixed):
        yield f"{INDENT}{line}"


def comment(span: Span | None) -> str:
    """Return the comment that names a place of the submission; whatever its file is called, it stays one comment."""
    return f"  # {visible(span.file)}:{span.line}" if span is not None else ""


def _body(forward: Forward, variables: Variables, fixed: Mapping[int, str]) -> Iterator[str]:
    arguments = [argument for step in forward.steps for argument in (*step.node.args, *step.node.kwargs.values())]
    if any(map(sizes, (*arguments, forward.output))):
        yield f"{BATCH} = {FIRST[0]}.size(0)"
    numbered = enumerate(forward.steps)
    for (training, grad), steps in groupby(numbered, lambda pair: (pair[1].training, pair[1].node.grad)):
        depth = 0
        for header in ("if self.training:",) * training + ("with torch.no_grad():",) * (not grad):
            yield f"{INDENT * depth}{header}"
            depth += 1
        for number, step in steps:
            statement = f"{_statement(number, step, variables)}{comment(step.node.span)}"
            yield from (f"{INDENT * depth}{line}" for line in statement.split("\n"))
    yield from _end(forward, variables, fixed)


def _statement(number: int, step: Step, variables: Variables) -> str:
    """Return the statement of a step, and give its results their variables."""
    node = step.node
    named = variables.__getitem__
    expression = f"self.{step.layer}({value(node.args[0], named)})" if step.layer else call(node, named)
    first = node.args[0] if node.args else None
    itself = isinstance(first, Ref) and node.outputs == (first.id,)
    short = in_place(node, variables[node.outputs[0]], named) if itself else None
    names = variables.results(number, step)
    if short is not None:
        return short
    writes = itself and node.op.endswith("_")
    if writes or all(name == UNREAD for name in names):
        return expression
    return f"{targets(node, names)} = {expression}"


def _end(forward: Forward, variables: Variables, fixed: Mapping[int, str]) -> Iterator[str]:
    """Yield the last lines: state that is kept by assignment, and what forward returns, as it was before."""
    returned = result(forward.output, variables.__getitem__)
    if forward.updates:
        if returned not in FIRST:
            yield f"result = {returned}"
            returned = "result"
        kept = ", ".join(fixed[key] for key, _ in forward.updates)
        taken = ", ".join(f"{variables[key]}.detach()" for _, key in forward.updates)
        if forward.training:
            yield "if self.training:"
        yield f"{INDENT * forward.training}{kept} = {taken}"
    yield f"return {returned}"
