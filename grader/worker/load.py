"""Load a submission: run its definitions, find its model, construct it."""

from __future__ import annotations

import ast
import contextlib
import random
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from torch import default_generator, nn

from grader.finding import Span
from grader.protocol import CaptureJob, Loaded, Refusal
from grader.worker import places
from grader.worker.candidates import (
    Candidate,
    Found,
    Search,
    calls_of,
    horizon,
    parameters,
    rebindings,
    required_arguments,
)
from grader.worker.definitions import Leaf, Outline, dotted, root_of
from grader.worker.environment import device_rewrite
from grader.worker.explain import clean, name_of, need_of_stand_in, refuse_exception
from grader.worker.modules import SURROUNDINGS, Definitions, Files, install
from grader.worker.refusal import Refused
from grader.worker.stand_ins import REPLACED, HyperParameters, forget_uses, is_result, is_tool, path_of

__all__ = ["Refused", "Submission", "load"]

SKIPPED_CAP = 200  # spans of left-out statements that are reported
FIELDS_CAP = 10  # of a configuration that are proposed
CALL_CAP = 80  # code points of a call that is proposed


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
            return _Loading(job, files).submission()
    except Refused as refused:
        refusal = refused.refusal
        if files.stand_ins and not refusal.stand_ins:
            refusal = _with(refusal, stand_ins=tuple(sorted(files.stand_ins)))
        raise Refused(refusal) from None


def _with(refusal: Refusal, **changes: Any) -> Refusal:
    fields = {name: getattr(refusal, name) for name in refusal.__struct_fields__}
    return Refusal(**{**fields, **changes})


