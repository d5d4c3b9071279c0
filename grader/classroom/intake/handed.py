"""One submission of a class, read when its turn comes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from grader.classroom.intake.archive import Archive, ArchiveError, Limits, read_archive
from grader.classroom.intake.stores import Union
from grader.manifest import ENTRIES_CAP, Submission, SubmissionError, Tree, is_readable, read_tree

ZIP_CAP = 64 * 1024 * 1024  # bytes of a student's zip file, which is held in memory
ZIPS_CAP = 4  # of them in one submission
LIMITS = Limits()

_UNOPENED = (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar", ".bz2", ".xz")


@dataclass(frozen=True, slots=True)
class Handed:
    """What a student handed in: files, a folder, zip files; `file` names the one with the model.

    The paths of the submission are those that the student knows, so that the same files give the same report whoever
    handed them in and wherever the instructor keeps them.
    """

    tree: Tree
    file: str | None = None

    def read(self) -> Submission:
        zips = [name for name in _top(self.tree) if name.lower().endswith(".zip") and self.tree.kind(name) == "file"]
        if len(zips) > ZIPS_CAP:
            raise SubmissionError("ambiguous", f"the submission is {len(zips)} zip files", "Hand in one of them.")
        tree = self.tree
        if zips:
            tree = Union([("the submission", tree), *((name, _opened(tree, name)) for name in zips)])
        try:
            return read_tree(tree, self.file or _single(tree, zips))
        except SubmissionError as error:
            if error.code in ("no-model", "file-type") and not error.candidates:
                raise _unopened(tree, zips) or error from None
            raise


def _opened(tree: Tree, name: str) -> Archive:
    """Return the files of a zip file, without trusting a single number of it."""
    try:
        data = tree.read(name, ZIP_CAP)
    except OSError as error:
        raise SubmissionError("unreadable", f"{name} cannot be read: {error.strerror}") from None
    if data is None:
        raise SubmissionError("unreadable", f"{name} is not a plain file")
    if len(data) > ZIP_CAP:
        message = f"{name} is larger than the limit of {ZIP_CAP:,} bytes"
        raise SubmissionError("too-large", message, "Hand in the source alone.")
    try:
        archive = read_archive(data, name, LIMITS)
    except ArchiveError as error:
        raise SubmissionError("too-large" if error.too_large else "unreadable", error.message, error.fix) from None
    for entry, fault in archive.faults:
        raise SubmissionError("unreadable", f"{name} holds {entry!r}: {fault}", "Zip the folder with the files again.")
    return archive


def _top(tree: Tree) -> list[str]:
    return sorted(entry.name for entry in itertools.islice(tree.entries(""), ENTRIES_CAP) if is_readable(entry.name))


def _single(tree: Tree, zips: list[str]) -> str | None:
    """Return the file that is the whole submission, whatever it is called; None where there is more."""
    names = [name for name in _top(tree) if name not in zips and name != "__MACOSX"]
    return names[0] if len(names) == 1 and tree.kind(names[0]) == "file" else None


def _unopened(tree: Tree, opened: list[str]) -> SubmissionError | None:
    """Return the error on an archive that stayed closed, where all else holds no Python file."""
    archives = [name for name in _top(tree) if name.lower().endswith(_UNOPENED) and tree.kind(name) == "file"]
    closed = [name for name in archives if name not in opened]
    if not closed:
        return None
    inside = closed[0].lower().endswith(".zip")
    words = "is a zip file inside a zip file" if inside else "is an archive of a kind that is not opened"
    return SubmissionError(
        "file-type", f"{closed[0]} {words}", "Hand in the files themselves, or one zip file of them."
    )
