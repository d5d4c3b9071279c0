"""Choose the model to grade among those that a file defines, or say why none can be chosen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from torch import nn

from grader.notebook import is_notebook
from grader.protocol import CaptureJob, Refusal
from grader.worker import places
from grader.worker.candidates import Candidate, Found
from grader.worker.construct import seed
from grader.worker.explain import need_of_stand_in, refuse_exception
from grader.worker.expressions import dotted
from grader.worker.held import held
from grader.worker.hidden import hidden_models, makes_sequential
from grader.worker.modules import Definitions
from grader.worker.parts import MODEL_NAME
from grader.worker.refusal import Refused
from grader.worker.signatures import required_arguments
from grader.worker.stand_ins import REPLACED, is_tool, path_of

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
            hidden = hidden_models(definitions) if not found.unfit else {}
            if len(hidden) == 1:
                ((name, value),) = hidden.items()
                return value if isinstance(value, nn.Module) else self._instance_of(definitions, name) or value
            if not hidden and not found.unfit and len(found.wanting) == 1:
                return found.wanting[0]
            raise Refused(self._no_model(definitions, found, tuple(hidden)))
        if len(models) > 1:
            raise Refused(self._ambiguous(definitions, models))
        if models[0].kind == "instance":
            return models[0]
        return self._instance_of(definitions, models[0].name) or models[0]

    def _instance_of(self, definitions: Definitions, name: str) -> Candidate | None:
        """Return the one instance of a class that a variable holds; None where none does, or where there is --arg."""
        instances = held(definitions, name) if not self.job.arguments else []
        if len(instances) > 1:
            raise Refused(self._ambiguous(definitions, tuple(instances)))
        return instances[0] if instances else None

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
        """A module that learns nothing (Flatten, transforms in a row) is no model beside one that does."""
        made = definitions.made.get(candidate.leaf.index)
        in_a_row = candidate.kind == "instance" and candidate.target.endswith(".Sequential")
        if in_a_row:
            made = partial(definitions.find, candidate.bound)
        elif candidate.kind != "class" or made is None or required_arguments(made):
            return True
        try:
            return any(True for _ in made().parameters())
        except (Exception, SystemExit):
            return not in_a_row or not _holds_tools(definitions, candidate)
        finally:
            seed(self.job.seed)

    def _ambiguous(self, definitions: Definitions, models: tuple[Candidate, ...]) -> Refusal:
        places_of = [f"{item.name.partition('@')[0]} ({self._where(item.line)})" for item in models]
        likely = [item for item in models if _is_likely(definitions, item)]
        hint, proposed = "", (likely or models)[-1].name
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
        if _NOTEBOOK.match(self.job.files[entry]) and not is_notebook(entry):
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


def _is_likely(definitions: Definitions, item: Candidate) -> bool:
    """Tell whether a candidate may be proposed: no package makes it, it is no look into another, and named like one."""
    foreign = "." in item.target and not item.target.startswith("torch.")
    look = definitions.outline.effects.taken_apart(getattr(item.leaf.node, "value", None))
    return not foreign and not look and (not item.bound or bool(MODEL_NAME.match(item.bound)))


def _holds_tools(definitions: Definitions, candidate: Candidate) -> bool:
    """Tell whether a candidate is made of what a package provides that prepares images, logs or measures."""
    imports = definitions.outline.imports
    return any(is_tool(imports[name].path) for name in candidate.leaf.reads if name in imports)


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
                if isinstance(inner, ast.stmt) and (is_class or makes_sequential(inner)):
                    return leaf.node.name, inner
    return None


def _is_module_name(base: ast.expr) -> bool:
    return dotted(base).rpartition(".")[2] in ("Module", "LightningModule")
