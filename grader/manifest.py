"""The submitted files, read once: what every later stage sees of a submission is these bytes."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

FILES_CAP = 200
BYTES_CAP = 1024 * 1024  # one Python file
NOTEBOOK_CAP = 10 * 1024 * 1024  # one notebook: most of it is pictures
NOTEBOOKS_CAP = 20  # notebooks that are searched for the model
TOTAL_CAP = 8 * 1024 * 1024  # all files beside the one with the model
DEPTH_CAP = 3  # folders below the submission's own
ENTRIES_CAP = 5_000  # names looked at, in a folder that may be anything

SUFFIXES = (".py", ".ipynb")
_SKIPPED = frozenset(("venv", "node_modules", "site-packages", "__pycache__", "build", "dist"))
_NOT_MODELS = re.compile(r"(^|/)(tests?/.*|test_[^/]*|[^/]*_test\.py|conftest\.py|setup\.py)$")

# Names of classes that are models, as text: a class is one if a base of it is, in whatever file that base stands.
_ROOTS = frozenset((b"Module", b"LightningModule", b"Sequential"))
# A notebook's lines begin after a quote, or after `\n` written out.
# No part of it can run on over the beginning of the next class: a file of nothing but beginnings is read in one go.
_CLASS = re.compile(rb"""(?:^|"|\\n)[ \t]*class[ \t]+(\w+)[ \t]*(?:\[[^\[\]\n]*\])?\(([^()]*)\)""", re.MULTILINE)
_CLASS_HEADER = re.compile(rb"class[ \t]+(\w+)")
_WORD = re.compile(rb"\w+")
_SEQUENTIAL = re.compile(rb"\bSequential\s*\(")

Code = Literal["missing", "file-type", "unreadable", "empty", "too-large", "no-model", "ambiguous"]


