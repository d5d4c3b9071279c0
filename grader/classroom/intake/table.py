"""A CSV file as rows of cells, each with its line: with whatever separator and encoding a spreadsheet gave it."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.classroom.intake.problems import IntakeError
from grader.manifest import shown_path

SIZE_CAP = 32 * 1024 * 1024
CELL_CAP = 1_000_000  # characters: a worksheet carries the comments of whoever grades

_DELIMITERS = (",", ";", "\t")
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row without the space around them, and the line that it begins in."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A whole file: the first row names the columns."""

    file: str
    columns: Row
    rows: tuple[Row, ...]


def read_table(path: str) -> Table:
    """Read a CSV file. Raises IntakeError."""
    file = shown_path(path)
    text = _text(_bytes(path, file), file)
    first, _, rest = text.partition("\n")
    told = first.strip().lower().startswith("sep=") and len(first.strip()) == len("sep=;")
    delimiter = first.strip()[-1] if told else _delimiter(text.lstrip("\n").partition("\n")[0])
    rows = list(_rows(rest if told else text, delimiter, 2 if told else 1, file))
    if not rows:
        raise IntakeError(f"{file}: the roster is empty. Its first line names the columns: id, name, email, …")
    return Table(file, rows[0], tuple(rows[1:]))


def _bytes(path: str, file: str) -> bytes:
    try:
        with Path(path).open("rb") as source:
            data = source.read(SIZE_CAP + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise IntakeError(f"{file}: the roster cannot be read: {reason}") from None
    if len(data) > SIZE_CAP:
        raise IntakeError(f"{file}: the roster is larger than the limit of {SIZE_CAP:,} bytes. Is it the right file?")
    return data


def _text(data: bytes, file: str) -> str:
    encoding = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "utf-8")
    if encoding == "utf-8" and data[:4].count(0) == 2:  # UTF-16 of Latin letters, without a mark
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        name = "UTF-16" if "16" in encoding else "UTF-8"
        raise IntakeError(
            f"{file}:{line}: not {name}, so names may be read wrong. Save it in the spreadsheet as 'CSV UTF-8'."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise IntakeError(f"{file}:{line}: no text. Save the roster in the spreadsheet as 'CSV UTF-8'.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _delimiter(heading: str) -> str:
    """Return what parts the names of the columns: it stands most often outside of quotes."""
    bare = "".join(heading.split('"')[::2])
    return max(_DELIMITERS, key=bare.count)


def _rows(text: str, delimiter: str, line: int, file: str) -> Iterator[Row]:
    """Yield the rows that are not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    start = line
    limit = csv.field_size_limit(CELL_CAP)
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield Row(start, stripped)
            start = line + reader.line_num
    except csv.Error as error:
        raise IntakeError(f"{file}:{start}: no CSV: {error}. Is a quote not closed in this row?") from None
    finally:
        csv.field_size_limit(limit)


def positions(columns: Sequence[str], aliases: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """Return where the columns of some fields stand, by any of their names; of several, the first named counts."""
    places = {}
    for field, known in aliases.items():
        place = next((columns.index(alias) for alias in known if alias in columns), None)
        if place is not None:
            places[field] = place
    return places
