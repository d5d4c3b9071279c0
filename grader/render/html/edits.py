"""The edits of a fix as lines that go and lines that come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from grader.render.html.excerpts import Line, outdented, windowed
from grader.render.places import line_number
from grader.report import Edit, Place

CAP = 20  # edits of one finding that are shown
LINES = 40  # of the text of one change


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one line; where that line is not at hand, `removed` is empty and `added` the new text alone."""

    place: Place
    removed: tuple[Line, ...]
    added: tuple[Line, ...]


def changes(edits: Sequence[Edit]) -> tuple[Change, ...]:
    """Return the edits of a finding in the order of the file, those of one line as one change."""
    ordered = sorted(edits[:CAP], key=_order)
    return tuple(_change(list(group)) for _, group in groupby(ordered, key=lambda edit: _order(edit)[:2]))


def _order(edit: Edit) -> tuple[str, int, int]:
    return edit.span.file, edit.span.line, edit.span.column


def _change(edits: Sequence[Edit]) -> Change:
    """Return the edits of one line, carried out; the stretch from the first to the last of them is marked."""
    place = edits[0].span
    if not _exact(edits):
        texts = "\n".join(edit.text for edit in edits).split("\n")
        return Change(place, (), tuple(Line("", windowed(text)) for text in texts[:LINES]))
    (line,) = place.source
    start, end = place.column - 1, edits[-1].span.end_column - 1
    old = Line(str(line_number(place)), windowed(line, [(start, end, "removed")]))
    head, middle, tail = line[:start], line[start:end], line[end:]
    for edit in reversed(edits):
        middle = middle[: edit.span.column - 1 - start] + edit.text + middle[edit.span.end_column - 1 - start :]
    texts = middle.split("\n")
    last = len(texts) - 1
    new = [_added(text, head * (number == 0), tail * (number == last)) for number, text in enumerate(texts[:LINES])]
    first, *rest = outdented([old, *new])
    return Change(place, (first,), tuple(rest))


def _added(text: str, head: str, tail: str) -> Line:
    return Line("", windowed(head + text + tail, [(len(head), len(head) + len(text), "added")]))


def _exact(edits: Sequence[Edit]) -> bool:
    """Whether edits can be carried out: each within the one line that the report shows, one behind the other."""
    ends = [1]
    for edit in edits:
        span = edit.span
        inside = len(span.source) == 1 and span.end_line == span.line and span.end_column - 1 <= len(span.source[0])
        if not inside or not ends[-1] <= span.column <= span.end_column:
            return False
        ends.append(span.end_column)
    return True
