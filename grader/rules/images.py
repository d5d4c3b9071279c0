"""What a rules file says of its images, completed by what is known of the data set, and compared with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.datasets import KNOWN, Absent, DatasetError, Outline, Source, outlined
from grader.rules.document import Mapping, Mark, Node
from grader.rules.form import InputForm, TorchvisionForm
from grader.rules.typed import suggestion
from grader.rules.types import MNIST, Input

Note = Callable[[Mark, str], Any]

_UNNAMED = Outline(MNIST.shape, MNIST.classes, MNIST.training, MNIST.test)


def input_of(form: InputForm, node: Node, folder: Path, note: Note) -> Input:
    """Return the input of a rules file in a folder; faults are noted, at the key that they are about.

    Files that are not there are a fault only where the shape or the classes would have to be found in them: a model's
    architecture is judged without.
    """
    source = _source(form, folder)
    outline = _UNNAMED if source is None else _outline(source, form, _mark(node, "dataset"), note)
    if source is not None:
        _compare(form, outline, source, node, note)
    shape, classes = form.shape or outline.shape, form.classes or outline.classes
    known = source.known if source else MNIST
    mean, std = (known.mean, known.std) if known else ((), ())
    if form.normalise is not None:
        mean, std = form.normalise.mean, form.normalise.std
    if len(mean) != shape[0] and (source is None or form.normalise is not None):
        place = node.mark if form.normalise is None else _mark(node, "normalise")
        note(place, f"input: {shape[0]} channels but {len(mean)} mean{'' if len(mean) == 1 else 's'} in normalise")
    return Input(shape, classes, mean, std, source)


def _source(form: InputForm, folder: Path) -> Source | None:
    named = form.dataset
    if named is None:
        return None
    if isinstance(named, TorchvisionForm):
        return Source(named.root, named.torchvision, str(folder.absolute()))
    return Source(named, folder=str(folder.absolute()))


def _outline(source: Source, form: InputForm, mark: Mark, note: Note) -> Outline:
    """Return what a data set is in numbers; where that can't be found out, what the rules say that it is."""
    try:
        return outlined(source, form.shape)
    except Absent as error:
        if source.is_name:
            note(mark, f"no data set {source.name!r}, and no such file or folder: {suggestion(source.name, KNOWN)}")
        elif form.shape is None or form.classes is None:
            note(mark, f"dataset: {error}; give 'shape' and 'classes' to grade without it")
    except DatasetError as error:
        note(mark, f"dataset: {error}")
    return Outline(form.shape or MNIST.shape, form.classes or MNIST.classes, 0, 0)


def _compare(form: InputForm, outline: Outline, source: Source, node: Node, note: Note) -> None:
    if form.shape is not None and form.shape != outline.shape:
        found, own = list(form.shape), list(outline.shape)
        note(_mark(node, "shape"), f"shape: {found}, but the images of {source.title} are {own}")
    if form.classes is not None and form.classes != outline.classes:
        note(_mark(node, "classes"), f"classes: {form.classes}, but {source.title} has {outline.classes}")


def _mark(node: Node, key: str) -> Mark:
    return ((node.get(key) if isinstance(node, Mapping) else None) or node).mark