class SubmissionError(Exception):
    """A submission that cannot be read; `candidates` are files to choose from with `--file`."""

    def __init__(self, code: Code, message: str, fix: str = "", candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class Submission:
    """The bytes that are graded: `files` by their paths below the submission's folder, with forward slashes.

    `path` is what the user named, `folder` where its files lie ('' for the current one), `entry` the model's file.
    """

    path: str
    folder: str
    entry: str
    files: dict[str, bytes] = field(repr=False)

    @property
    def sha256(self) -> str:
        """The digest of the entry's bytes."""
        return hashlib.sha256(self.files[self.entry]).hexdigest()


def read_submission(path: str | os.PathLike[str], file: str | None = None) -> Submission:
    """Read a Python file, a notebook or a folder, with the Python files beside it; `file` names the one in a folder.

    The path itself may lead through symbolic links, nothing below it may. Raises SubmissionError.
    """
    named = Path(path)
    shown = shown_path(path)
    try:
        mode = named.stat().st_mode
    except OSError as error:
        raise _unreadable(shown, error) from None
    except ValueError:
        raise SubmissionError("missing", f"there is no file {shown!r}") from None
    if stat.S_ISDIR(mode):
        return _read_folder(named, shown, file)
    if file is not None and shown_path(named.name) != file:
        raise SubmissionError("missing", f"{shown} is a file: --file {file} needs a folder", "Leave out --file.")
    entry = shown_path(named.name)
    files = {entry: _read_entry(named, shown, follow=True)}
    files.update(_Walk(named.parent, TOTAL_CAP, taken=entry).python_files())
    parent = shown_path(named.parent)
    return Submission(shown, "" if parent == "." else parent, entry, files)


def _read_folder(folder: Path, shown: str, file: str | None) -> Submission:
    walk = _Walk(folder, TOTAL_CAP)
    files = dict(walk.python_files())
    entry = _normal(file, shown) if file is not None else _only_model(walk, files, shown)
    # Named by the user, but its content is a stranger's: no link leads out of the folder.
    if any((folder / part).is_symlink() for part in (entry, *_parents(entry))):
        raise SubmissionError("unreadable", f"{entry} in {shown} is a symbolic link", "Hand in the file itself.")
    if file is not None and not (folder / entry).is_file():
        candidates = tuple(sorted([*files, *walk.notebooks]))
        raise SubmissionError("missing", f"there is no file {entry!r} in {shown}", candidates=candidates)
    if entry not in files or not files[entry].strip():
        files[entry] = _read_entry(folder / entry, str(PurePosixPath(shown, entry)), follow=False)
    return Submission(shown, "" if shown == "." else shown.rstrip("/"), entry, files)


def _parents(entry: str) -> list[str]:
    """Return the folders between the submission's and a file."""
    return [str(parent) for parent in PurePosixPath(entry).parents][:-1]


def _normal(file: str, shown: str) -> str:
    """Return the path of a file below a folder, as a key of the manifest."""
    path = PurePosixPath(file.replace(os.sep, "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise SubmissionError("missing", f"--file {file}: expected a path inside {shown}")
    return path.as_posix()


def _only_model(walk: _Walk, files: dict[str, bytes], shown: str) -> str:
    """Return the one file of a folder that holds a model. Two are never chosen between."""
    sources = {**files, **walk.notebook_bytes()}
    candidates = model_files({name: data for name, data in sources.items() if not _NOT_MODELS.search(name)})
    if walk.cut:
        message = f"{shown} holds too many files to look for the model in all of them"
        raise SubmissionError("ambiguous", message, "Name the file with the model.", candidates)
    if not sources:
        fix = (
            "Hand in the file itself: symbolic links are not followed."
            if walk.links
            else "Add the file with the model."
        )
        raise SubmissionError("no-model", f"{shown} holds no Python file and no notebook", fix)
    if not candidates:
        message = f"no file in {shown} defines a model (a subclass of nn.Module)"
        raise SubmissionError("no-model", message, "Name the file with --file.", tuple(sorted(sources)))
    if len(candidates) > 1:
        message = f"{len(candidates)} files in {shown} may hold the model"
        raise SubmissionError("ambiguous", message, "Name the one to grade.", candidates)
    return candidates[0]


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


def _read_entry(path: Path, shown: str, *, follow: bool) -> bytes:
    """Return the bytes of the file with the model, or say what is wrong with it."""
    if path.suffix.lower() not in SUFFIXES:
        raise SubmissionError("file-type", f"{shown} is neither a Python file (.py) nor a notebook (.ipynb)")
    cap = _cap(path)
    try:
        data = _read(path, cap, follow=follow)
    except OSError as error:
        raise _unreadable(shown, error) from None
    if data is None:
        raise SubmissionError("unreadable", f"{shown} is not a plain file")
    if len(data) > cap:
        fix = "Clear the notebook's outputs and save it again." if cap == NOTEBOOK_CAP else "Hand in the source alone."
        raise SubmissionError("too-large", f"{shown} is larger than the limit of {cap:,} bytes", fix)
    if not data.strip():
        raise SubmissionError("empty", f"{shown} is empty", "Save the file, then grade it again.")
    return data


def _cap(path: Path) -> int:
    return NOTEBOOK_CAP if path.suffix.lower() == ".ipynb" else BYTES_CAP


def _read(path: Path, cap: int, *, follow: bool) -> bytes | None:
    """Return at most `cap` + 1 bytes of a plain file, None where it is anything else. A pipe does not make it wait."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        return file.read(cap + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _unreadable(shown: str, error: OSError) -> SubmissionError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return SubmissionError("missing", f"there is no file {shown!r}")
    return SubmissionError("unreadable", f"{shown} cannot be read: {error.strerror}")


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path, which may hold undecodable bytes, as text that can be written anywhere."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Walk:
    """One look through a folder, nearest files first; what is too much is left out, and `cut` says so."""

    def __init__(self, root: Path, total: int, taken: str = "") -> None:
        self.root = root
        self.left = total
        self.taken = taken
        self.cut = False
        self.links = False
        self.notebooks: dict[str, Path] = {}

    def python_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of the Python files; notebooks are noted on the way."""
        count = 0
        for name, path in self._files():
            if path.suffix == ".ipynb":
                self.notebooks[name] = path
            elif name != self.taken:
                if count == FILES_CAP or self.left <= 0:
                    self.cut = True
                    return
                data = self._bytes(path, min(BYTES_CAP, self.left))
                if data is not None:
                    count += 1
                    self.left -= len(data)
                    yield name, data

    def notebook_bytes(self) -> dict[str, bytes]:
        """Return the bytes of the notebooks that were met."""
        found: dict[str, bytes] = {}
        for name, path in self.notebooks.items():
            if len(found) == NOTEBOOKS_CAP:
                self.cut = True
                break
            data = self._bytes(path, NOTEBOOK_CAP)
            if data is not None:
                found[name] = data
        return found

    def _bytes(self, path: Path, cap: int) -> bytes | None:
        """Return a file's bytes; None for what is no plain file, cannot be read, or is too large."""
        try:
            data = _read(path, cap, follow=False)
        except OSError:
            return None
        if data is not None and len(data) > cap:
            self.cut = self.cut or cap < BYTES_CAP  # a file too large by itself is no submission
            return None
        return data

    def _files(self) -> Iterator[tuple[str, Path]]:
        folders = deque([("", self.root, 0)])
        seen = 0
        while folders:
            prefix, folder, depth = folders.popleft()
            entries = _listed(folder, ENTRIES_CAP - seen)
            seen += len(entries)
            if seen >= ENTRIES_CAP:
                self.cut = True
            for entry in entries:
                if entry.is_symlink() or not _readable(entry.name):
                    self.links = self.links or entry.is_symlink()
                    continue
                name = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if depth < DEPTH_CAP and _is_source_folder(entry):
                        folders.append((f"{name}/", Path(entry.path), depth + 1))
                elif name.endswith(SUFFIXES):
                    yield name, Path(entry.path)


def _listed(folder: Path, limit: int) -> list[os.DirEntry[str]]:
    """Return up to `limit` entries of a folder, by name; none where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return sorted(itertools.islice(entries, limit), key=lambda entry: entry.name)
    except OSError:
        return []


def _readable(name: str) -> bool:
    return not name.startswith(".") and name.isprintable()


def _is_source_folder(entry: os.DirEntry[str]) -> bool:
    return entry.name not in _SKIPPED and not Path(entry.path, "pyvenv.cfg").exists()
