"""Writes the pages of a class into a folder: whole files or none, only those that changed, and none that are stale."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import msgspec

from grader.classroom.page.overview import class_page
from grader.classroom.types import ClassReport, Grade
from grader.render import Options, render
from grader.report import Report

INDEX = "index.html"
STUDENTS = "students"
LISTING = ".s5-grade-pages.json"  # which pages are ours, and what we wrote into them
SLUG = 40  # characters
DIGEST = 16  # hexadecimal digits: 64 bits, more than anyone searches for a second id with the same ones
_OURS = re.compile(rf"(?:[a-z0-9]+(?:-[a-z0-9]+)*-)?[0-9a-f]{{{DIGEST}}}\.html")


class PagesError(Exception):
    """A folder that the pages can't be written to; the message says why, and the way out."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the files: `changed` were written, `kept` were the same already, `removed` were stale."""

    index: Path
    changed: int
    kept: int
    removed: int


def write_pages(folder: Path, report: ClassReport, report_of: Callable[[str], Report | None]) -> Written:
    """Write `index.html`, and a page for each student of whom there is a report; `report_of` is given its key.

    Reports are asked for one by one. A page is a file of ours as long as its bytes are what we wrote; others are never
    removed. Raises PagesError.
    """
    try:
        return _write(folder, report, report_of)
    except OSError as error:
        place = error.filename or folder
        raise PagesError(f"{place}: {error.strerror}. Name another folder for the pages.") from None


def refuse_foreign(folder: Path) -> None:
    """Raise PagesError where a folder has an index page that is none of ours, as one's own site has."""
    index = folder / INDEX
    if os.path.lexists(index) and not (folder / LISTING).exists():
        raise PagesError(f"{index} is there and was not written by s5-grade. Name another folder for the pages.")


def page_name(student: str) -> str:
    """Return the name of a student's page: the same for the same id, on every file system another for another id."""
    plain = unicodedata.normalize("NFKD", student).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:SLUG].strip("-")
    digest = hashlib.sha256(student.encode("utf-8", "surrogatepass")).hexdigest()[:DIGEST]
    return f"{slug}-{digest}.html" if slug else f"{digest}.html"


def student_page(report: Report, grade: Grade) -> str:
    """Return a student's own page: the report, and how the final points came about; no word of anyone else."""
    own = _without_folders(report)
    return render(msgspec.structs.replace(own, notes=(*_notes(grade), *own.notes)), "html", Options())


def _write(folder: Path, report: ClassReport, report_of: Callable[[str], Report | None]) -> Written:
    refuse_foreign(folder)
    students = folder / STUDENTS
    students.mkdir(parents=True, exist_ok=True)
    if not (folder / LISTING).exists():
        _put(folder / LISTING, b"{}\n")  # from now on the folder is ours, whatever interrupts us
    before = _listing(folder)
    pages: dict[str, str] = {}
    linked: dict[str, str] = {}
    changed = 0
    for grade in report.grades:
        found = report_of(grade.key) if grade.key else None
        if found is None:
            continue
        name = page_name(grade.student.id)
        data = student_page(found, grade).encode()
        pages[name] = hashlib.sha256(data).hexdigest()
        linked[grade.student.id] = f"{STUDENTS}/{name}"
        changed += _put(students / name, data)
    index = folder / INDEX
    changed += _put(index, class_page(report, lambda grade: linked.get(grade.student.id)).encode())
    removed = [students / name for name in before.keys() - pages.keys() if _is_ours(students / name, before[name])]
    for path in removed:
        path.unlink()
    _put(folder / LISTING, msgspec.json.format(msgspec.json.encode(dict(sorted(pages.items()))), indent=1))
    return Written(index, changed, len(pages) + 1 - changed, len(removed))


def _without_folders(report: Report) -> Report:
    """Return a report that names the rules file, but not where on the instructor's machine it lies."""
    words = shlex.split(report.reproduce.command)
    for place, word in enumerate(words[:-1], 1):
        if word == "--rules":
            words[place] = PurePath(words[place]).name
    name = PurePath(report.rules_file).name
    return msgspec.structs.replace(
        report,
        rules_file=name,
        rules=tuple(msgspec.structs.replace(rule, set=PurePath(rule.set).name) for rule in report.rules),
        notes=tuple(note.replace(report.rules_file, name) for note in report.notes),
        reproduce=msgspec.structs.replace(report.reproduce, command=shlex.join(words)),
    )


def _notes(grade: Grade) -> list[str]:
    """Tell a student about their points; the reason of an override is the course's, and may name others."""
    found = []
    if grade.override is not None and grade.final is not None:
        found.append(f"your course set your points to {grade.final:g} by hand")
    elif grade.penalty and grade.final is not None:
        found.append(f"handed in late: {grade.penalty:g} points less, which leaves {grade.final:g}")
    return found


def _put(path: Path, data: bytes) -> bool:
    """Write a whole file or none, and tell whether it had to be."""
    if path.is_file() and not path.is_symlink() and path.read_bytes() == data:
        return False
    descriptor, name = tempfile.mkstemp(prefix=".s5-grade.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(name).chmod(0o600)  # grades are nobody else's business
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return True


def _listing(folder: Path) -> dict[str, str]:
    """Return the pages that were written before, by name, with their digests; names that are not ours are left out."""
    try:
        found = msgspec.json.decode((folder / LISTING).read_bytes(), type=dict[str, str])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
    return {name: digest for name, digest in found.items() if _OURS.fullmatch(name)}


def _is_ours(path: Path, digest: str) -> bool:
    return path.is_file() and not path.is_symlink() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
