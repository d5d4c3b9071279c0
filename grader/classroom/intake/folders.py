"""A folder for each student, a checkout for each, a zip file for each."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from grader.classroom.intake.finds import Find, Finds, Key, Who
from grader.classroom.intake.stores import Below, Picked, Store, is_handed, joined, newest
from grader.classroom.types import TimeSource
from grader.manifest import ENTRIES_CAP, NOT_SOURCES, Entry, is_readable, shown_path

FOLDERS = "a folder for each student"
CHECKOUTS = "a git checkout for each student"
ZIPS = "a zip file for each student"
FILES = "a file for each student"

_ATTEMPT = re.compile(r"(?P<word>(?:attempt|submission|try|version|v)[ _-]?)?0*(?P<number>\d{1,4})", re.IGNORECASE)
_WAYS = ("id", "login", "sis", "email", "mailbox")


def finds(store: Store, entries: Iterable[Entry], time_source: TimeSource, *, roster: bool) -> Finds:
    """Return the submissions of students who have a folder or a file of their own.

    A file's own name tells its student only where a `roster` can confirm it; otherwise `model.py` would be one.
    """
    result = Finds()
    checkouts = []
    for entry in entries:
        reason = _reason(entry, roster=roster)
        if reason:
            result.left.append((entry.name, reason))
        elif entry.kind == "file":
            result.add(_file(store, entry, time_source))
        else:
            top = list(itertools.islice(store.entries(entry.name), ENTRIES_CAP))
            if any(inner.name == ".git" for inner in top):
                checkouts.append(entry.name)
            elif any(not inner.name.startswith(".") for inner in top):
                result.add(_folder(store, entry.name, top, time_source))
            else:
                result.left.append((entry.name, "a folder with nothing in it that can be seen"))
    if checkouts:
        result.add(_checkouts(store, checkouts))
    return result


def _reason(entry: Entry, *, roster: bool) -> str:
    """Return why something is no submission; '' where it may be one."""
    if entry.kind == "link":
        return "a symbolic link, which is not followed"
    if entry.kind == "folder":
        return "a folder of a kind that holds no submission" if entry.name in NOT_SOURCES else ""
    if not is_handed(entry.name):
        return "no Python file, notebook, zip file or folder"
    if not roster and not entry.name.lower().endswith(".zip"):
        return "a file by itself: whose it is, a roster can tell"
    return ""


def _file(store: Store, entry: Entry, time_source: TimeSource) -> Finds:
    shown = shown_path(entry.name)
    stem, _, suffix = shown.rpartition(".")
    time = store.modified(entry.name)
    find = Find(
        named(stem),
        entry.name,
        Picked(store, {shown: entry.name}),
        submitted=time,
        time_source=time_source if time else "",
    )
    return Finds([find], layouts=[ZIPS if suffix.lower() == "zip" else FILES])


def _folder(store: Store, name: str, top: Sequence[Entry], time_source: TimeSource) -> Finds:
    who = named(shown_path(name))
    found = []
    numbered = attempts(top)
    for inner in numbered or ("",):
        path = joined(name, inner)
        tree = Below(store, path)
        time = newest(tree)
        order = (numbered[inner],) if inner else ()
        found.append(Find(who, path, tree, order, time, time_source if time else ""))
    return Finds(found, layouts=[FOLDERS])


def attempts(top: Sequence[Entry]) -> dict[str, int]:
    """Return the folders that are a student's attempts, with their numbers; none where they may be something else.

    They are where nothing else could be graded, and either say what they are (`attempt_1`) or count from 1.
    """
    seen = [entry for entry in top if is_readable(entry.name)]
    if any(entry.kind == "file" and is_handed(entry.name) for entry in seen):
        return {}
    folders = [entry.name for entry in seen if entry.kind == "folder"]
    matches = [match for match in map(_ATTEMPT.fullmatch, folders) if match is not None]
    numbers = [int(match["number"]) for match in matches]
    if len(matches) < len(folders) or len(set(numbers)) < len(numbers):
        return {}
    counted = len(numbers) > 1 and sorted(numbers) == list(range(1, len(numbers) + 1))
    said = all(match["word"] for match in matches)
    return dict(zip(folders, numbers, strict=True)) if counted or said else {}


def _checkouts(store: Store, names: Sequence[str]) -> Finds:
    """Return checkouts as they lie there. No git is run in them: what a repository configures would run with it.

    Their files bear the time of the checkout, which says nothing of the submission.
    """
    ends = zip(min(names), max(names), strict=False) if len(names) > 1 else ()
    shared = "".join(first for first, last in itertools.takewhile(lambda pair: pair[0] == pair[1], ends))
    shared = shared[: shared.rfind("-") + 1]  # of `assignment-login`
    begun = Counter(start for name in names for start, _ in _splits(shown_path(name)))
    found = []
    for name in names:
        shown = shown_path(name)
        # What no other begins with belongs to the student: `s5-jane-doe` is not doe's.
        logins = [login for start, login in _splits(shown) if not (start and shared) or begun[start] > 1]
        keys = tuple((way, login) for login in logins for way in _WAYS)
        found.append(Find(Who(shown_path(name.removeprefix(shared)) or shown, keys), name, Below(store, name)))
    return Finds(found, layouts=[CHECKOUTS])


def _splits(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to read a name as that of an assignment, which may be nothing, and a login."""
    parts = name.split("-")
    for start in range(len(parts)):
        yield "-".join(parts[:start]), "-".join(parts[start:])


def named(name: str) -> Who:
    """Return whom a name means that is just the student's."""
    keys: tuple[Key, ...] = (*((way, name) for way in _WAYS), ("name", name))
    return Who(name, keys)
