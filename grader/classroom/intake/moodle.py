"""Moodle's 'Download all submissions': a folder for each student, or files in one heap.

The form is that of Moodle's own code (moodle/moodle, mod/assign/classes/downloader.php): the folder is called
`Jane Doe_123_assignsubmission_file`, with an underscore at its end in older versions, and in a download without folders
that stands before the name of each file. The number is the participant's, of a group the group's, and the group of
those who are in none, 'Default group', has no number; a name of nobody is 'Participant'. Parts of other kinds, such as
`onlinetext`, hold no files. The time that the entries of a download bear is that of the download.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from grader.classroom.intake.finds import Find, Finds, Who
from grader.classroom.intake.stores import Below, Picked, Store
from grader.manifest import Entry, Tree, shown_path

LAYOUT = "a Moodle download"

_NAME = re.compile(r"(?P<name>.*?)(?:_(?P<number>\d+))?_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """A folder of a download, or a file of one without folders."""

    entry: Entry
    name: str
    number: str
    kind: str
    file: str

    @property
    def is_file(self) -> bool:
        """Tell whether it holds what was handed in as files."""
        return self.kind == "file" and (self.entry.kind == "folder" or bool(self.file))


def part_of(entry: Entry) -> Part | None:
    """Return what a name tells, None where it is none of Moodle's."""
    match = _NAME.fullmatch(shown_path(entry.name))
    if match is None or entry.kind == "link":
        return None
    return Part(entry, match["name"], match["number"] or "", match["kind"], match["file"] or "")


def finds(store: Store, parts: Iterable[Part]) -> Finds:
    """Return the submissions that folders and files belong to."""
    result = Finds(layouts=[LAYOUT])
    heaps: dict[tuple[str, str], list[Part]] = defaultdict(list)
    for part in parts:
        if not part.is_file:
            result.left.append((part.entry.name, f"a part of the kind '{part.kind}', which holds no handed-in file"))
        elif part.entry.kind == "folder":
            result.found.append(Find(_who(part), part.entry.name, Below(store, part.entry.name)))
        else:
            heaps[part.name, part.number].append(part)
    for heap in heaps.values():
        path = heap[0].entry.name
        shared = path if len(heap) == 1 else f"{path.rpartition('_assignsubmission_file_')[0]}_assignsubmission_file_*"
        tree: Tree = Picked(store, {part.file: part.entry.name for part in heap})
        result.found.append(Find(_who(heap[0]), shared, tree))
    return result


def _who(part: Part) -> Who:
    name = part.name.replace("_", " ").strip()
    if not part.number:
        return Who(name, (("name", name),), name)
    keys = (("moodle", part.number), ("name", name))
    return Who(part.number, keys, name, {"moodle": part.number})
