"""Choose the model to grade among those that a file defines, or say why none can be chosen."""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any

from torch import nn

from grader.protocol import CaptureJob, Refusal
from grader.worker import places
from grader.worker.candidates import Candidate, Found
from grader.worker.construct import seed
from grader.worker.explain import need_of_stand_in, refuse_exception
from grader.worker.expressions import dotted, root_of
from grader.worker.held import held
from grader.worker.modules import Definitions
from grader.worker.refusal import Refused
from grader.worker.signatures import required_arguments
from grader.worker.stand_ins import REPLACED, is_tool, path_of
from grader.worker.statements import Leaf

_NOTEBOOK = re.compile(rb"\s*\{\s*\"(cells|metadata|nbformat)\"\s*:")
_WHAT_A_MODEL_IS = (
    "A model is a class derived from torch.nn.Module, an instance of one, or a function that returns one."
)
_DEFINES_MODULE = re.compile(rb"class\s+\w+\s*\([^)]*Module")


class Choice:
    """The choice of one model for a job."""

    def __init__(self, job: CaptureJob) -> None:
        self.job = job

    def chosen(self, definitions: Definitions, found: Found) -> Candidate | Any:
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
        if models[0].kind == "instance" or self.job.arguments:
            return models[0]
        instances = held(definitions, models[0])
        if len(instances) > 1:
            raise Refused(self._ambiguous(definitions, tuple(instances)))
        return instances[0] if instances else models[0]

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
            seed(self.job.seed)

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
        plain = _plain_model(definitions)
        if plain is not None:
            return Refusal(
                "no-model",
                f"{message}: class {plain.name} has a forward, but is no torch.nn.Module",
                why=_WHAT_A_MODEL_IS,
                fix=f"Write class {plain.name}(nn.Module), and super().__init__() in its __init__.",
                span=places.span_of_header(plain, entry),
            )
        absent = _absent_base(definitions)
        if absent is not None:
            base, node = absent
            return need_of_stand_in(base, places.span_of_header(node, entry))
        others = self._imported_models(definitions)
        return Refusal(
            "no-model",
            message,
            why=_WHAT_A_MODEL_IS,
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

    def _where(self, line: int) -> str:
        return places.line_of(self.job.entry, line)


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
    """Lines of the main block, and of what it calls, that construct one of the candidates: a hint, no proof."""
    names = {item.target if item.kind == "instance" else item.name for item in models}
    outline = definitions.outline
    programs = [leaf.node for leaf in outline.leaves if leaf.main or leaf.program or isinstance(leaf.node, ast.Expr)]
    called = [outline.effects.functions[name] for name, _ in _calls(programs) if name in outline.effects.functions]
    return [(line, name) for name, line in _calls([*programs, *called]) if name in names]


def _calls(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """Yield the names that code calls, each with its line."""
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name):
                yield inner.func.id, inner.lineno


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


def _plain_model(definitions: Definitions) -> ast.ClassDef | None:
    """Return the last class that has a forward and no base, or one that torch.nn lacks: `nn.module`."""
    for leaf in reversed(definitions.outline.classes):
        node = leaf.node
        assert isinstance(node, ast.ClassDef)
        bases = [dotted(base).rpartition(".")[2] for base in node.bases]
        if _has_forward(node) and (not bases or bases == ["module"]):
            return node
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
