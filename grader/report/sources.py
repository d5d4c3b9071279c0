"""The text of the submitted files, for the lines that places show."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from collections.abc import Mapping

import msgspec

from grader.finding import Span
from grader.notebook import cell_ranges, is_notebook, manifest_text
from grader.report.types import Edit, Place

SOURCE_LINES = 8  # of the source that a place carries
SOURCE_WIDTH = 1_000  # code points of each; a longer line is a machine's, and is left out


# How many arguments can stand before a keyword, by position, so that it is none of them.
_POSITIONS = {
    ("softmax", "dim"): 1,
    ("log_softmax", "dim"): 1,
    ("dropout", "training"): 2,
    ("Linear", "bias"): 2,
    ("Conv1d", "bias"): 7,
    ("Conv2d", "bias"): 7,
    ("Conv3d", "bias"): 7,
}
_METHOD = re.compile(r"\s*def \w+\(self\b")
_CALLEE = re.compile(r"((?:\w+\.)*)(\w+)\(")


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

    def edit(self, span: Span, text: str) -> Edit | None:
        """Return a change of one line of the source, None where it might not do what it says.

        A text such as `, dim=1` is a further argument of the call at `span`. Any other one takes the place of what
        stands there, a call with the prefix that the submission uses: `torch.nn.Dropout(0.1)` for `nn.Dropout(0.1)`.
        """
        place = self.place(span)
        if place is None or len(place.source) != 1 or place.end_line != place.line or not place.column:
            return None
        old = place.source[0][place.column - 1 : place.end_column - 1]
        if "self." in text and not self._knows_self(span):
            return None
        if text.startswith(", "):
            last = place.end_column - 1  # of the closing bracket
            argument = _argument(text, old)
            return Edit(msgspec.structs.replace(place, column=last, end_column=last), argument) if argument else None
        new = _respelled(text, old)
        return Edit(place, new) if new not in (None, old) else None

    def _knows_self(self, span: Span) -> bool:
        """Tell whether a line stands inside a method, by the indentation of the lines before it."""
        lines = self._lines_of(span.file)[: span.line]
        least = _indentation(lines[-1])
        for line in reversed(lines):
            if line.strip() and _indentation(line) < least:
                least = _indentation(line)
                if line.lstrip().startswith("def "):
                    return _METHOD.match(line) is not None
        return False

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


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _respelled(text: str, old: str) -> str | None:
    """Return a call with the prefix that the submission uses, None where it may not have imported what is called."""
    new_call, old_call = _CALLEE.match(text), _CALLEE.match(old)
    if new_call is None:
        return text
    if old_call is None or _call(old) is None or (not old_call[1] and old_call[2] != new_call[2]):
        return None
    return old_call[1] + text[new_call.end(1) :]


def _argument(text: str, old: str) -> str | None:
    """Return a keyword as the last argument of a call, None where the call may have it already."""
    call, callee = _call(old), _CALLEE.match(old)
    if call is None or callee is None:
        return None
    keyword = text[2:].partition("=")[0]
    names = {given.arg for given in call.keywords}
    spread = None in names or any(isinstance(given, ast.Starred) for given in call.args)
    if spread or keyword in names or len(call.args) > _POSITIONS.get((callee[2], keyword), -1):
        return None
    return text[2:] if not call.args and not names else text[1:] if old[:-1].rstrip().endswith(",") else text


def _call(text: str) -> ast.Call | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in a student's strings
            parsed = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    return parsed if isinstance(parsed, ast.Call) else None
