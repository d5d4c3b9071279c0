"""One look through the files of a submission, within limits."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator

from grader.manifest.trees import Entry, Tree, is_readable

FILES_CAP = 200
BYTES_CAP = 1024 * 1024  # one Python file
NOTEBOOK_CAP = 10 * 1024 * 1024  # one notebook: most of it is pictures
NOTEBOOKS_CAP = 20  # notebooks that are searched for the model
TOTAL_CAP = 8 * 1024 * 1024  # all files beside the one with the model
DEPTH_CAP = 3  # folders below the submission's own
ENTRIES_CAP = 5_000  # names looked at, in a folder that may be anything

SUFFIXES = (".py", ".ipynb")
NOT_SOURCES = frozenset(("venv", "node_modules", "site-packages", "__pycache__", "build", "dist"))  # folders
_ENVIRONMENT = "pyvenv.cfg"  # lies in a virtual environment, whatever that is called


class Walk:
    """One look through a tree, nearest files first; what is too much is left out, and `cut` says so."""

    def __init__(self, tree: Tree, total: int, taken: str = "") -> None:
        self.tree = tree
        self.left = total
        self.taken = taken
        self.cut = False
        self.deep = False  # there are folders below those that were looked through
        self.links = False
        self.unshown = ""  # a name that is no text, or holds what does not print
        self.notebooks: list[str] = []

    def python_files(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of the Python files; notebooks are noted on the way."""
        count = 0
        for name in self._files():
            if name.lower().endswith(".ipynb"):
                self.notebooks.append(name)
            elif name != self.taken:
                if count == FILES_CAP or self.left <= 0:
                    self.cut = True
                    return
                data = self._bytes(name, min(BYTES_CAP, self.left))
                if data is not None:
                    count += 1
                    self.left -= len(data)
                    yield name, data

    def notebook_bytes(self) -> dict[str, bytes]:
        """Return the bytes of the notebooks that were met."""
        found: dict[str, bytes] = {}
        for name in self.notebooks:
            if len(found) == NOTEBOOKS_CAP:
                self.cut = True
                break
            data = self._bytes(name, NOTEBOOK_CAP)
            if data is not None:
                found[name] = data
        return found

    def _bytes(self, name: str, cap: int) -> bytes | None:
        """Return a file's bytes; None for what is no plain file, cannot be read, or is too large."""
        try:
            data = self.tree.read(name, cap)
        except OSError:
            return None
        if data is not None and len(data) > cap:
            self.cut = self.cut or cap < BYTES_CAP  # a file too large by itself is no submission
            return None
        return data

    def _files(self) -> Iterator[str]:
        folders = deque([("", 0)])
        seen = 0
        while folders:
            folder, depth = folders.popleft()
            entries = sorted(itertools.islice(self.tree.entries(folder), ENTRIES_CAP - seen), key=_by_name)
            seen += len(entries)
            if seen >= ENTRIES_CAP:
                self.cut = True
            if folder and any(entry.name == _ENVIRONMENT for entry in entries):
                continue
            for entry in entries:
                if entry.kind == "link" or not is_readable(entry.name):
                    self.links = self.links or entry.kind == "link"
                    self.unshown = self.unshown or ("" if entry.name.isprintable() else entry.name)
                    continue
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.kind == "folder":
                    if entry.name in NOT_SOURCES:
                        continue
                    if depth < DEPTH_CAP:
                        folders.append((name, depth + 1))
                    self.deep = self.deep or depth == DEPTH_CAP
                elif name.lower().endswith(SUFFIXES):
                    yield name


def _by_name(entry: Entry) -> str:
    return entry.name
