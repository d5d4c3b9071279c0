"""The arguments that a model is constructed with: those of the job, and what to propose where some are missing."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterable
from typing import Any

from grader.finding import Span
from grader.protocol import CaptureJob, Refusal
from grader.worker.definitions import Outline
from grader.worker.expressions import root_of
from grader.worker.modules import Definitions
from grader.worker.refusal import Refused
from grader.worker.signatures import parameters, required_arguments
from grader.worker.stand_ins import HyperParameters

FIELDS_CAP = 10  # of a configuration that are proposed
CALL_CAP = 80  # code points of a call that is proposed
_TASK_ARGUMENTS: tuple[tuple[str, Callable[[CaptureJob], object]], ...] = (
    (r"(?i)(num|n|nb)?_?(class(es)?|outputs?)|out(put)?_(dim|size|features|shape|channels)", lambda job: job.classes),
    (r"(?i)(in|input|img|image)_?(channels?|ch|c|dim|planes|shape)|channels?|nc", lambda job: job.input_shape[0]),
    (r"(?i)(img|image|input)_?(size|dim)", lambda job: job.input_shape[1]),
    (r"(?i)(\w+_)?device", lambda job: "cpu"),
)


def arguments_for(
    job: CaptureJob, definitions: Definitions, function: Any, name: str, span: Span | None
) -> dict[str, Any]:
    """Return what to call a class or function with; refused where the job gives too much or too little."""
    takes = parameters(function)
    known = [key for key, item in takes.items() if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    is_open = any(item.kind is item.VAR_KEYWORD for item in takes.values())
    unknown = [key for key in job.arguments if key not in known and not is_open]
    if unknown:
        raise Refused(
            Refusal(
                "arguments",
                f"{name} has no argument {unknown[0]}",
                fix=f"It takes: {', '.join(known)}." if known else "It takes none: leave --arg out.",
                span=span,
                candidates=tuple(known),
                option="--arg",
            )
        )
    missing = [key for key in required_arguments(function) if key not in job.arguments]
    if missing:
        proposed = _proposed(job, definitions, name, takes, missing)
        given = " ".join(f"--arg {_quoted(f'{key}={value}')}" for key, value in proposed)
        call = _shown_call(definitions.outline, name, takes, missing)
        count = "an argument" if len(missing) == 1 else f"{len(missing)} arguments"
        raise Refused(
            Refusal(
                "arguments",
                f"{name} needs {count}: {', '.join(missing)}",
                why="A model is constructed with its defaults; these have none.",
                fix=f"Give them: {given}; or write a default, or model = {call} at the end of the file.",
                span=span,
                candidates=tuple(missing),
                option="--arg",
            )
        )
    return {key: _literal(text) for key, text in job.arguments.items()}


def _proposed(
    job: CaptureJob, definitions: Definitions, name: str, takes: Any, missing: list[str]
) -> list[tuple[str, str]]:
    """Propose the values that the file itself constructs the class with, then those that the task asks for."""
    fields = _fields_read(definitions.outline, name)
    proposed = {key: guess(key, job, fields.get(key, ())) for key in missing}
    for call in _calls_of(definitions.outline, name):
        given: dict[str, ast.expr] = dict(zip(takes, call.args, strict=False))
        given |= {item.arg: item.value for item in call.keywords if item.arg}
        proposed |= {key: str(value.value) for key, value in given.items() if isinstance(value, ast.Constant)}
    proposed = {key: proposed[key] for key in missing}
    return list(proposed.items())


def guess(name: str, job: CaptureJob, fields: Iterable[str] = ()) -> str:
    """Return a value to propose for an argument; one whose `fields` are read is a configuration."""
    if fields:
        return "{" + ", ".join(f"'{field}': VALUE" for field in fields) + "}"
    return next((str(value(job)) for pattern, value in _TASK_ARGUMENTS if re.fullmatch(pattern, name)), "VALUE")


def _quoted(text: str) -> str:
    """Quote a word for a shell; what holds only harmless signs reads better in double quotes."""
    return f'"{text}"' if re.fullmatch(r"[\w={}:', ]*'[\w={}:', ]*", text) else shlex.quote(text)


def _calls_of(outline: Outline, name: str) -> list[ast.Call]:
    """Return the calls of a class anywhere in the file, in order: how its author constructs it."""
    found = [
        node
        for node in ast.walk(outline.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    return sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _class_node(outline: Outline, name: str) -> ast.ClassDef | None:
    nodes = [leaf.node for leaf in outline.classes if name in leaf.binds]
    return nodes[-1] if nodes and isinstance(nodes[-1], ast.ClassDef) else None


def _fields_read(outline: Outline, name: str) -> dict[str, tuple[str, ...]]:
    """Return the attributes that a class reads from each name, in order: `cfg.width` tells what a `cfg` must have."""
    found: dict[str, dict[str, None]] = {}
    node = _class_node(outline, name)
    for inner in ast.walk(node) if node is not None else ():
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            found.setdefault(inner.value.id, {})[inner.attr] = None
    return {owner: tuple(fields)[:FIELDS_CAP] for owner, fields in found.items()}


def _shown_call(outline: Outline, name: str, takes: Any, missing: list[str]) -> str:
    """Return how the file constructs a class, else how its annotations say that it could be."""
    for call in reversed(_calls_of(outline, name)):
        values = [*call.args, *(item.value for item in call.keywords)]
        if all(isinstance(value, ast.Constant) or root_of(value) in outline.binders for value in values):
            shown = ast.unparse(call)
            return shown if len(shown) <= CALL_CAP else f"{name}(…)"
    own = {next(iter(leaf.binds)) for leaf in outline.classes}
    kinds = [str(getattr(takes[key].annotation, "__name__", takes[key].annotation)) for key in missing]
    return f"{name}({', '.join(f'{kind}()' for kind in kinds)})" if set(kinds) <= own else f"{name}(…)"


def _literal(text: str) -> Any:
    """A Python literal, else the text itself; a dictionary's keys are attributes too, for a config object."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return HyperParameters(value) if isinstance(value, dict) else value
