"""Named bytes ⇄ one zip file, whose bytes follow from theirs alone; read as a stranger's.

Entries are stored as they are, in the order of their names, at one fixed time. A file that is not, to the byte, what
`pack` makes of its entries is refused: it could show other contents to another program.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote

SIZE_CAP = 192 * 1024 * 1024  # bytes of a bundle
ENTRIES_CAP = 256
DIRECTORY_CAP = 256 * 1024  # bytes of the list of entries
NAME_CAP = 1_000  # bytes of one name

_TIME = (1980, 1, 1, 0, 0, 0)  # the first that the format can tell
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_END = struct.Struct("<4s4H2LH")  # the record at the end, without a comment
_LARGE = b"PK\x06\x07"  # what stands before it where numbers need 64 bits
_ENCRYPTED = 0x1

# Characters that some system takes for more than a part of a name, and the one that escapes them.
_UNSAFE = frozenset('\\:*?"<>|%')


class BundleError(Exception):
    """A file that is no bundle, or one that was damaged or made up."""


def pack(entries: Mapping[str, bytes]) -> bytes:
    """Return entries as one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name in sorted(entries):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system = _UNIX
            info.external_attr = _MODE << 16
            archive.writestr(info, entries[name])
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Return the entries of a file.

    Raises:
        BundleError: the file is not one that `pack` could have made, or holds too much.
    """
    if len(data) > SIZE_CAP:
        raise BundleError(f"larger than {SIZE_CAP // 1024**2} MiB, which no bundle is")
    _check_end(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            _check_entries(infos, len(data))
            entries = {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, struct.error, zlib.error, ValueError, EOFError, OSError, RuntimeError) as error:
        raise BundleError(f"damaged: {str(error)[:200]}") from None  # NotImplementedError is a RuntimeError
    if pack(entries) != data:
        raise BundleError("not laid out as s5-grade writes a bundle: another program might see other files in it")
    return entries


def entry_name(path: str) -> str:
    """Return a path of a submission as the name of an entry: what a system could misread is escaped, as in a URL."""
    return "".join(quote(char, safe="") if char in _UNSAFE or not char.isprintable() else char for char in path)


def path_of(name: str) -> str:
    """Return the path of a submission that an entry's name stands for.

    Raises:
        BundleError: no path of a submission has that name.
    """
    try:
        path = unquote(name, errors="strict")
    except UnicodeDecodeError:
        path = ""
    if entry_name(path) != name:
        raise BundleError(f"{name!r} is not how a bundle names a file")
    return path


def _check_end(data: bytes) -> None:
    """Check the record at the end, before anything trusts the numbers in it."""
    if not data.startswith(b"PK"):
        raise BundleError("not a bundle: no zip file begins like that")
    end = data[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise BundleError("cut short, or something follows its end")
    _, disk, first_disk, here, total, size, offset, comment = _END.unpack(end)
    if data[-_END.size - 20 :].startswith(_LARGE):
        raise BundleError("made for files larger than a bundle can be (zip64)")
    if total > ENTRIES_CAP or size > DIRECTORY_CAP:
        raise BundleError(f"{total:,} entries, the limit is {ENTRIES_CAP}")
    if disk or first_disk or here != total or comment or offset + size + _END.size != len(data):
        raise BundleError("damaged: the record at its end does not fit it")


def _check_entries(infos: list[zipfile.ZipInfo], size: int) -> None:
    seen: set[str] = set()
    for info in infos:
        fault = next((words for words, is_so in _FAULTS if is_so(info)), None)
        if fault is None and info.filename in seen:
            fault = "is there twice"
        if fault is not None:
            raise BundleError(f"the entry {info.filename[:NAME_CAP]!r} {fault}")
        seen.add(info.filename)
    if sum(info.file_size for info in infos) > size:
        raise BundleError("damaged: its entries are larger than itself")


def _is_odd_name(info: zipfile.ZipInfo) -> bool:
    name = info.filename
    parts = name.split("/")
    printable = name.isprintable() and info.orig_filename == name
    return (
        not printable or any(char in _UNSAFE - {"%"} for char in name) or any(part in ("", ".", "..") for part in parts)
    )


def _kind(info: zipfile.ZipInfo) -> int:
    return stat.S_IFMT(info.external_attr >> 16)


_FAULTS: tuple[tuple[str, Callable[[zipfile.ZipInfo], bool]], ...] = (
    ("is encrypted", lambda info: bool(info.flag_bits & _ENCRYPTED)),
    ("is compressed: a bundle holds its files as they are", lambda info: info.compress_type != zipfile.ZIP_STORED),
    ("has a size that does not fit it", lambda info: info.compress_size != info.file_size),
    ("is a symbolic link", lambda info: stat.S_ISLNK(info.external_attr >> 16)),
    ("is a folder", lambda info: info.filename.endswith("/") or _kind(info) == stat.S_IFDIR),
    ("is not a plain file", lambda info: _kind(info) not in (0, stat.S_IFREG)),
    (
        "has a path that leads out of the bundle",
        lambda info: info.filename.startswith("/") or ".." in info.filename.split("/"),
    ),
    ("has a name that is too long", lambda info: len(info.filename) > NAME_CAP),
    ("has a name that no bundle uses", _is_odd_name),
)
