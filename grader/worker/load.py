"""Load a submission: run its definitions, find its model, construct it."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from dataclasses import dataclass
from typing import Any

from torch import nn

from grader.finding import Span
from grader.notebook import is_notebook
from grader.protocol import CaptureJob, Loaded, Refusal
from grader.worker import places
from grader.worker.candidates import Candidate, Search
from grader.worker.choose import Choice
from grader.worker.construct import Constructor, seed
from grader.worker.definitions import excludes
from grader.worker.environment import device_rewrite
from grader.worker.explain import name_of, need_of_stand_in, refuse_exception
from grader.worker.files import Files
from grader.worker.finder import install
from grader.worker.modules import Definitions
from grader.worker.parts import Parts
from grader.worker.refusal import Refused
from grader.worker.stand_ins import forget_uses, is_result, is_tool, path_of

__all__ = ["Refused", "Submission", "load"]

SKIPPED_CAP = 200  # spans of left-out statements that are reported


@dataclass(frozen=True)
class Submission:
    """A constructed model, and what the report says of how it was loaded."""

    model: nn.Module
    loaded: Loaded


def load(job: CaptureJob) -> Submission:
    """Return the model that a submission defines, constructed with its defaults or with the job's arguments.

    Raises Refused, with the reason, where there is none, more than one, or none that can be constructed.
    """
    files = Files(job)
    install(files)
    forget_uses()
    sys.argv = [job.entry]
    try:
        with device_rewrite(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the student's own text: invalid escapes, comparisons with `is`
            return _submission(job, files)
    except Refused as refused:
        refusal = refused.refusal
        if files.stand_ins and not refusal.stand_ins:
            refusal = _with(refusal, stand_ins=tuple(sorted(files.stand_ins)))
        raise Refused(refusal) from None


def _with(refusal: Refusal, **changes: Any) -> Refusal:
    fields = {name: getattr(refusal, name) for name in refusal.__struct_fields__}
    return Refusal(**{**fields, **changes})


def _submission(job: CaptureJob, files: Files) -> Submission:
    seed(job.seed)
    constructor = Constructor(job)
    try:
        definitions = files.entry()
        found = Search(definitions).find()
        candidate = Choice(job).chosen(definitions, found)
        limit = _horizon(definitions, candidate) if isinstance(candidate, Candidate) else None
        if limit is not None:
            definitions = files.entry(limit)
        model = constructor.made(definitions, candidate)
    except Refused:
        raise
    except BaseException as error:  # a student's exit() ends the loading, not the worker's report
        raise Refused(refuse_exception(_cause(error, files), constructor.stage, job)) from None
    if files.stand_ins:
        _refuse_stand_ins(model)
    files.settled = True
    node = candidate.leaf.node if isinstance(candidate, Candidate) else None
    loaded = Loaded(
        class_name=name_of(model),
        span=places.span_of_header(node, job.entry) if node is not None else None,
        stand_ins=tuple(sorted(files.stand_ins)),
        skipped=_skipped(definitions),
        notes=tuple(dict.fromkeys(files.notes)),
    )
    return Submission(model, loaded)


def _cause(error: BaseException, files: Files) -> BaseException:
    """Return the error that is to be told: of a name that a cell binds which can't be read, that of the cell."""
    definitions = files.modules.get(files.job.entry)
    name = error.name if type(error) is NameError else None
    if type(name) is not str or definitions is None or definitions.syntax is None:
        return error
    lines = (line for span in definitions.broken for line in range(span.line, (span.end_line or span.line) + 1))
    cell = "\n".join(places.text_of(definitions.path, line) for line in lines)
    return definitions.syntax if re.search(rf"\b{re.escape(name)}\b", cell) else error


def _horizon(definitions: Definitions, candidate: Candidate) -> int | None:
    """Return the first statement that no longer belongs to the file as the candidate was written; None if all do.

    A class defined anew ends the earlier one's file. In a notebook, so does a later cell that binds anew what it uses.
    """
    outline = definitions.outline
    index = candidate.leaf.index
    later = [leaf for leaf in outline.leaves[index + 1 :] if not leaf.main]
    if candidate.kind == "class":
        for leaf in later:
            same = isinstance(leaf.node, ast.ClassDef) and leaf.node.name in candidate.leaf.binds
            if same and not excludes(candidate.leaf, leaf):
                return leaf.index
    if not is_notebook(definitions.path):
        return None
    names = Parts(definitions).used(candidate.leaf) | candidate.leaf.bases
    for leaf in later:
        anew = (leaf.binds & names) - candidate.leaf.binds
        if not isinstance(leaf.node, (ast.Import, ast.ImportFrom)) and any(
            outline.binders[name][0] < index for name in anew
        ):
            return leaf.index
    return None


def _refuse_stand_ins(model: nn.Module) -> None:
    """A module of an absent package holds parameters that can't be counted, whether forward uses it or not."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if is_result(value) and not is_tool(path_of(value)):
                raise Refused(need_of_stand_in(path_of(value), _span_of_attribute(module, name)))


def _span_of_attribute(module: nn.Module, name: str) -> Span | None:
    """Where a constructor sets `self.name`."""
    init = getattr(type(module), "__init__", None)
    code = getattr(init, "__code__", None)
    file = getattr(code, "co_filename", "")
    if code is None or not file.startswith(places.PREFIX):
        return None
    return places.assignment_to(name, file[len(places.PREFIX) :], code.co_firstlineno)


def _skipped(definitions: Definitions) -> tuple[Span, ...]:
    """Statements that were not run, neighbours taken together; unused imports and definitions are not worth telling."""
    quiet = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    spans = list(definitions.broken)
    previous = -2
    for leaf in definitions.outline.leaves:
        is_text = isinstance(leaf.node, ast.Expr) and isinstance(leaf.node.value, ast.Constant)
        if leaf.index in definitions.done or isinstance(leaf.node, quiet) or is_text:
            continue
        span = places.span_of_node(leaf.node, definitions.path)
        if previous == leaf.index - 1:
            span = Span(span.file, spans[-1].line, spans[-1].column, span.end_line, span.end_column)
            spans.pop()
        spans.append(span)
        previous = leaf.index
    return tuple(spans[:SKIPPED_CAP])
