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
_WORD = re.compile(rb"\w+")
_SEQUENTIAL = re.compile(rb"\bSequential\s*\(")


def model_files(sources: dict[str, bytes]) -> tuple[str, ...]:
    """Return the files whose text defines a model, in order; lacking one, those called `model`, or the only file."""
    classes = [(name, cls, _base_names(bases)) for name, data in sources.items() for cls, bases in _CLASS.findall(data)]
    known = _heirs(classes)
    defining = _without_parts(sources, [(name, cls) for name, cls, bases in classes if known & bases])
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


def _without_parts(sources: dict[str, bytes], classes: list[tuple[str, bytes]]) -> set[str]:
    """Return the files of some classes, those left out whose classes are all parts of classes in another file."""
    own: dict[str, set[bytes]] = {}
    for name, cls in classes:
        own.setdefault(name, set()).add(cls)
    used = {name: _used_by_classes(sources[name], own[name]) for name in own}
    whole = {name for name in own if not any(own[name] <= used[other] for other in own)}
    return whole or set(own)


def _used_by_classes(data: bytes, classes: set[bytes]) -> set[bytes]:
    """Return the words in the bodies of some top-level classes of a Python file; none of a notebook."""
    words: set[bytes] = set()
    inside = False
    for line in data.splitlines():
        if line[:1].strip() and not line.startswith(b"#"):
            header = _CLASS_HEADER.match(line)
            inside = header is not None and header[1] in classes
        elif inside:
            words.update(_WORD.findall(line))
    return words - classes


def _base_names(bases: bytes) -> set[bytes]:
    return {base.strip().rpartition(b".")[2] for base in bases.split(b",")}
