"""From what a rules file names to files, their outline and their bytes: on the side without torch, never a download."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, cast

import msgspec

from grader.datasets import vision
from grader.datasets.arrays import DatasetError, exactly
from grader.datasets.contents import Outline, Shape, contents
from grader.datasets.forms import ARCHIVE, CIFAR_TEST, CIFAR_TRAINING, IDX_NAMES, Form, arrays_of
from grader.datasets.known import KNOWN, MNIST, Known
from grader.protocol import DataFile, DataFiles

FILES_CAP = 192 * 1024 * 1024  # bytes on the disk


@dataclass(frozen=True, slots=True)
class Source:
    """A data set as rules name it: by the name of a known one, or as a path.

    With `torchvision`, the name of a class there, it is read by it from the folder `name`. `folder` is where paths
    start.
    """

    name: str
    torchvision: Literal["", "CIFAR10", "CIFAR100", "USPS"] = ""
    folder: str = field(default="", compare=False)

    @property
    def known(self) -> Known | None:
        return None if self.torchvision else KNOWN.get(self.name)

    @property
    def embedded(self) -> bool:
        return not self.torchvision and self.name == MNIST

    @property
    def is_name(self) -> bool:
        """Whether it reads like a name and not like a path."""
        return not (self.torchvision or "/" in self.name or self.name.endswith(".npz"))

    @property
    def title(self) -> str:
        if self.torchvision:
            return self.torchvision
        return self.known.title if self.known else Path(self.name).name or self.name


@dataclass(frozen=True, slots=True)
class _Found:
    """The files of a data set by their roles, or `vision`: the class that reads them, and its folder."""

    form: Form
    files: dict[str, Path] = field(default_factory=dict)
    vision: tuple[str, Path] | None = None


class Absent(DatasetError):
    """A data set whose files are not there."""


def outlined(source: Source, shape: Shape | None) -> Outline:
    """Return a data set in numbers: of a known one from the table, else from headers and labels.

    `shape` is what the rules say of its images.

    Raises:
        Absent: its files are not there.
        DatasetError: they are no data set.
    """
    known = source.known
    if known is not None:
        return Outline(known.shape, known.classes, known.training, known.test)
    found = _find(source)
    if found.vision is not None:
        return vision.TABLE[found.vision[0]]
    with _opened(source, found) as files:
        return contents(arrays_of(found.form, files), shape).outline


def handed(source: Source, shape: Shape, classes: int) -> DataFiles | None:
    """Return the bytes of a data set for those who may not read files, or the reason why there are none.

    None stands for the one that comes with the package. `shape` and `classes` are those of the rules.
    """
    if source.embedded:
        return None
    known = source.known
    pinned, test = (known.sha256, known.test) if known else ("", 0)
    base = DataFiles(source.title, "npz", (), shape, classes, test, pinned)
    try:
        found = _find(source)
        if found.vision is not None:
            name, root = found.vision
            files: tuple[DataFile, ...] = (DataFile(ARCHIVE, f"{name} of torchvision", vision.exported(name, root)),)
        else:
            with _opened(source, found) as opened:
                files = tuple(DataFile(role, name, _bytes(name, file)) for role, (name, file) in opened.items())
    except DatasetError as error:
        return msgspec.structs.replace(base, problem=str(error))
    return msgspec.structs.replace(base, form=found.form, files=files)


def _find(source: Source) -> _Found:
    folder = Path(source.folder)
    if source.torchvision:
        root = folder / source.name
        if not _is(root, stat.S_ISDIR):
            raise Absent(f"{source.name}: there is no such folder: it has to hold what torchvision has downloaded")
        return _Found("npz", vision=(source.torchvision, root))
    known = source.known
    if known is None:
        return _at(folder / source.name, source.name)
    for place in known.places:
        if _is(folder / place, stat.S_ISDIR):
            return _at(folder / place, place)
    raise Absent(f"{known.title} is not on this machine (looked in {', '.join(known.places)}): {known.fetch}")


def _at(path: Path, shown: str) -> _Found:
    """Return the files of a data set at a path."""
    if _is(path, stat.S_ISDIR):
        return _in_folder(path, shown)
    if _is(path, stat.S_ISREG):
        return _Found("npz", {ARCHIVE: path})
    if _is(path, lambda mode: True):
        raise DatasetError(f"{shown}: neither a file nor a folder")
    raise Absent(f"{shown}: there is no such file or folder")


def _in_folder(folder: Path, shown: str) -> _Found:
    idx = {key: _one_of(folder, (name, f"{name}.gz", name.replace("-idx", ".idx"))) for key, name in IDX_NAMES.items()}
    cifar = {name: _one_of(folder, (name,)) for name in (*CIFAR_TRAINING, *CIFAR_TEST)}
    named: tuple[tuple[Form, dict[str, Path | None], dict[str, str]], ...] = (
        ("idx", idx, IDX_NAMES),
        ("cifar-binary", cifar, {name: name for name in cifar}),
    )
    for form, files, names in named:
        absent = [names[role] for role, path in files.items() if path is None]
        if not absent:
            return _Found(form, {role: path for role, path in files.items() if path is not None})
        if len(absent) < len(files):
            raise Absent(f"{shown}: it lacks {', '.join(absent)}")
    if _one_of(folder, ("batches.meta",)) and _one_of(folder, ("data_batch_1",)):
        return _Found("npz", vision=("CIFAR10", folder.parent))
    expected = f"the four files of MNIST's kind ({IDX_NAMES['train_images']} …, plain or .gz)"
    raise Absent(f"{shown}: no data set in this folder, expected {expected} or those of CIFAR-10's binary version")


def _one_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if _is(folder / name, stat.S_ISREG)), None)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    """Tell whether there is something of a kind; unlike a path's own methods, of names that no file can have too."""
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


@contextmanager
def _opened(source: Source, found: _Found) -> Iterator[dict[str, tuple[str, BinaryIO]]]:
    """Open the files of a data set, each with its name in messages."""
    alone = ARCHIVE in found.files
    with ExitStack() as stack:
        opened: dict[str, tuple[str, BinaryIO]] = {}
        for role, path in found.files.items():
            name = source.name if alone else f"{source.title}/{path.name}"
            try:
                opened[role] = (name, cast("BinaryIO", stack.enter_context(path.open("rb", buffering=0))))
            except OSError as error:
                raise DatasetError(f"{name}: can't be read ({error.strerror})") from None
        total = sum(os.fstat(file.fileno()).st_size for _, file in opened.values())
        if total > FILES_CAP:
            size = f"{total / 1024**2:,.0f} MiB, the limit is {FILES_CAP // 1024**2} MiB"
            raise DatasetError(f"{source.name}: {size}: compress it, or use a part")
        yield opened


def _bytes(name: str, file: BinaryIO) -> memoryview:
    try:
        file.seek(0)
        return memoryview(exactly(file, os.fstat(file.fileno()).st_size, name))
    except OSError as error:
        raise DatasetError(f"{name}: can't be read ({error.strerror})") from None
