"""Tensors in the form of safetensors, read without torch: the header is written anew, numbers are read where asked for.

The form is a length of 8 bytes, little-endian, then that many bytes of JSON, then the numbers; see
https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

import msgspec

HEADER_CAP = 4 * 1024 * 1024  # bytes of JSON
Number = Union[int, float, bool]

# The types that a graph may hold: their names in torch, their format in `struct`.
TYPES = {
    "F16": ("float16", "e"),
    "BF16": ("bfloat16", "H"),
    "F32": ("float32", "f"),
    "F64": ("float64", "d"),
    "U8": ("uint8", "B"),
    "I8": ("int8", "b"),
    "I16": ("int16", "h"),
    "I32": ("int32", "i"),
    "I64": ("int64", "q"),
    "BOOL": ("bool", "?"),
}


class WeightsError(ValueError):
    """Bytes that are not safetensors of a graph."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of the header: the offsets are those of its numbers, counted from the header's end."""

    dtype: str
    shape: tuple[int, ...]
    data_offsets: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Weights:
    """Named tensors and the bytes that hold their numbers."""

    entries: dict[str, Entry]
    data: memoryview

    def dtype(self, name: str) -> str:
        """Return the name that a tensor's type has in torch."""
        return TYPES[self.entries[name].dtype][0]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.entries[name].shape

    def size(self, name: str) -> int:
        """Return how many numbers a tensor holds."""
        return math.prod(self.entries[name].shape)

    def numbers(self, name: str, limit: int) -> tuple[Number, ...]:
        """Return a tensor's numbers in order, the first `limit` of them."""
        entry = self.entries[name]
        form = TYPES[entry.dtype][1]
        count = min(limit, self.size(name))
        found: tuple[Any, ...] = struct.unpack_from(f"<{count}{form}", self.data, entry.data_offsets[0])
        return tuple(map(_from_bfloat16, found)) if entry.dtype == "BF16" else found


def read(data: bytes) -> Weights:
    """Return the tensors of safetensors bytes.

    Raises:
        WeightsError: the bytes are out of form, or hold what no graph does.
    """
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= length <= min(HEADER_CAP, len(data) - 8):
        raise WeightsError("the tensors are cut short")
    try:
        entries = msgspec.json.decode(data[8 : 8 + length], type=dict[str, Entry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WeightsError(f"the header of the tensors is out of form: {error}") from None
    numbers = memoryview(data)[8 + length :]
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        if entry.dtype not in TYPES or any(extent < 0 for extent in entry.shape):
            raise WeightsError(f"tensor {name} has a type or a shape that is not supported")
        size = struct.calcsize(f"<{TYPES[entry.dtype][1]}") * math.prod(entry.shape)
        if entry.data_offsets != (end, end + size):
            raise WeightsError(f"the numbers of tensor {name} are not where they should be")
        end += size
    if end != len(numbers):
        raise WeightsError("the tensors are cut short, or something follows them")
    return Weights(entries, numbers)


def renamed(weights: Weights, names: Mapping[str, str]) -> bytes:
    """Return tensors as safetensors bytes under new names; the numbers stay where they are."""
    header = msgspec.json.encode({names[name]: entry for name, entry in weights.entries.items()})
    header += b" " * (-len(header) % 8)  # readers map the numbers into memory and want them aligned
    return struct.pack("<Q", len(header)) + header + bytes(weights.data)


def _from_bfloat16(bits: int) -> float:
    found: float = struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    return found
