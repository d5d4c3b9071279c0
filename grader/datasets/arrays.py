"""Arrays in files, known by their headers before anything is read: an IDX file, a member of a NumPy archive.

Sources: the page of the MNIST database by LeCun, Cortes and Burges for IDX; `numpy.lib.format` for NPY. Nothing here
can load a pickle: an array of Python objects is refused by its header.
"""

from __future__ import annotations

import ast
import gzip
import struct
import sys
import zipfile
import zlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

GZIP = b"\x1f\x8b"
NPY = b"\x93NUMPY"
HEADER_CAP = 10_000  # bytes of an NPY header, as numpy itself bounds it

# The codes of Python's `array` for integers as NPY names them, without their byte order.
_INTEGERS = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}
_ORDERS = {"<": "little", ">": "big", "|": sys.byteorder, "=": sys.byteorder}

# What reading a damaged file raises.
DAMAGED = (EOFError, OSError, ValueError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)


class DatasetError(Exception):
    """A data set that can't be used: the message names the file, what is wrong, and what to do."""


class Readable(Protocol):
    """As much of a file as is needed here."""

    def read(self, size: int = ..., /) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Array:
    """An array whose header was read. `name` is that of its file, `dtype` as NumPy writes it: '|u1', '<i8'.

    `read` returns its elements in C order, once.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], bytearray]


def idx_array(name: str, file: BinaryIO) -> Array:
    """Return the array of an IDX file, plain or compressed with gzip.

    Raises:
        DatasetError: it is another file, or one of other elements than bytes.
    """
    try:
        start = file.read(2)
        file.seek(0)
        plain = cast("Readable", gzip.GzipFile(fileobj=file) if start == GZIP else file)
        magic = exactly(plain, 4, name)
        if magic[:2] != b"\0\0" or magic[3] not in (1, 3, 4):
            raise DatasetError(f"{name}: not an IDX file, its first bytes are {bytes(magic).hex(' ')}")
        if magic[2] != 0x08:
            raise DatasetError(f"{name}: its elements have the type 0x{magic[2]:02x}, expected 0x08, unsigned bytes")
        shape = struct.unpack(f">{magic[3]}I", exactly(plain, 4 * magic[3], name))
    except DAMAGED as error:
        raise damaged(name, error) from None
    return Array(name, shape, "|u1", lambda: whole(plain, _size(shape), name))


def npy_array(name: str, file: Readable) -> Array:
    """Return the array of an NPY file.

    Raises:
        DatasetError: it is another file, or its elements are no plain numbers in C order.
    """
    try:
        magic = exactly(file, 8, name)
        if magic[:6] != NPY or magic[6] not in (1, 2, 3):
            raise DatasetError(f"{name}: not an array as numpy.save writes it")
        size = "<H" if magic[6] == 1 else "<I"
        (length,) = struct.unpack(size, exactly(file, struct.calcsize(size), name))
        if length > HEADER_CAP:
            raise DatasetError(f"{name}: a header of {length:,} bytes, the limit is {HEADER_CAP:,}")
        dtype, shape, turned = _header(exactly(file, length, name).decode("utf-8"), name)
    except DAMAGED as error:
        raise damaged(name, error) from None
    if "O" in dtype:
        raise DatasetError(f"{name}: it holds Python objects, which only unpickling could read: save plain numbers")
    if turned and len(shape) > 1:
        raise DatasetError(f"{name}: it is in Fortran order: save np.ascontiguousarray(…) of it")
    try:
        width = int(dtype[2:])
    except ValueError:
        raise DatasetError(f"{name}: its elements are of type {dtype!r}, expected plain numbers") from None
    return Array(name, shape, dtype, lambda: whole(file, _size(shape) * width, name))


def _header(text: str, name: str) -> tuple[str, tuple[int, ...], bool]:
    try:
        header = ast.literal_eval(text)
        dtype, shape, turned = header["descr"], header["shape"], header["fortran_order"]
    except (SyntaxError, ValueError, TypeError, KeyError, RecursionError, MemoryError):
        raise DatasetError(f"{name}: its header can't be read") from None
    if not isinstance(dtype, str):
        raise DatasetError(f"{name}: its elements are records, expected plain numbers")
    if not isinstance(shape, tuple) or not all(type(extent) is int and extent >= 0 for extent in shape):
        raise DatasetError(f"{name}: its header can't be read")
    return dtype, shape, turned is not False


def integers(found: Array) -> array[int]:
    """Return the elements of an array of whole numbers.

    Raises:
        DatasetError: they are something else, or the file is damaged.
    """
    code = _INTEGERS.get(found.dtype[1:])
    if code is None or found.dtype[0] not in _ORDERS:
        raise DatasetError(f"{found.name}: its elements are of type {found.dtype!r}, expected whole numbers")
    numbers = array(code, bytes(found.read()))
    if _ORDERS[found.dtype[0]] != sys.byteorder:
        numbers.byteswap()
    return numbers


def exactly(file: Readable, count: int, name: str) -> bytearray:
    """Return the next `count` bytes. Raises DatasetError where there are fewer."""
    found = bytearray()
    while len(found) < count:
        part = file.read(count - len(found))
        if not part:
            raise DatasetError(f"{name}: cut short, {count - len(found):,} bytes are missing")
        found += part
    return found


def whole(file: Readable, count: int, name: str) -> bytearray:
    """Return the next `count` bytes, which must be all that are left."""
    try:
        found = exactly(file, count, name)
        if file.read(1):  # also what makes a compressed file compare its checksum
            raise DatasetError(f"{name}: something follows the {count:,} bytes that its header announces")
    except DAMAGED as error:
        raise damaged(name, error) from None
    return found


def damaged(name: str, error: BaseException) -> DatasetError:
    """Return what to say of a file that can't be read as what it claims to be."""
    reason = (str(error) or type(error).__name__).splitlines()[0][:200]
    return DatasetError(f"{name}: damaged ({reason}): fetch it again")


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for extent in shape:
        size *= extent
    return size
