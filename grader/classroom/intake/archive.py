"""A zip file as a tree: read in memory, never written to disk, and believed in nothing.

The format is PKWARE's APPNOTE; zipfile keeps to the sizes that its directory states, so no file unpacks to more.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from grader.manifest import Entry, Kind, SubmissionError, shown_path

REPACK = "Zip the files again."
ALONE = "Hand in the source alone."

NAME_CAP = 1_000  # characters of a path
LEVELS_CAP = 40  # folders in one

_UTF8 = 0x800  # the flag of a name in UTF-8
_ENCRYPTED = 0x1
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may unpack to any size at one go
_DRIVE = re.compile(r"[A-Za-z]:")
_UNKNOWN_TIME = (1980, 1, 1, 0, 0, 0)  # what programs write that know no time
_END = struct.Struct("<4s4H2LH")  # the record at the end, which a comment may follow
_END_SIGNATURE = b"PK\x05\x06"
_LARGE_SIGNATURE = b"PK\x06\x07"  # before the end, where numbers need 64 bits
_LARGE_SIZE = 20
_COMMENT_CAP = 0xFFFF

_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OSError, RuntimeError)


class ArchiveError(Exception):
    """A zip file that is not read."""

    def __init__(self, message: str, fix: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an archive may be: its `entries`, the bytes of its directory, what it unpacks to.

    `unpacked` limits also what is read of it, all files together; `ratio` is to the size of the archive, and holds for
    one that unpacks to more than `free` bytes.
    """

    entries: int = 20_000
    directory: int = 4 * 1024 * 1024
    unpacked: int = 1024 * 1024 * 1024
    ratio: int = 200
    free: int = 64 * 1024 * 1024


def open_archive(path: Path, shown: str) -> Archive:
    """Return the files of a download, which is as large as it is. Raises ArchiveError, and OSError where none is."""
    try:
        with path.open("rb"):
            return Archive(zipfile.ZipFile(path), shown)
    except _BROKEN as error:
        if isinstance(error, OSError) and not path.is_file():
            raise
        raise ArchiveError(f"{shown} is damaged, or no zip file", REPACK) from None


def read_archive(data: bytes, shown: str, limits: Limits) -> Archive:
    """Return the files of an archive that a student made. Raises ArchiveError."""
    _check_end(data, shown, limits)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except _BROKEN:
        raise ArchiveError(f"{shown} is damaged, or no zip file", REPACK) from None
    _check_sizes(archive.infolist(), len(data), shown, limits)
    return Archive(archive, shown, limits.unpacked)


