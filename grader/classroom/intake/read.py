"""A folder or a zip file of submissions as a class: read this first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from grader.classroom.intake import layouts
from grader.classroom.intake.archive import ArchiveError, open_archive
from grader.classroom.intake.attempts import natural
from grader.classroom.intake.claims import Claims, is_pattern
from grader.classroom.intake.finds import Find, Finds
from grader.classroom.intake.handed import Handed
from grader.classroom.intake.held import Held
from grader.classroom.intake.match import Index, Owner
from grader.classroom.intake.problems import SHOWN, IntakeError
from grader.classroom.intake.roster import Roster, read_roster
from grader.classroom.intake.stores import Folder, Store, joined
from grader.classroom.types import Attempt, Class, TimeSource, Unmatched
from grader.manifest import Entry, shown_path
from grader.render.escape import visible

LOOKED_FOR = (
    "a folder, a zip file or a git checkout for each student, or names as Canvas and Moodle give them in a download"
)
NAME = 40  # characters of a column's name
WAY_OUT = (
    "Move each student's files into a folder of their own, or say whose they are in a roster with a column 'path'. "
    "To grade a single submission, leave out 'class'."
)


def read_class(path: str, roster: str | None = None, file: str | None = None) -> Class:
    """Find the submissions in a folder or a zip file, and whose they are; only names are looked at, no bytes read.

    `roster` is a CSV file with the students; without one, they are those whose submissions there are. `file` names the
    one in each submission that holds the model. Raises IntakeError.
    """
    enrolled = None if roster is None else read_roster(roster)
    root = _root(path, roster)
    found = Held() if enrolled is None else Held.of(enrolled.enrolled)
    layout = _told_by_names(root, found) if enrolled is None else _told_by_roster(root, enrolled, found)
    if found.is_empty:
        raise IntakeError(_nothing(root, found) + ("" if enrolled is None else _unused(enrolled, "\n")))
    if enrolled is not None:
        found.refuse_unsure(enrolled)
    attempts = [
        Attempt(
            id,
            number,
            _path(root, find.path),
            Handed(find.tree, find.file or file),
            find.submitted,
            find.time_source,
            find.late,
        )
        for id in found.students
        for number, find in enumerate(found.attempts(id), 1)
    ]
    unmatched = sorted(
        {Unmatched(_path(root, name), reason) for name, reason in found.left}, key=msgspec.structs.astuple
    )
    aliases = [*found.aliases(), *(found.namesakes() if enrolled is None else ())]
    shown = tuple(
        msgspec.structs.replace(alias, paths=tuple(_path(root, path) for path in alias.paths)) for alias in aliases
    )
    return Class(layout, tuple(found.students.values()), tuple(attempts), tuple(unmatched), shown)


@dataclass(frozen=True, slots=True)
class _Root:
    """What is read: `shown` is where it lies, `stem` what a zip file would call a folder with all of it."""

    store: Store
    shown: str
    stem: str
    time_source: TimeSource
    entries: list[Entry]
    faults: list[tuple[str, str]] = field(default_factory=list)


def _root(path: str, roster: str | None) -> _Root:
    place, shown = Path(path), shown_path(path)
    try:
        if place.is_dir():
            folder = Folder(place)
            entries = [entry for entry in layouts.listing(folder) if not _is_same(place / entry.name, roster)]
            _refuse_packed(place, shown, entries)
            return _Root(folder, shown, "", "file", entries)
        archive = open_archive(place, shown)
    except FileNotFoundError:
        raise IntakeError(f"there is no file and no folder {shown!r}") from None
    except ArchiveError as error:
        fix = "To grade a single submission, leave out 'class'."
        raise IntakeError(f"{error.message}; expected a folder or a zip file with submissions. {fix}") from None
    except (OSError, ValueError) as error:
        raise IntakeError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return _Root(archive, shown, place.stem, "archive", layouts.listing(archive), archive.faults)


def _refuse_packed(place: Path, shown: str, entries: Sequence[Entry]) -> None:
    """Raise IntakeError where all that a folder holds is the zip file of a whole class, not of a student."""
    name = layouts.lone(entries, "file")
    if not name.lower().endswith(".zip"):
        return
    with suppress(ArchiveError, OSError):
        if layouts.is_download(open_archive(place / name, shown)):
            path = Path(shown, shown_path(name))
            raise IntakeError(f"{path} holds the submissions of a whole class: name it in place of its folder")


def _is_same(path: Path, roster: str | None) -> bool:
    try:
        return roster is not None and path.name == Path(roster).name and path.samefile(roster)
    except OSError:
        return False


def _told_by_names(root: _Root, found: Held) -> str:
    """Find the submissions and their students by names alone, and return the layout in words."""
    folder = layouts.wrapped(root.store, root.entries, root.stem)
    entries = layouts.listing(root.store, folder) if folder else root.entries
    found.left += layouts.finds(root.store, _beside(root, folder), root.time_source, roster=False).left
    result = layouts.finds(layouts.below(root.store, folder), entries, root.time_source, roster=False)
    for find in sorted(result.found, key=_by_student):
        found.add(find.who.id, _moved(find, folder))
    found.left += [*root.faults, *((joined(folder, name), reason) for name, reason in result.left)]
    return " and ".join(result.layouts)


def _told_by_roster(root: _Root, roster: Roster, found: Held) -> str:
    """Find the submissions of a roster's students, and return the layout in words."""
    claims = Claims(root.store, roster.enrolled, root.time_source)
    claimed, lost = claims.followed()
    named = [one for one in roster.enrolled if not all(claim.path for claim in one.claims)]
    index = Index(roster.enrolled, named, roster.file)
    for one, claim, find in claimed:
        other = index.find(find.who) if is_pattern(claim.path) else ""
        if isinstance(other, str):
            found.add(one.student.id, find, claim)
        else:  # 'ada*' met what is called just as another student is, who has no path
            found.add(other.student.id, find, by="its name")
    found.left += [*root.faults, *lost]
    folder = "" if claimed else _wrapped(root, index)
    inside = [("", _beside(root, folder)), (folder, layouts.listing(root.store, folder))]
    rest = inside if folder else claims.rest(root.entries)
    told = [f"paths in {roster.file}"] if claimed else []
    for place, entries in rest:
        store = layouts.below(root.store, place)
        result = layouts.finds(store, entries, root.time_source, roster=True)
        told += [layout for layout in _matched(result, place, index, found) if layout not in told]
    groups = {one.student.group for one in roster.enrolled} - {""}
    count = "1 group hands" if len(groups) == 1 else f"{len(groups):,} groups hand"
    by = f"; {count} in together, by the column {roster.group_column!r} of {roster.file}"
    return " and ".join(told) + (by if groups else "") + _unused(roster)


