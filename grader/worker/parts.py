"""Which candidates are parts of others: blocks of models, bases, the class behind a lone instance."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from grader.worker.definitions import Outline
from grader.worker.doubles import GIVEN_NAME, is_average, is_double
from grader.worker.expressions import is_program
from grader.worker.modules import Definitions
from grader.worker.signatures import required_arguments
from grader.worker.stand_ins import LightningModule
from grader.worker.statements import DEFINITIONS, Leaf

if TYPE_CHECKING:
    from grader.worker.candidates import Candidate

MODEL_NAME = re.compile(r"(?i)(?:^|_)(?:\w*model|\w*net(?:work)?|cnn|classifier)\w*$")
_BASE_NAME = re.compile(r"(?i)^_|base|abstract")
_PART_NAME = re.compile(r"(?i)(?:block|layer|bottleneck|attention|unit)_?\d*$")
# What a layer is given that learns nothing.
_SETTING_NAME = re.compile(r"(?i)f|fn|func(tion)?|lambd\w*|(new_|out_)?(shape|size|dims?)|sigma|std|prob|p|axis")
_PART_WORDS = frozenset("block layer layers conv bn relu bottleneck stage unit stem transition dw pw".split())


class Parts:
    """Tells, for the definitions of one file, what uses what."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.outline: Outline = definitions.outline

    def without_parts(self, classes: list[Candidate], built: list[Candidate]) -> list[Candidate]:
        """Leave out what others use: blocks of models, the class behind a lone instance, bases that are no models."""
        doubles = {item.name for item in classes if is_double(item.leaf.node)}
        if len(doubles) < len(classes):
            classes = [item for item in classes if item.name not in doubles]
        bound = {item.bound for item in built} - {""}
        built = [
            item
            for item in built
            if not (item.leaf.reads & bound - {item.bound} and (item.target in doubles or is_average(item.target)))
        ]
        reached: dict[int, set[str]] = {item.leaf.index: self.used(item.leaf) for item in [*classes, *built]}
        used_by_models = {name for item in classes for name in reached[item.leaf.index] - {item.name}}
        built = [item for item in built if item.name not in used_by_models]
        parts = used_by_models if not all(item.name in used_by_models for item in classes) else set()
        parts = parts | {item.name for item in classes if self._is_only_base(item, classes)}
        whole = [item for item in classes if item.name not in parts]
        whole = [item for item in whole if not self._is_left_over(item)] or whole
        built = [item for item in built if not whole or not _makes_part(item)]
        # One that chooses among whole models by its arguments says nothing about which is to be graded.
        chooses = {
            item.leaf.index
            for item in built
            if item.target in self.outline.effects.functions
            and len(reached[item.leaf.index].intersection(model.name for model in whole)) > 1
        }
        built = [item for item in built if item.kind == "instance" or item.leaf.index not in chooses]
        used_by_built = {
            name for item in built for name in reached[item.leaf.index] - {item.name} if item.leaf.index not in chooses
        }
        instances = [item for item in built if item.kind == "instance"]
        built = [item for item in built if item.kind == "instance" or item.name not in used_by_built]
        built = [item for item in built if item.kind == "factory" or item.name not in self._read_by(instances, item)]
        merged = _merged(built)
        constructed = {item.target for item in built} | used_by_built
        return [item for item in whole if item.name not in constructed] + merged

    def used(self, leaf: Leaf) -> set[str]:
        """Names that a definition uses, directly or through functions and values; a base is used for what it uses."""
        seen: set[str] = set()
        todo = sorted((leaf.reads | leaf.later) - leaf.bases)
        inherited = set(leaf.bases)
        visited = set(leaf.binds)
        if isinstance(leaf.node, ast.Assign):
            todo += [added for name in leaf.binds for added in self._put_into(name)]
        while todo or inherited:
            if todo:
                name = todo.pop()
                seen.add(name)
            else:
                name = inherited.pop()
            if name in visited:
                continue
            visited.add(name)
            todo += self._put_into(name)
            for index in self.outline.visible(name, None):
                other = self.outline.leaves[index]
                if isinstance(other.node, (ast.FunctionDef, ast.AsyncFunctionDef)) and is_program(other.node):
                    continue
                todo += (other.reads | other.later) - other.bases - visited
                inherited |= other.bases - visited
        return seen

    def _put_into(self, name: str) -> Iterator[str]:
        """Yield what statements add to a value: layers to a list, by a decorator what it stands on to a registry."""
        for index in self.outline.changes_of(name, None):
            leaf = self.outline.leaves[index]
            yield from leaf.binds if isinstance(leaf.node, DEFINITIONS) else leaf.reads - {name}

    def _is_left_over(self, item: Candidate) -> bool:
        """Tell whether a class is a block or helper that nothing uses, or trains the model that it must be given.

        Neither can be made by itself.
        """
        made = self.definitions.made.get(item.leaf.index)
        needed = required_arguments(made) if made is not None else []
        trains = made is not None and issubclass(made, LightningModule)
        helps = all(map(_SETTING_NAME.fullmatch, needed)) and _makes_nothing(item.leaf.node)
        return bool(needed) and (
            bool(_PART_NAME.search(item.name)) or helps or (trains and any(map(GIVEN_NAME.fullmatch, needed)))
        )

    def _is_only_base(self, item: Candidate, classes: list[Candidate]) -> bool:
        """A base counts as a model of its own unless its name, its constructor or its methods say that it is none."""
        heirs = [other for other in classes if item.name in other.leaf.bases and other.name != item.name]
        made = self.definitions.made.get(item.leaf.index)
        needs = bool(required_arguments(made)) if made is not None else False
        lacks = inspect.isabstract(made) or any(map(_is_left_to_heirs, ast.walk(item.leaf.node)))
        return bool(heirs) and (needs or lacks or bool(_BASE_NAME.search(item.name)))

    def _read_by(self, instances: list[Candidate], item: Candidate) -> set[str]:
        """Names that other instances are built from: `model = nn.Sequential(features, head)`.

        One that is made of another's parts alone, or a class's that is no model by its name, may be a look into a
        model: it does not stand for that.
        """
        named = {other.bound for other in instances if MODEL_NAME.match(other.bound)}
        functions = self.outline.effects.functions
        return {
            name
            for other in instances
            if other is not item and (item.name not in other.leaf.binds or other.line > item.line)
            for name in other.leaf.reads - {self.outline.effects.taken_apart(getattr(other.leaf.node, "value", None))}
            if other.bound in named or other.target in functions or other.leaf.reads & named != {name}
        }


