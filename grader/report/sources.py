"""The text of the submitted files, for the lines that places show."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

from grader.finding import Span
from grader.notebook import cell_ranges, is_notebook, manifest_text
from grader.report.types import Place

SOURCE_LINES = 8  # of the source that a place carries
SOURCE_WIDTH = 1_000  # code points of each; a longer line is a machine's, and is left out


class Sources:
    """The text of the submitted files, for the lines that places show."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._lines: dict[str, list[str]] = {}
        self._cells: dict[str, list[tuple[int, int]]] = {}

    def place(self, span: Span | None) -> Place | None:
        """Return a span with its source; None where it names no submitted file or no line."""
        if span is None or span.file not in self._files or span.line < 1:
            return None
        lines = self._lines_of(span.file)
        last = max(span.line, span.end_line)
        source = tuple(lines[span.line - 1 : min(last, span.line - 1 + SOURCE_LINES)])
        if any(len(line) > SOURCE_WIDTH for line in source):
            source = ()
        cell, cell_line = self._cell(span.file, span.line)
        end = (last, span.end_column) if span.column > 0 and last <= len(lines) else (0, 0)
        return Place(span.file, span.line, max(0, span.column), *end, cell, cell_line, source)

    def _lines_of(self, file: str) -> list[str]:
        """Return the lines of a file; each is taken apart once, as it may be large and have many places."""
        if file not in self._lines:
            try:
                text = manifest_text(file, self._files[file])
            except ValueError:  # no text, so nothing to show; the worker has said why
                text = ""
            self._lines[file] = text.split("\n")
            self._cells[file] = list(cell_ranges(text)) if is_notebook(file) else []
        return self._lines[file]

    def _cell(self, file: str, line: int) -> tuple[int | None, int | None]:
        """Return the number of the code cell that a line of a notebook stands in, and its number in that cell."""
        cells = self._cells[file]
        place = bisect_right(cells, line, key=lambda cell: cell[0]) - 1
        if place < 0 or line > cells[place][1]:
            return None, None
        return place + 1, line - cells[place][0] + 1
