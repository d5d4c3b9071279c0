"""Canvas's 'Download Submissions': files in one heap, whose names tell the student.

The form is that of Canvas's own code (instructure/canvas-lms, lib/content_zipper.rb): `doejane_LATE_123_456_model.py`
is a name without all that is no letter, the mark of a late submission, the user's id, the file's id, the file's name.
Of an anonymous one `anon_` and five characters take the place of the name and the id; of a group the name is the
group's and the id a member's. What was typed into Canvas is `doejane_123_text.html`, a link `doejane_123_link.html`.

A download holds the latest attempt of each student, with all its files. Canvas gives a file handed in anew a name that
is not taken, `model-1.py` (app/models/attachment.rb, make_unique_filename): it is `model.py` again here. Two files of
one name are two attempts, from two downloads in one folder; ids grow with time, so the widest gap between them parts
the attempts. The time that the entries of a download bear is that of the download.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from grader.classroom.intake.finds import Find, Finds, Who
from grader.classroom.intake.stores import Picked, Store
from grader.manifest import Entry, shown_path

LAYOUT = "a Canvas download"

_LATE = r"(?P<late>late_)?"
_ANONYMOUS = re.compile(_LATE + r"anon_(?P<id>[0-9a-z]{5})_(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(r"(?P<name>(?!late_)[^\s./-]+?)_" + _LATE + r"(?P<id>\d+)_(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_UPLOADED = re.compile(r"(?P<number>\d+)_(?P<name>.+)", re.DOTALL)
_TYPED = {"text.html": "text that was typed into Canvas, no file", "link.html": "a link, no file"}
_RENAMED = re.compile(r"(.+)-(?:\d{1,2}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})((?:\.[A-Za-z0-9]+)+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a download, with what its name tells."""

    path: str
    owner: str  # the user's id, or 'anon_' and the anonymous one
    owner_name: str
    late: bool
    number: int
    name: str  # in Canvas
    typed: str = ""  # why it is no file

    @property
    def is_doubtful(self) -> bool:
        """Tell whether its name can be read otherwise: who is called `x_12` in Canvas is not the student 12."""
        return bool(self.owner_name) and _UPLOADED.fullmatch(self.name) is not None


def part_of(entry: Entry) -> Part | None:
    """Return what the name of a file tells, None where it is none of Canvas's."""
    name, shown = entry.name, shown_path(entry.name)
    anonymous = _ANONYMOUS.fullmatch(shown)
    match = anonymous or _NAMED.fullmatch(shown)
    if match is None or entry.kind != "file":
        return None
    owner = f"anon_{match['id']}" if anonymous else match["id"]
    owner_name = "" if anonymous else match["name"]
    late = match["late"] is not None
    if match["rest"] in _TYPED:
        return Part(name, owner, owner_name, late, 0, "", _TYPED[match["rest"]])
    uploaded = _UPLOADED.fullmatch(match["rest"])
    return Part(name, owner, owner_name, late, int(uploaded["number"]), uploaded["name"]) if uploaded else None


def finds(store: Store, parts: Iterable[Part]) -> Finds:
    """Return the submissions that files belong to."""
    result = Finds(layouts=[LAYOUT])
    owned: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        if part.typed:
            result.left.append((part.path, part.typed))
        else:
            owned[part.owner].append(part)
    for owner, own in owned.items():
        doubtful = [part for part in own if part.is_doubtful and len({part.owner_name for part in own}) > 1]
        result.left += [(part.path, f"it may be {owner}'s, whose other files bear another name") for part in doubtful]
        sure = sorted((part for part in own if part not in doubtful), key=lambda part: (part.number, part.name))
        result.found += [_find(store, owner, attempt) for attempt in attempts(sure)]
    return result


def _find(store: Store, owner: str, parts: list[Part]) -> Find:
    first = parts[0]
    keys: tuple[tuple[str, str], ...] = (("id", owner),)
    platform = {}
    if first.owner_name:
        keys = (("canvas", owner), *keys, ("name", first.owner_name))
        platform = {"canvas": owner}
    path = first.path if len(parts) == 1 else f"{first.path.rpartition(f'_{first.number}_')[0]}_*"
    tree = Picked(store, {name: part.path for name, part in names(parts).items()})
    late = any(part.late for part in parts)
    who = Who(owner, keys, first.owner_name, platform, is_doubtful=any(part.is_doubtful for part in parts))
    return Find(who, path, tree, (first.number,), late=late)


def names(parts: list[Part]) -> dict[str, Part]:
    """Return the files of an attempt by the names that the student gave them."""
    plain = Counter(plain_name(part.name) for part in parts)
    found = {}
    for part in parts:
        name = plain_name(part.name)
        found[name if plain[name] == 1 else part.name] = part
    return found


def plain_name(name: str) -> str:
    """Return the name that a file had before Canvas gave it one that was not taken."""
    match = _RENAMED.fullmatch(name)
    return match[1] + match[2] if match else name


def attempts(parts: list[Part]) -> list[list[Part]]:
    """Part a student's files, in the order of their numbers, into attempts."""
    full = {part.name for part in parts}
    keys = [plain if (plain := plain_name(part.name)) in full else part.name for part in parts]
    found = []
    start = 0
    last: dict[str, int] = {}
    for index, key in enumerate(keys):
        if last.get(key, -1) >= start:
            steps = range(last[key] + 1, index + 1)
            cut = max(steps, key=lambda step: parts[step].number - parts[step - 1].number)
            found.append(parts[start:cut])
            start = cut
        last[key] = index
    return [*found, parts[start:]] if parts else []
