"""The model in a variable of a file's top level, where only running it tells: `model = MODELS["wide"](16)`."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from grader.worker.candidates import Candidate
from grader.worker.modules import Definitions
from grader.worker.parts import MODEL_NAME, Parts
from grader.worker.refusal import Refused
from grader.worker.statements import DEFINITIONS, IMPORTS

LOOKUPS = frozenset(("eval", "getattr", "globals"))  # these find a class by its name in a text


def held(definitions: Definitions, name: str) -> list[Candidate]:
    """Return the instances that variables named like a model hold, in the file's order, without those inside others.

    Only what uses the named class or function is run, and nothing that trains. What fails, or is no module, holds none.
    """
    found: dict[int, tuple[nn.Module, Candidate]] = {}
    for item in _variables(definitions, name):
        try:
            value = definitions.find(item.bound)
        except Refused:
            raise
        except (Exception, SystemExit):
            continue
        if isinstance(value, nn.Module) and not isinstance(value, (nn.ModuleList, nn.ModuleDict)):
            found.setdefault(id(value), (value, item))
    whole = [value for value, _ in found.values()]
    inside = {id(part) for value in whole for part in nn.Module.modules(value) if part is not value}
    return [item for key, (_, item) in found.items() if key not in inside]


def _variables(definitions: Definitions, target: str) -> Iterator[Candidate]:
    outline = definitions.outline
    parts = Parts(definitions)
    for leaf in outline.leaves:
        if leaf.main or leaf.program or isinstance(leaf.node, (*DEFINITIONS, *IMPORTS)):
            continue
        names = sorted(name for name in leaf.binds if MODEL_NAME.match(name))
        used = parts.used(leaf) if names else set()
        if (target in used or used & LOOKUPS) and not outline.effects.trains(leaf.node):
            for name in names:
                yield Candidate(name, "instance", leaf, target, bound=name)
