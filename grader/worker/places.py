"""Places inside the submission: from frames, tracebacks and syntax trees to spans."""

from __future__ import annotations

import ast
import sys
from itertools import islice
from types import CodeType, FrameType, TracebackType

from grader.finding import Span
from grader.notebook import cell_ranges, is_notebook
from grader.protocol import SUBMISSION, Frame

PREFIX = SUBMISSION
FRAME_CAP = 20  # frames of a traceback that are reported

_lines: dict[str, list[str]] = {}
# By identity: equal code objects may stand at different places. The code is kept so that its id stays taken.
_spans: dict[tuple[int, int], tuple[CodeType, Span]] = {}


def remember(file: str, text: str) -> None:
    """Keep the text of a file, so that byte offsets within its lines can be told as code points."""
    _lines[file] = text.split("\n")


def forget() -> None:
    """Forget the texts of all files, and the places in them."""
    _lines.clear()
    _spans.clear()


def line_of(file: str, line: int) -> str:
    """Return a line as its reader counts: 'line 7', in a notebook 'cell 2, line 7'."""
    ranges = cell_ranges("\n".join(_lines.get(file, []))) if is_notebook(file) else []
    for cell, (first, last) in enumerate(ranges, 1):
        if first <= line <= last:
            return f"cell {cell}, line {line - first + 1}"
    return f"line {line}"


def nearest(frame: FrameType | None) -> Span | None:
    """Return the place in the innermost frame, from `frame` outward, whose code belongs to the submission."""
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PREFIX):
            known = _spans.get((id(code), frame.f_lasti))
            if known is not None:
                return known[1]
            if code.co_filename[len(PREFIX) :] in _lines:
                return _span_at(code, frame.f_lasti, frame.f_lineno)
        frame = frame.f_back
    return None


def in_hook(frame: FrameType | None) -> bool:
    """Tell whether a frame runs for a hook of the submission: torch calls it beside a module's forward."""
    while frame is not None and frame.f_back is not None:
        forward = frame.f_back.f_locals.get("forward_call") if frame.f_code.co_filename.startswith(PREFIX) else None
        if forward is not None and getattr(forward, "__code__", None) is not frame.f_code:
            return True
        frame = frame.f_back
    return False


def frames_of(traceback: TracebackType | None) -> tuple[Frame, ...]:
    """Return a traceback's frames inside the submission, outermost first; of a long one the two ends."""
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        file = code.co_filename[len(PREFIX) :]
        if code.co_filename.startswith(PREFIX) and file in _lines:
            frames.append(Frame(_span_at(code, traceback.tb_lasti, traceback.tb_lineno), code.co_name[:200]))
        traceback = traceback.tb_next
    half = FRAME_CAP // 2
    return tuple(frames if len(frames) <= FRAME_CAP else frames[:half] + frames[-half:])


def span_of_node(node: ast.stmt | ast.expr, file: str) -> Span:
    """Return the place of a statement or expression, its decorators left out."""
    line, start = node.lineno, node.col_offset
    end, stop = node.end_lineno or line, node.end_col_offset or start
    return Span(file, line, _column(file, line, start), end, _column(file, end, stop))


def span_of_header(node: ast.stmt, file: str) -> Span:
    """Return the first line of a definition: a class is named by its header, not by its whole body."""
    span = span_of_node(node, file)
    text = text_of(file, span.line)
    return Span(file, span.line, span.column, span.line, len(text.split("#")[0].rstrip()) + 1)


def _span_at(code: CodeType, lasti: int, line: int | None) -> Span:
    file = code.co_filename[len(PREFIX) :]
    span = Span(file, line or code.co_firstlineno)
    if sys.version_info >= (3, 11) and lasti >= 0:
        start, end, column, end_column = next(islice(code.co_positions(), lasti // 2, None), (None,) * 4)
        if start is not None and end is not None and column is not None and end_column is not None:
            span = Span(file, start, _column(file, start, column), end, _column(file, end, end_column))
    _spans[id(code), lasti] = (code, span)
    return span


def _column(file: str, line: int, offset: int) -> int:
    """A 1-based column in code points for an offset in UTF-8 bytes."""
    text = text_of(file, line)
    if text.isascii():
        return offset + 1
    return len(text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "replace")) + 1


def text_of(file: str, line: int) -> str:
    """Return a line of a file; '' where there is none."""
    lines = _lines.get(file, [])
    return lines[line - 1] if 0 < line <= len(lines) else ""


def assignment_to(attribute: str, file: str, line: int) -> Span | None:
    """Return the first line, from `line` on, that assigns `self.attribute`."""
    start = f"self.{attribute}"
    for number, text in enumerate(_lines.get(file, [])[line - 1 :], line):
        code = text.strip()
        if code.startswith(start) and code[len(start) :].lstrip().startswith(("=", ":")):
            column = len(text) - len(text.lstrip()) + 1
            return Span(file, number, column, number, column + len(code))
    return None