def _makes_nothing(node: ast.stmt) -> bool:
    """Tell whether a class's constructor only keeps what it is given: `Lambda(func)`, `Reshape(shape)`."""
    made = [inner for inner in ast.walk(node) if getattr(inner, "name", "") == "__init__"]
    calls = [inner.func for init in made for inner in ast.walk(init) if isinstance(inner, ast.Call)]
    return bool(made) and all(getattr(call, "attr", getattr(call, "id", "")) in ("__init__", "super") for call in calls)


def _makes_part(item: Candidate) -> bool:
    """Tell whether a function returns layers in a row that its name calls a part of a model: `conv_block()`."""
    words = re.split(r"[\d_]+", item.name.lower())
    named = bool(_PART_NAME.search(item.name)) or not _PART_WORDS.isdisjoint(words)
    return item.kind == "factory" and item.target.endswith(".Sequential") and named and not MODEL_NAME.search(item.name)


def _is_left_to_heirs(node: ast.AST) -> bool:
    """Tell whether code is a method that only raises NotImplementedError."""
    if not isinstance(node, ast.FunctionDef) or not isinstance(node.body[-1], ast.Raise):
        return False
    raised = node.body[-1].exc
    name = raised.func if isinstance(raised, ast.Call) else raised
    return len(node.body) < 3 and getattr(name, "id", "") == "NotImplementedError"


def _merged(built: list[Candidate]) -> list[Candidate]:
    """One candidate for each way in which a class is built; a lone way stands under the class's name."""
    ways: dict[str, dict[str, Candidate]] = defaultdict(dict)
    for item in built:
        ways[item.target][item.call or item.name] = item
    factories = {item.name for item in built if item.kind == "factory"}
    merged = []
    for target, calls in ways.items():
        for item in calls.values():
            alone = len(calls) == 1 and item.kind == "instance" and target.isidentifier() and target not in factories
            merged.append(replace(item, name=target) if alone else item)
    return merged
