"""Construct the chosen model: by calling its class or function, or by running the statements that build it."""

from __future__ import annotations

import ast
import random
import sys
from typing import Any, Literal

from torch import default_generator, nn

from grader.finding import Span
from grader.protocol import CaptureJob, Refusal
from grader.worker import places
from grader.worker.arguments import arguments_for, guess
from grader.worker.candidates import Candidate
from grader.worker.definitions import Outline
from grader.worker.explain import clean, name_of, need_of_stand_in
from grader.worker.expressions import construction, keeps, mentions
from grader.worker.modules import SURROUNDINGS, Definitions
from grader.worker.refusal import Refused
from grader.worker.signatures import parameters
from grader.worker.stand_ins import path_of
from grader.worker.statements import Leaf


def seed(number: int) -> None:
    """Seed what a constructor draws its numbers from."""
    default_generator.manual_seed(number)  # torch.manual_seed would prepare for GPUs too
    random.seed(number)
    numpy = sys.modules.get("numpy")  # torch has imported it if there is one
    if numpy is not None:
        numpy.random.seed(number % 2**32)


class Constructor:
    """Constructs one model; `stage` tells whether its own constructor has been called yet."""

    def __init__(self, job: CaptureJob) -> None:
        self.job = job
        self.stage: Literal["load", "constructor"] = "load"

    def made(self, definitions: Definitions, chosen: Candidate | Any) -> nn.Module:
        """Return the chosen model, constructed; refused where that takes values that are not known here."""
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
        seed(self.job.seed)
        self.stage = "constructor"
        error: BaseException | None = None
        try:
            definitions.run(leaves=_rebindings(outline, chosen, definitions.horizon), settled=(chosen.bound,))
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
        given = " ".join(f"--arg {name}={guess(name, self.job)}" for name in takes)
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
        arguments = arguments_for(self.job, definitions, function, name, span)
        seed(self.job.seed)
        self.stage = "constructor"
        return function(**arguments)

    def _module(self, value: Any, name: str, span: Span | None = None) -> nn.Module:
        if path := path_of(value):
            raise Refused(need_of_stand_in(path, span))
        if isinstance(value, nn.Module):
            return value
        message = f"{name} gives {_article(clean(type(value).__name__, 100))}, not a model"
        raise Refused(Refusal("no-model", message, fix="Return an instance of torch.nn.Module.", span=span))

    def _where(self, line: int) -> str:
        return places.line_of(self.job.entry, line)


def _rebindings(outline: Outline, candidate: Candidate, limit: int | None) -> list[int]:
    """Return the statements that make an instance: its construction, and what wraps or changes it until another."""
    name = candidate.bound
    chosen = [candidate.leaf.index]
    for leaf in outline.leaves[candidate.leaf.index + 1 : limit]:
        if leaf.main or leaf.program:
            continue
        if name in leaf.binds and isinstance(leaf.node, (ast.Assign, ast.AnnAssign)) and leaf.node.value is not None:
            given = outline.effects.passed_on(leaf.node.value) or leaf.node.value
            if not keeps(given, name) and name not in leaf.changes:
                if construction(leaf.node.value) is not None and not mentions(leaf.node.value, {name}):
                    break
                continue
            chosen.append(leaf.index)
        elif name in leaf.changes:
            chosen.append(leaf.index)
    return chosen


def _article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