class Archive:
    """The files of an archive. `faults` names the entries that are left out of it, each with the reason."""

    def __init__(self, source: zipfile.ZipFile, shown: str, unpacked: int | None = None) -> None:
        """Take in the directory; no more than `unpacked` bytes will be read of all files together."""
        self._zip = source
        self._shown = shown
        self._left = unpacked
        self._files: dict[str, zipfile.ZipInfo] = {}
        self._folders: dict[str, dict[str, Kind]] = {"": {}}
        self.faults: list[tuple[str, str]] = []
        names = Counter[str]()
        for info in source.infolist():
            name = _name(info)
            fault = _fault(name)
            if fault:
                self.faults.append((shown_path(name[:NAME_CAP]), fault))
            else:
                name = "/".join(part for part in name.split("/") if part not in ("", "."))
                names[name] += self._add(info, name)
        self._twice = {name for name, count in names.items() if count > 1}

    def _add(self, info: zipfile.ZipInfo, name: str) -> bool:
        """Add an entry, and tell whether it is a file."""
        parts = name.split("/")
        for level, part in enumerate(parts[:-1]):
            self._folders.setdefault("/".join(parts[:level]), {}).setdefault(part, "folder")
        kind = _kind(info)
        if name:
            self._folders.setdefault("/".join(parts[:-1]), {})[parts[-1]] = kind
        if kind == "folder":
            self._folders.setdefault(name, {})
        else:
            self._files[name] = info
        return kind == "file"

    def entries(self, folder: str) -> Iterator[Entry]:
        for name, kind in self._folders.get(folder, {}).items():
            yield Entry(name, kind)

    def kind(self, name: str) -> Kind | None:
        folder, _, last = name.rpartition("/")
        return self._folders.get(folder, {}).get(last)

    def modified(self, name: str) -> datetime | None:
        info = self._files.get(name)
        if info is None or info.date_time == _UNKNOWN_TIME:
            return None
        try:
            return datetime(*info.date_time).astimezone()  # the format knows no time zone
        except (ValueError, OverflowError, OSError):
            return None

    def read(self, name: str, cap: int) -> bytes | None:
        info = self._files.get(name)
        if info is None:
            raise FileNotFoundError(name)
        if _kind(info) != "file":
            return None
        self._check(info, name)
        try:
            with self._zip.open(info) as file:
                data = file.read(cap + 1)
        except _BROKEN:
            raise self._refused(f"is damaged: {name} cannot be unpacked", REPACK) from None
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0:
                raise SubmissionError("too-large", f"{self._shown} unpacks to too much", ALONE)
        return data

    def _check(self, info: zipfile.ZipInfo, name: str) -> None:
        if name in self._twice:
            raise self._refused(f"holds two files {name!r}", "Zip the files again, into a new file.")
        if info.flag_bits & _ENCRYPTED:
            raise self._refused("is protected by a password", "Hand in a zip file without one.")
        if info.compress_type not in _READ:
            raise self._refused("is packed by a method that is not read here", "Make it an ordinary zip file.")

    def _refused(self, words: str, fix: str) -> SubmissionError:
        return SubmissionError("unreadable", f"{self._shown} {words}", fix)


def _check_end(data: bytes, shown: str, limits: Limits) -> None:
    """Check the numbers of the record at the end, before all that they promise is read."""
    place = len(data) - _END.size
    if place < 0 or not data.startswith(_END_SIGNATURE, place) or not data.endswith(b"\0\0"):
        place = data.rfind(_END_SIGNATURE, max(0, place - _COMMENT_CAP))
    if place < 0 or len(data) - place < _END.size:
        raise ArchiveError(f"{shown} is damaged, or no zip file", REPACK)
    _, _, _, _, entries, directory, _, _ = _END.unpack_from(data, place)
    large = data.startswith(_LARGE_SIGNATURE, max(0, place - _LARGE_SIZE))
    if large or entries > limits.entries or directory > limits.directory:
        raise ArchiveError(f"{shown} holds too many files", ALONE, too_large=True)


def _check_sizes(infos: Sequence[zipfile.ZipInfo], packed: int, shown: str, limits: Limits) -> None:
    unpacked = sum(info.file_size for info in infos)
    words = ""
    if len(infos) > limits.entries:
        words = f"holds {len(infos):,} files, the limit is {limits.entries:,}"
    elif unpacked > limits.unpacked:
        words = f"unpacks to {unpacked:,} bytes, the limit is {limits.unpacked:,}"
    elif unpacked > limits.free and unpacked > limits.ratio * packed:
        words = f"unpacks to {unpacked // packed:,} times its size, the limit is {limits.ratio} times"
    if words:
        raise ArchiveError(f"{shown} {words}", ALONE, too_large=True)


def _name(info: zipfile.ZipInfo) -> str:
    """Return the path of an entry: programs write UTF-8 without saying so, and backslashes."""
    name = info.filename
    if not info.flag_bits & _UTF8:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:  # then it is in the old encoding after all, or nearly
            name = info.filename
    return name.replace("\\", "/")


def _fault(name: str) -> str:
    """Return why an entry's name is not to be used; '' where it may be."""
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/"):
        return "its path leads out of the zip file"
    if len(name) > NAME_CAP or name.count("/") > LEVELS_CAP:
        return "its path is too long"
    return ""


def _kind(info: zipfile.ZipInfo) -> Kind:
    if info.filename.endswith(("/", "\\")):
        return "folder"
    mode = stat.S_IFMT(info.external_attr >> 16)
    return "link" if mode not in (0, stat.S_IFREG, stat.S_IFDIR) else "file"
