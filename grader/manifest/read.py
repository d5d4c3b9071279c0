"""The submitted files, read once: what every later stage sees of a submission is these bytes."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from grader.manifest.models import model_files
from grader.manifest.trees import Disk, Tree, read_plain
from grader.manifest.types import Submission, SubmissionError
from grader.manifest.walk import BYTES_CAP, DEPTH_CAP, NOTEBOOK_CAP, SUFFIXES, TOTAL_CAP, Walk

_NOT_MODELS = re.compile(r"(^|/)(tests?/.*|test_[^/]*|[^/]*_test\.py|conftest\.py|setup\.py)$")


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
    files = {entry: _read_entry(entry, shown, lambda cap: read_plain(named, cap, follow=True))}
    files.update(Walk(Disk(named.parent), TOTAL_CAP, taken=entry).python_files())
    parent = shown_path(named.parent)
    return Submission(shown, "" if parent == "." else parent, entry, files)


def _read_folder(folder: Path, shown: str, file: str | None) -> Submission:
    found = read_tree(Disk(folder), file, shown=shown, folder=shown)
    return replace(found, path=shown, folder="" if shown == "." else shown.rstrip("/"))


def read_tree(tree: Tree, file: str | None = None, *, shown: str = "the submission", folder: str = "") -> Submission:
    """Read a tree as a folder is read, with the paths that files have in it; `file` names the one with the model.

    Messages call the tree `shown`, and put `folder` before a path. Raises SubmissionError.
    """
    walk = Walk(tree, TOTAL_CAP)
    files = dict(walk.python_files())
    entry = _normal(file, shown) if file is not None else _only_model(walk, files, shown)
    kind = tree.kind(entry)
    # Named by the user, but its content is a stranger's: no link leads out of the folder.
    if kind == "link":
        raise SubmissionError("unreadable", f"{entry} in {shown} is a symbolic link", "Hand in the file itself.")
    if file is not None and kind != "file":
        candidates = tuple(sorted([*files, *walk.notebooks]))
        raise SubmissionError("missing", f"there is no file {entry!r} in {shown}", candidates=candidates)
    if entry not in files or not files[entry].strip():
        shown_entry = str(PurePosixPath(folder, entry))
        files[entry] = _read_entry(entry, shown_entry, lambda cap: tree.read(entry, cap))
    return Submission(entry, "", entry, files)


def _normal(file: str, shown: str) -> str:
    """Return the path of a file below a folder, as a key of the manifest."""
    path = PurePosixPath(file.replace(os.sep, "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise SubmissionError("missing", f"--file {file}: expected a path inside {shown}")
    return path.as_posix()


def _only_model(walk: Walk, files: dict[str, bytes], shown: str) -> str:
    """Return the one file of a folder that holds a model. Two are never chosen between."""
    sources = {**files, **walk.notebook_bytes()}
    candidates = model_files({name: data for name, data in sources.items() if not _NOT_MODELS.search(name)})
    if walk.cut:
        message = f"{shown} holds too many files to look for the model in all of them"
        raise SubmissionError("ambiguous", message, "Name the file with the model.", candidates)
    if not sources:
        message = f"{shown} holds no Python file and no notebook"
        if walk.deep:
            message += f" within {DEPTH_CAP} folders of its top"
        raise SubmissionError("no-model", message, _way_out(walk))
    if not candidates:
        message = f"no file in {shown} defines a model (a subclass of nn.Module)"
        raise SubmissionError("no-model", message, "Name the file with --file.", tuple(sorted(sources)))
    if len(candidates) > 1:
        message = f"{len(candidates)} files in {shown} may hold the model"
        raise SubmissionError("ambiguous", message, "Name the one to grade.", candidates)
    return candidates[0]


def _way_out(walk: Walk) -> str:
    """Return what to do where no file was found: the likeliest of what was passed over."""
    ways = (
        (walk.links, "Hand in the file itself: symbolic links are not followed."),
        (
            walk.unshown,
            f"Rename {shown_path(walk.unshown)}: its name does not print, so it was passed over.",
        ),
        (walk.deep, "Move the file up, or hand in the file itself."),
    )
    return next((fix for met, fix in ways if met), "Add the file with the model.")


def _read_entry(name: str, shown: str, read: Callable[[int], bytes | None]) -> bytes:
    """Return the bytes of the file with the model, or say what is wrong with it."""
    if not name.lower().endswith(SUFFIXES):
        raise SubmissionError("file-type", f"{shown} is neither a Python file (.py) nor a notebook (.ipynb)")
    cap = NOTEBOOK_CAP if name.lower().endswith(".ipynb") else BYTES_CAP
    try:
        data = read(cap)
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


def _unreadable(shown: str, error: OSError) -> SubmissionError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return SubmissionError("missing", f"there is no file {shown!r}")
    return SubmissionError("unreadable", f"{shown} cannot be read: {error.strerror}")


def shown_path(path: str | os.PathLike[str]) -> str:
    """Return a path, which may hold undecodable bytes, as text that can be written anywhere."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