def _unused(roster: Roster, joint: str = "; ") -> str:
    """Return which columns of a roster mean nothing here: one of them may be misspelled."""
    if not roster.unused:
        return ""
    shown = ", ".join(repr(name[:NAME]) for name in roster.unused[:SHOWN])
    return f"{joint}{roster.file} has columns that are not used: {shown}{', …' if len(roster.unused) > SHOWN else ''}"


def _wrapped(root: _Root, index: Index) -> str:
    """Return the folder that holds the whole class; one that is called like a student of the roster does not."""
    name = layouts.lone(root.entries, "folder")
    folder = [entry for entry in root.entries if entry.name == name]
    found = layouts.finds(root.store, folder, root.time_source, roster=True).found
    return "" if any(not isinstance(index.owner(find.who), str) for find in found) else name


def _beside(root: _Root, folder: str) -> list[Entry]:
    """Return what lies beside the folder that holds the whole class, where there is one."""
    return [entry for entry in root.entries if folder and entry.name != folder]


def _matched(result: Finds, place: str, index: Index, found: Held) -> Iterable[str]:
    """Give submissions to the students whom they name, and return the layouts in words."""
    met = False
    for find, owner in _owned(result.found, index):
        if isinstance(owner, str):
            found.left.append((joined(place, find.path), owner))
            continue
        met = True
        if owner.student is None:
            found.add_shared(owner.group, _moved(find, place), owner.by)
        else:
            found.add(owner.student.student.id, _moved(find, place), by=owner.by)
    found.left += [(joined(place, name), reason) for name, reason in result.left]
    return result.layouts if met else ()


def _owned(finds: Sequence[Find], index: Index) -> Iterator[tuple[Find, Owner | str]]:
    """Yield submissions, each with its owner, or why that can't be told.

    Two numbers of a platform are two people, or two groups. Where both are called as one is, it is the one whose number
    is the student's id, or else neither.
    """
    owners = [index.owner(find.who) for find in finds]
    numbers: dict[str, set[str]] = defaultdict(set)
    for find, owner in zip(finds, owners, strict=True):
        if not isinstance(owner, str):
            numbers[owner.shown].update(find.who.platform.values())
    for find, owner in zip(finds, owners, strict=True):
        number = "".join(find.who.platform.values())
        if isinstance(owner, str) or number in ("", owner.shown) or len(numbers[owner.shown]) < 2:
            yield find, owner
        else:
            people = ", ".join(sorted(numbers[owner.shown])[:SHOWN])
            whom = "group" if owner.student is None else "person"
            yield find, f"{owner.shown} has the name of more than one {whom}: {people}"


def _by_student(find: Find) -> tuple[str, list[tuple[int, str]]]:
    return find.who.name.casefold(), natural(find.who.id)


def _moved(find: Find, folder: str) -> Find:
    return replace(find, path=joined(folder, find.path)) if folder else find


def _path(root: _Root, name: str) -> str:
    return str(Path(root.shown, shown_path(name)))


def _nothing(root: _Root, found: Held) -> str:
    """Return why there is nothing to grade, and the way out."""
    words = f"{root.shown}: no submission was found. Looked for {LOOKED_FOR}."
    reasons = [f"\n  {visible(_path(root, name))}: {reason}" for name, reason in found.left]
    more = [f"\n  and {len(reasons) - SHOWN:,} more"] if len(reasons) > SHOWN else []
    met = ["\nFound, but no submission:", *reasons[:SHOWN], *more] if reasons else []
    return "".join([words, *met, "\n", WAY_OUT])
