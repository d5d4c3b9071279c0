"""A CSV file that is changed in some cells and is the same bytes everywhere else."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from grader.classroom.out.form import FormError

DELIMITERS = (",", ";", "\t")
DOWNLOAD = "Download it again and leave its form as it is."


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: what it says, and where it stands in the file's text, its quotes included."""

    text: str
    start: int
    end: int
    quoted: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One record, and the line on which it begins."""

    line: int
    cells: tuple[Cell, ...]

    def text(self, column: int | None) -> str:
        """Return what a cell says without the blanks around it; nothing where there is no such cell."""
        return self.cells[column].text.strip() if column is not None and column < len(self.cells) else ""

    @property
    def blank(self) -> bool:
        return not any(cell.text.strip() for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A CSV file as it was read: the first of its rows is the heading."""

    file: str
    text: str = field(repr=False)
    mark: bytes
    delimiter: str
    rows: tuple[Row, ...] = field(repr=False)

    @property
    def heading(self) -> tuple[str, ...]:
        return tuple(cell.text.strip() for cell in self.rows[0].cells)

    def with_cells(self, changes: Mapping[tuple[int, int], str]) -> bytes:
        """Return the file with other text in some cells, by the index of the row and of the column."""
        pieces = []
        at = 0
        for (row, column), text in sorted(changes.items()):
            cell = self.rows[row].cells[column]
            pieces += [self.text[at : cell.start], self._written(text, cell.quoted)]
            at = cell.end
        pieces.append(self.text[at:])
        return self.mark + "".join(pieces).encode()

    def _written(self, text: str, quoted: bool) -> str:
        if quoted or text != text.strip() or any(mark in text for mark in (self.delimiter, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text


def read_sheet(data: bytes, file: str) -> Sheet:
    """Take a CSV file apart; its delimiter is the one that gives the heading the most cells. Raises FormError."""
    mark = codecs.BOM_UTF8 if data.startswith(codecs.BOM_UTF8) else b""
    text = _decoded(data[len(mark) :], file)
    if not text.strip():
        raise FormError(file, 0, "it is empty", DOWNLOAD)
    delimiter = max(DELIMITERS, key=lambda one: _width(text, one))
    return Sheet(file, text, mark, delimiter, tuple(_rows(text, delimiter, file)))


def _decoded(data: bytes, file: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FormError(file, line, "it is not UTF-8", "Save it as 'CSV UTF-8', or download it again.") from None


def _width(text: str, delimiter: str) -> int:
    try:
        return len(next(_rows(text, delimiter, "")).cells)
    except FormError:
        return 0


def _rows(text: str, delimiter: str, file: str) -> Iterator[Row]:
    """Yield the records: RFC 4180, with any kind of line break and any of the delimiters."""
    mark = re.escape(delimiter)
    field_of = re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|((?:[^"{mark}\r\n][^{mark}\r\n]*)?))({mark}|\r\n|\r|\n|\Z)')
    at = 0
    line = 1
    while at < len(text):
        cells = []
        begins = line
        end = delimiter
        while end == delimiter:
            found = field_of.match(text, at)
            if found is None:
                raise FormError(file, line, "a quote opens and does not close, or closes inside a cell", DOWNLOAD)
            quoted, plain, end = found.groups()
            cells.append(_cell(quoted, plain, at, found.start(3)))
            at = found.end()
            line += _breaks(quoted or "")
        line += bool(end)
        yield Row(begins, tuple(cells))


def _cell(quoted: str | None, plain: str | None, start: int, end: int) -> Cell:
    text = plain or "" if quoted is None else quoted.replace('""', '"')
    return Cell(text, start, end, quoted is not None)


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")