class _Loading:
    def __init__(self, job: CaptureJob, files: Files) -> None:
        self.job = job
        self.files = files
        self.stage: Literal["load", "constructor"] = "load"

    def submission(self) -> Submission:
        self._seed()
        try:
            definitions = self.files.entry()
            found = Search(definitions).find()
            candidate = self._chosen(definitions, found)
            limit = horizon(definitions, candidate) if isinstance(candidate, Candidate) else None
            if limit is not None:
                definitions = self.files.entry(limit)
            model = self._made(definitions, candidate)
        except Refused:
            raise
        except BaseException as error:  # a student's exit() ends the loading, not the worker's report
            raise Refused(refuse_exception(error, self.stage, self.job)) from None
        self._refuse_stand_ins(model)
        self.files.settled = True
        node = candidate.leaf.node if isinstance(candidate, Candidate) else None
        loaded = Loaded(
            class_name=name_of(model),
            span=places.span_of_header(node, self.job.entry) if node is not None else None,
            stand_ins=tuple(sorted(self.files.stand_ins)),
            skipped=_skipped(definitions),
            notes=tuple(dict.fromkeys(self.files.notes)),
        )
        return Submission(model, loaded)

    def _seed(self) -> None:
        default_generator.manual_seed(self.job.seed)  # torch.manual_seed would prepare for GPUs too
        random.seed(self.job.seed)
        numpy = sys.modules.get("numpy")  # torch has imported it if there is one
        if numpy is not None:
            numpy.random.seed(self.job.seed % 2**32)

    # Choosing

    def _chosen(self, definitions: Definitions, found: Found) -> Candidate | Any:
        """Return a candidate, or what a dotted name such as `utils.Net` leads to."""
        if self.job.class_name is not None:
            return self._named(definitions, found, self.job.class_name)
        models = found.models
        if len(models) > 1:
            models = tuple(item for item in models if self._may_learn(definitions, item)) or models
        if not models:
            hidden = self._hidden(definitions) if not found.unfit else {}
            if len(hidden) == 1:
                return next(iter(hidden.values()))
            if not hidden and not found.unfit and len(found.wanting) == 1:
                return found.wanting[0]
            raise Refused(self._no_model(definitions, found, tuple(hidden)))
        if len(models) > 1:
            raise Refused(self._ambiguous(definitions, models))
        return models[0]

    def _named(self, definitions: Definitions, found: Found, name: str) -> Candidate | Any:
        for pool in (found.models, found.every):
            same = [
                item for item in pool if name in (item.name, item.bound, f"{item.name.partition('@')[0]}@{item.line}")
            ]
            if len(same) == 1:
                return same[0]
            same = same or [item for item in pool if item.name.partition("@")[0] == name]
            if len(same) > 1:
                raise Refused(self._ambiguous(definitions, tuple(same)))
            if same:
                return same[0]
        root, *rest = name.split(".")
        if root in definitions.outline.binders or definitions.outline.stars:
            try:
                value = definitions.find(root)
                for part in rest:
                    value = getattr(value, part)
            except (KeyError, AttributeError):
                value = None
            if isinstance(value, nn.Module) or callable(value):
                return value
        names = tuple(item.name for item in found.every)
        listed = ", ".join(names) or "none"
        raise Refused(
            Refusal(
                "no-model",
                f"{self.job.entry} has no model named {name}",
                fix=f"It defines: {listed}." if names else "It defines no model at all.",
                candidates=names,
                option="--class",
            )
        )

    def _may_learn(self, definitions: Definitions, candidate: Candidate) -> bool:
        """A module that learns nothing (Flatten, Swish) is no model beside one that does."""
        if candidate.kind != "class":
            return True
        made = definitions.made.get(candidate.leaf.index)
        if made is None or required_arguments(made):
            return True
        try:
            module = made()
            return any(True for _ in module.parameters())
        except Exception:
            return True
        finally:
            self._seed()

    def _ambiguous(self, definitions: Definitions, models: tuple[Candidate, ...]) -> Refusal:
        places_of = [f"{item.name.partition('@')[0]} ({self._where(item.line)})" for item in models]
        hint, proposed = "", models[-1].name
        built = _built_in_main(definitions, models)
        if built:
            line, proposed = built[-1]
            hint = f" Its program builds {proposed} on {self._where(line)}."
        return Refusal(
            "ambiguous",
            f"{len(models)} models in {self.job.entry}: {', '.join(places_of[:10])}",
            why=f"Only one model is graded, and nothing in the file says which.{hint}",
            fix=f"Name one: --class {proposed}",
            span=places.span_of_header(models[0].leaf.node, self.job.entry),
            candidates=tuple(item.name for item in models),
            option="--class",
        )

    def _where(self, line: int) -> str:
        return places.line_of(self.job.entry, line)

    def _hidden(self, definitions: Definitions) -> dict[str, Any]:
        """Models that stand where few look: classes inside `try` or made by `type(…)`, all in the main block."""
        found = {}
        for leaf in definitions.outline.leaves:
            node = leaf.node
            made = (
                isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and root_of(node.value.func) == "type"
            )
            in_try = isinstance(node, ast.Try) and any(isinstance(inner, ast.ClassDef) for inner in ast.walk(node))
            if made or in_try or (leaf.main and (isinstance(node, ast.ClassDef) or _makes_sequential(node))):
                values = _values(definitions, leaf)
                found.update({name: value for name, value in values if _is_model_class(value) or _is_module(value)})
        return found

    def _no_model(self, definitions: Definitions, found: Found, hidden: tuple[str, ...]) -> Refusal:
        entry = self.job.entry
        if hidden:
            message = f"{len(hidden)} models in {entry}: {', '.join(hidden[:10])}"
            why = "Only one model is graded, and nothing in the file says which."
            fix = f"Name one: --class {hidden[-1]}"
            return Refusal("ambiguous", message, why=why, fix=fix, candidates=hidden, option="--class")
        if found.unfit:
            candidate, reason = found.unfit[0]
            return Refusal(
                "no-model",
                f"{candidate.name} is no model of images: {reason}",
                why="A model's forward is given one tensor, a batch of images.",
                fix="Write def forward(self, x) at the level of __init__, with defaults for everything else.",
                span=places.span_of_header(candidate.leaf.node, entry),
                candidates=tuple(item.name for item, _ in found.unfit),
            )
        if definitions.syntax is not None:
            return refuse_exception(definitions.syntax, "load", self.job)
        message = f"{entry} defines no model"
        if _NOTEBOOK.match(self.job.files[entry]):
            why = "It holds a notebook under the name of a Python file."
            return Refusal("no-model", message, why=why, fix="Give its name the ending .ipynb.")
        inner = _inner_model(definitions)
        if inner is not None:
            function, node = inner
            what = f"class {node.name}" if isinstance(node, ast.ClassDef) else "the nn.Sequential"
            return Refusal(
                "no-model",
                message,
                why=f"{what[:1].upper()}{what[1:]} is made inside {function}(), which only a running program calls.",
                fix=f"Move {what} to the top level of the file.",
                span=places.span_of_header(node, entry),
            )
        absent = _absent_base(definitions)
        if absent is not None:
            base, node = absent
            return need_of_stand_in(base, places.span_of_header(node, entry))
        others = self._imported_models(definitions)
        return Refusal(
            "no-model",
            message,
            why="A model is a class derived from torch.nn.Module, an instance of one, or a function that returns one.",
            fix=f"Grade the file that does: {others[0]}." if others else "Define class Net(nn.Module) in it.",
            candidates=others,
        )

    def _imported_models(self, definitions: Definitions) -> tuple[str, ...]:
        """Files that define modules and that the entry imports from; other files beside it may be anyone's."""
        imported = {part for source in definitions.outline.imports.values() for part in source.path.split(".")}
        imported |= {part for star in definitions.outline.stars for part in star.path.split(".")}
        return tuple(
            path
            for path, data in sorted(self.job.files.items())
            if path != self.job.entry and PurePosixPath(path).stem in imported and _DEFINES_MODULE.search(data)
        )

    # Constructing

    def _made(self, definitions: Definitions, chosen: Candidate | Any) -> nn.Module:
        if not isinstance(chosen, Candidate):
            value = chosen
            if not isinstance(value, nn.Module):
                value = self._constructed(definitions, chosen, name_of(chosen), None)
            return self._module(value, name_of(chosen))
        span = places.span_of_header(chosen.leaf.node, self.job.entry)
        if chosen.kind == "instance":
            return self._module(self._instance(definitions, chosen), chosen.name, span)
        name = next(iter(chosen.leaf.binds))
        value = self._constructed(definitions, definitions.find(name), name, chosen.leaf)
        return self._module(value, name, span)

    def _instance(self, definitions: Definitions, chosen: Candidate) -> Any:
        outline = definitions.outline
        leaf = outline.leaves[chosen.leaf.index]
        is_class = any(chosen.target in item.binds for item in outline.classes)
        if self.job.arguments:
            if is_class:
                return self._constructed(definitions, definitions.find(chosen.target), chosen.target, leaf)
            message = f"{chosen.bound} is built on {self._where(chosen.line)}: --arg does not reach it"
            raise Refused(Refusal("arguments", message, fix="Leave --arg out.", option="--arg"))
        self._seed()
        self.stage = "constructor"
        error: BaseException | None = None
        try:
            definitions.run(leaves=rebindings(outline, chosen, definitions.horizon), settled=(chosen.bound,))
        except SURROUNDINGS as raised:
            error = raised
        if chosen.bound in definitions.names:
            return definitions.names[chosen.bound]
        error = error or definitions.failed.get(chosen.bound)
        if is_class and chosen.plain:  # what failed is where it was moved to, not what it is
            return self._constructed(definitions, definitions.find(chosen.target), chosen.target, leaf)
        if error is not None and not (is_class and isinstance(error, SURROUNDINGS)):
            raise error
        raise Refused(self._unknown_values(chosen, definitions, error))

    def _unknown_values(self, chosen: Candidate, definitions: Definitions, error: BaseException | None) -> Refusal:
        if error is None:
            message = f"{chosen.bound} is not built on {self._where(chosen.line)}: the branch around it does not run"
            return Refusal("no-model", message, span=places.span_of_header(chosen.leaf.node, self.job.entry))
        takes = tuple(parameters(definitions.find(chosen.target)))
        given = " ".join(f"--arg {name}={_guess(name, self.job)}" for name in takes)
        return Refusal(
            "arguments",
            f"{chosen.target} is built on {self._where(chosen.line)} from values that only the running program has",
            why="Data sets, files and command lines are not there when a model is graded.",
            fix=f"Give what differs from the defaults: {given}.",
            span=places.span_of_header(chosen.leaf.node, self.job.entry),
            candidates=takes,
            option="--arg",
            error=clean(str(error), 300),
        )

    def _constructed(self, definitions: Definitions, function: Any, name: str, leaf: Leaf | None) -> Any:
        span = places.span_of_header(leaf.node, self.job.entry) if leaf is not None else None
        arguments = self._arguments(definitions, function, name, span)
        self._seed()
        self.stage = "constructor"
        return function(**arguments)

    def _arguments(self, definitions: Definitions, function: Any, name: str, span: Span | None) -> dict[str, Any]:
        takes = parameters(function)
        known = [key for key, item in takes.items() if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
        is_open = any(item.kind is item.VAR_KEYWORD for item in takes.values())
        unknown = [key for key in self.job.arguments if key not in known and not is_open]
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
        missing = [key for key in required_arguments(function) if key not in self.job.arguments]
        if missing:
            proposed = self._proposed(definitions, name, takes, missing)
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
        return {key: _literal(text) for key, text in self.job.arguments.items()}

    def _proposed(self, definitions: Definitions, name: str, takes: Any, missing: list[str]) -> list[tuple[str, str]]:
        """Propose the values that the file itself constructs the class with, then those that the task asks for."""
        fields = _fields_read(definitions.outline, name)
        proposed = {key: _guess(key, self.job, fields.get(key, ())) for key in missing}
        for call in calls_of(definitions.outline, name):
            given: dict[str, ast.expr] = dict(zip(takes, call.args, strict=False))
            given |= {item.arg: item.value for item in call.keywords if item.arg}
            proposed |= {key: str(value.value) for key, value in given.items() if isinstance(value, ast.Constant)}
        proposed = {key: proposed[key] for key in missing}
        return list(proposed.items())

    def _module(self, value: Any, name: str, span: Span | None = None) -> nn.Module:
        if path := path_of(value):
            raise Refused(need_of_stand_in(path, span))
        if isinstance(value, nn.Module):
            return value
        message = f"{name} gives {_article(clean(type(value).__name__, 100))}, not a model"
        raise Refused(Refusal("no-model", message, fix="Return an instance of torch.nn.Module.", span=span))

    def _refuse_stand_ins(self, model: nn.Module) -> None:
        """A module of an absent package holds parameters that can't be counted, whether forward uses it or not."""
        if not self.files.stand_ins:
            return
        for module in model.modules():
            for name, value in list(vars(module).items()):
                if is_result(value) and not is_tool(path_of(value)):
                    raise Refused(need_of_stand_in(path_of(value), _span_of_attribute(module, name)))


_NOTEBOOK = re.compile(rb"\s*\{\s*\"(cells|metadata|nbformat)\"\s*:")
_DEFINES_MODULE = re.compile(rb"class\s+\w+\s*\([^)]*Module")
_TASK_ARGUMENTS: tuple[tuple[str, Callable[[CaptureJob], int]], ...] = (
    (r"(?i)(num|n|nb)?_?(class(es)?|outputs?)|out(put)?_(dim|size|features|shape|channels)", lambda job: job.classes),
    (r"(?i)(in|input|img|image)_?(channels?|ch|c|dim|planes|shape)|channels?|nc", lambda job: job.input_shape[0]),
    (r"(?i)(img|image|input)_?(size|dim)", lambda job: job.input_shape[1]),
)


def _guess(name: str, job: CaptureJob, fields: Iterable[str] = ()) -> str:
    """Return a value to propose for an argument; one whose `fields` are read is a configuration."""
    if fields:
        return "{" + ", ".join(f"'{field}': VALUE" for field in fields) + "}"
    return next((str(value(job)) for pattern, value in _TASK_ARGUMENTS if re.fullmatch(pattern, name)), "VALUE")


def _quoted(text: str) -> str:
    """Quote a word for a shell; what holds only harmless signs reads better in double quotes."""
    return f'"{text}"' if re.fullmatch(r"[\w={}:', ]*'[\w={}:', ]*", text) else shlex.quote(text)


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
    for call in reversed(calls_of(outline, name)):
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


def _values(definitions: Definitions, leaf: Leaf) -> Iterator[tuple[str, Any]]:
    """Yield the names that a statement binds with their values; the name of a caught exception is gone after it."""
    for name in sorted(leaf.binds):
        with contextlib.suppress(KeyError):
            yield name, definitions.find(name)


def _is_model_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and value.forward is not nn.Module.forward


def _is_module(value: Any) -> bool:
    return isinstance(value, nn.Module)


def _makes_sequential(node: ast.AST) -> bool:
    """Tell whether a statement assigns an `nn.Sequential`, moved to a device or not."""
    calls = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return isinstance(node, ast.Assign) and any(dotted(name).rpartition(".")[2] == "Sequential" for name in calls)


def _built_in_main(definitions: Definitions, models: tuple[Candidate, ...]) -> list[tuple[int, str]]:
    """Lines of the main block that construct one of the candidates: a hint, no proof."""
    names = {item.target if item.kind == "instance" else item.name for item in models}
    return [
        (node.lineno, node.func.id)
        for leaf in definitions.outline.leaves
        if leaf.main or leaf.program or isinstance(leaf.node, ast.Expr)
        for node in ast.walk(leaf.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
    ]


def _absent_base(definitions: Definitions) -> tuple[str, ast.ClassDef] | None:
    """Return the class of an absent package that a class of the file derives from, with that class."""
    outline = definitions.outline
    for leaf in sorted(outline.classes, key=lambda leaf: not _has_forward(leaf.node)):
        assert isinstance(leaf.node, ast.ClassDef)
        for base in leaf.node.bases:
            root, _, rest = dotted(base).partition(".")
            source = outline.imports.get(root)
            path = f"{source.path}.{rest}".rstrip(".") if source is not None else ""
            replaced = path.partition(".")[0] in REPLACED and not is_tool(path)
            if replaced or path_of(definitions.made.get(leaf.index)):
                return path or path_of(definitions.made[leaf.index]), leaf.node
    return None


def _has_forward(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(getattr(inner, "name", "") == "forward" for inner in node.body)


def _inner_model(definitions: Definitions) -> tuple[str, ast.stmt] | None:
    """Return the first class of a module, or nn.Sequential, inside a function, with that function's name."""
    for leaf in definitions.outline.leaves:
        if isinstance(leaf.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(leaf.node):
                is_class = isinstance(inner, ast.ClassDef) and any(_is_module_name(base) for base in inner.bases)
                if isinstance(inner, ast.stmt) and (is_class or _makes_sequential(inner)):
                    return leaf.node.name, inner
    return None


def _is_module_name(base: ast.expr) -> bool:
    return dotted(base).rpartition(".")[2] in ("Module", "LightningModule")


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


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
