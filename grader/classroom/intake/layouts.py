"""How a download is laid out, told by the names in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from grader.classroom.intake import canvas, folders, moodle
from grader.classroom.intake.finds import Finds
from grader.classroom.intake.problems import IntakeError
from grader.classroom.intake.stores import Below, Store, is_handed, joined
from grader.classroom.types import TimeSource
from grader.manifest import Entry, Kind, is_readable

OTHERS = "not named as {} names what was handed in"

# What systems and programs leave behind, and what tells about a download.
_IGNORED = re.compile(r"__MACOSX|thumbs\.db|desktop\.ini|readme(\..*)?|\..*", re.IGNORECASE | re.DOTALL)
_OF_CODE = frozenset(
    "src source code lib models model notebooks scripts test tests utils data docs checkpoints".split()
)


def listing(store: Store, folder: str = "") -> list[Entry]:
    """Return what lies in a folder of a download, in order, without what is no part of it."""
    found = [entry for entry in store.entries(folder) if not _IGNORED.fullmatch(entry.name)]
    return sorted(found, key=lambda entry: entry.name)


def finds(store: Store, entries: Iterable[Entry], time_source: TimeSource, *, roster: bool) -> Finds:
    """Return the submissions in a folder, and what is none; with a `roster`, names that it must confirm count too.

    Raises IntakeError where the names are those of two platforms.
    """
    entries = list(entries)
    canvas_parts = [part for part in map(canvas.part_of, entries) if part is not None]
    moodle_parts = [part for part in map(moodle.part_of, entries) if part is not None]
    if canvas_parts and moodle_parts:
        raise IntakeError(
            f"names of Canvas ({canvas_parts[0].path}) and of Moodle ({moodle_parts[0].entry.name}) in one folder. "
            "Put each download into a folder of its own."
        )
    result = Finds()
    if canvas_parts:
        result.add(canvas.finds(store, canvas_parts))
    if moodle_parts:
        result.add(moodle.finds(store, moodle_parts))
    named = {part.path for part in canvas_parts} | {part.entry.name for part in moodle_parts}
    others = [entry for entry in entries if entry.name not in named]
    if named and not roster:
        words = OTHERS.format("Canvas" if canvas_parts else "Moodle")
        result.left += [(entry.name, words) for entry in others]
    else:
        result.add(folders.finds(store, others, time_source, roster=roster))
    return result


def lone(entries: Iterable[Entry], kind: Kind) -> str:
    """Return the file or folder that holds all that can be handed in, whatever lies beside it; '' if there is none."""
    handed = [entry for entry in entries if entry.kind == "folder" or is_handed(entry.name)]
    return handed[0].name if len(handed) == 1 and handed[0].kind == kind else ""


def wrapped(store: Store, entries: list[Entry], own_name: str) -> str:
    """Return the folder that holds the whole class, where everything lies in one; '' where it does not.

    `own_name` is what a zip file would call such a folder. Raises IntakeError where it may as well be one student's.
    """
    name = lone(entries, "folder")
    if not name or moodle.part_of(Entry(name, "folder")) or store.kind(joined(name, ".git")) is not None:
        return ""
    inner = listing(store, name)
    if name == own_name or any(_is_told(store, name, entry) for entry in inner):
        return name
    subfolders = [entry.name for entry in inner if entry.kind == "folder" and is_readable(entry.name)]
    ambiguous = (
        len(subfolders) > 1
        and not any(entry.kind == "file" and is_handed(entry.name) for entry in inner)
        and not folders.attempts(inner)
        and not any(subfolder.casefold() in _OF_CODE for subfolder in subfolders)
    )
    if ambiguous:
        shown = ", ".join(subfolders[:3]) + (", …" if len(subfolders) > 3 else "")
        raise IntakeError(
            f"all that can be handed in lies in one folder, {name!r}, which holds {shown}: is that the class, or one "
            f"student's work? Name the folder in which each student has one: …/{name}"
        )
    return ""


def is_download(store: Store) -> bool:
    """Tell whether something in a tree is named as platforms name what a whole class handed in."""
    return any(canvas.part_of(entry) or moodle.part_of(entry) for entry in listing(store))


def below(store: Store, folder: str) -> Store:
    return Below(store, folder) if folder else store


def _is_told(store: Store, folder: str, entry: Entry) -> bool:
    """Tell whether something is named as platforms name what students handed in, or is a checkout."""
    if entry.kind == "file":
        return canvas.part_of(entry) is not None or moodle.part_of(entry) is not None
    return moodle.part_of(entry) is not None or store.kind(f"{folder}/{entry.name}/.git") is not None
