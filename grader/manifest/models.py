"""Which of several files holds the model, by their text alone."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

# Names of classes that are models, as text: a class is one if a base of it is, in whatever file that base stands.
_ROOTS = frozenset((b"Module", b"LightningModule", b"Sequential"))
# A notebook's lines begin after a quote, or after `\n` written out.
# No part of it can run on over the beginning of the next class: a file of nothing but beginnings is read in one go.
_CLASS = re.compile(rb"""(?:^|"|\\n)[ \t]*class[ \t]+(\w+)[ \t]*(?:\[[^\[\]\n]*\])?\(([^()]*)\)""", re.MULTILINE)
_CLASS_HEADER = re.compile(rb"class[ \t]+(\w+)")
# Signatures without brackets inside: of others nothing is concluded.
_FORWARD = re.compile(rb"\bdef[ \t]+forward[ \t]*\(([^()]*)\)")
_INIT = re.compile(rb"\bdef[ \t]+__init__[ \t]*\(([^()]*)\)")
_PART_NAME = re.compile(rb"(?i)(?:block|layer|bottleneck|attention|unit)_?\d*$")
_WRAPPED = re.compile(rb"(?i)(?:\w+_)?(?:model|net|network|module|backbone)")
_WORD = re.compile(rb"\w+")
_SEQUENTIAL = re.compile(rb"\bSequential\s*\(")


def model_files(sources: dict[str, bytes]) -> tuple[str, ...]:
    """Return the files whose text defines a model, in order; lacking one, those called `model`, or the only file."""
    classes = [(name, cls, _base_names(bases)) for name, data in sources.items() for cls, bases in _CLASS.findall(data)]
    known = _heirs(classes)
    defining = _without_parts(sources, [item for item in classes if known & item[2]])
    building = {name for name, data in sources.items() if _SEQUENTIAL.search(data)}
    called = {name for name in sources if PurePosixPath(name).stem == "model"}
    only = set(sources) if len(sources) == 1 else set()
    return tuple(sorted(defining or building or called or only))


def _heirs(classes: list[tuple[str, bytes, set[bytes]]]) -> set[bytes]:
    """Return the names of the roots and of all classes that derive from one, at whatever distance."""
    derived: dict[bytes, set[bytes]] = {}
    for _, cls, bases in classes:
        for base in bases:
            derived.setdefault(base, set()).add(cls)
    known: set[bytes] = set()
    found = set(_ROOTS)
    while found:
        known |= found
        found = {cls for base in found for cls in derived.get(base, ())} - known
    return known


def _without_parts(sources: dict[str, bytes], classes: list[tuple[str, bytes, set[bytes]]]) -> set[str]:
    """Return the files of some classes, those left out whose classes are all parts of classes in another file."""
    own: dict[str, set[bytes]] = {}
    for name, cls, _ in classes:
        own.setdefault(name, set()).add(cls)
    bodies = {name: _bodies(sources[name], own[name]) for name in own}
    used = {name: {word for body in bodies[name].values() for word in _WORD.findall(body)} - own[name] for name in own}
    whole = {name for name in own if not any(own[name] <= used[other] for other in own)} or set(own)
    models = {name for name, cls, bases in classes if not _helps(cls, bases, bodies[name].get(cls, b""))}
    return whole & models or whole


def _bodies(data: bytes, classes: set[bytes]) -> dict[bytes, bytes]:
    """Return the text of some top-level classes of a Python file, without the headers; nothing of a notebook."""
    found: dict[bytes, list[bytes]] = {}
    current: list[bytes] | None = None
    for line in data.splitlines():
        if line[:1].strip() and not line.startswith(b"#"):
            header = _CLASS_HEADER.match(line)
            current = found.setdefault(header[1], []) if header is not None and header[1] in classes else None
        elif current is not None:
            current.append(line)
    return {cls: b"\n".join(lines) for cls, lines in found.items()}


def _helps(cls: bytes, bases: set[bytes], body: bytes) -> bool:
    """Tell whether a class is no model by itself: a loss, a block, or what trains a model that it is given."""
    given = _needed(_INIT.search(body))
    if b"LightningModule" in bases and any(map(_WRAPPED.fullmatch, given)):
        return True
    return len(_needed(_FORWARD.search(body))) > 1 or (bool(given) and _PART_NAME.search(cls) is not None)


def _needed(signature: re.Match[bytes] | None) -> list[bytes]:
    """Return the names of a method's parameters that have no default, without `self`."""
    if signature is None:
        return []
    given = [item.strip() for item in signature[1].split(b",")]
    names = [item.partition(b":")[0].strip() for item in given[1:] if b"=" not in item]
    return [name for name in names if name and not name.startswith((b"*", b"/"))]


def _base_names(bases: bytes) -> set[bytes]:
    return {base.strip().rpartition(b".")[2] for base in bases.split(b",")}
