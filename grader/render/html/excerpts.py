"""Source lines as pieces of text, the marked ones being what a finding is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len

from grader.render.escape import expanded
from grader.render.places import line_number
from grader.report import FindingReport, Place

PLACES = 20  # of one finding that are shown
LINE_CAP = 240  # code points of a source line that are shown
BEFORE = 60  # of these that stand before the marked ones, where a line is cut
INDENT_CAP = 48  # columns; a label further to the right would be read with difficulty
ELLIPSIS = "…"

Stretch = tuple[int, int, str]  # first code point of a line, end, kind


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to show, and what stands beside it; `kind` names its colour."""

    place: Place
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a line; without a kind it is not marked."""

    text: str
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source: `number` as its reader counts, empty for a line that is not in the file.

    `lead` is the indentation that all lines of an excerpt share, for which a small screen has no room.
    """

    number: str
    pieces: tuple[Piece, ...]
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """What stands below a marked stretch, which begins at a column counted from 0."""

    text: str
    kind: str
    indent: int


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive lines with their labels; `gap` lines were left out before them, `left` behind them."""

    lines: tuple[Line, ...]
    labels: tuple[Label, ...]
    gap: bool
    left: int


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What is shown of one file, or one cell of a notebook; `place` and `kind` are those of its first mark."""

    place: Place
    kind: str
    parts: tuple[Part, ...]


def marks_of(finding: FindingReport) -> tuple[Mark, ...]:
    """Return the places of a finding, its own first."""
    own = [Mark(finding.span, finding.label, finding.level)] if finding.span is not None else []
    return (*own, *(Mark(other.span, other.label, "related") for other in finding.related[:PLACES]))


def excerpts(marks: Sequence[Mark]) -> tuple[Excerpt, ...]:
    """Return what a page shows of some places: an excerpt for each file."""
    files: dict[tuple[str, int | None], list[Mark]] = {}
    for mark in marks:
        files.setdefault((mark.place.file, mark.place.cell), []).append(mark)
    return tuple(Excerpt(group[0].place, group[0].kind, _parts(group)) for group in files.values())


def windowed(line: str, stretches: Sequence[Stretch] = ()) -> tuple[Piece, ...]:
    """Return a line in pieces, a long one cut around its first stretch; stretches are in order and apart."""
    start, end = (stretches[0][0], stretches[-1][1]) if stretches else (0, 0)
    left = 0 if end <= LINE_CAP else max(0, min(start - BEFORE, len(line) - LINE_CAP))
    right = min(len(line), left + LINE_CAP)
    shown = expanded(line)
    pieces = [Piece(ELLIPSIS if left else "")]
    done = left
    for start, end, kind in stretches:
        first, last = (min(max(edge, done), right) for edge in (start, end))
        pieces += [Piece("".join(shown[done:first])), Piece("".join(shown[first:last]), kind)]
        done = last
    pieces += [Piece("".join(shown[done:right])), Piece(ELLIPSIS if right < len(line) else "")]
    return tuple(piece for piece in pieces if piece.text)


def outdented(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Return lines with the indentation that they share set apart."""
    found = list(lines)
    shared = min((_indentation(line) for line in found if line.pieces), default=0)
    return tuple(_outdented(line, shared) if line.pieces else line for line in found)


def _parts(group: Sequence[Mark]) -> tuple[Part, ...]:
    """Return the parts of an excerpt in the order of the file; marks of one line that do not overlap share it."""
    ordered = sorted(
        (mark for mark in group if mark.place.source), key=lambda mark: (mark.place.line, mark.place.column)
    )
    sharing: list[list[Mark]] = []
    for mark in ordered:
        if sharing and _side_by_side(sharing[-1][-1].place, mark.place):
            sharing[-1].append(mark)
        else:
            sharing.append([mark])
    parts: list[Part] = []
    last = 0
    for marks in sharing:
        place = marks[0].place
        parts.append(_part(marks, gap=bool(parts) and place.line > last + 1))
        last = place.line + len(place.source) - 1
    bare = [Label(mark.label, mark.kind, 0) for mark in group if mark.label and not mark.place.source]
    if bare:
        parts.append(Part((), tuple(bare), gap=False, left=0))
    lines = iter(outdented(line for part in parts for line in part.lines))
    return tuple(replace(part, lines=tuple(next(lines) for _ in part.lines)) for part in parts)


def _side_by_side(left: Place, right: Place) -> bool:
    """Whether two places are stretches of the same line, one behind the other."""
    one_line = len(left.source) == len(right.source) == 1 and left.line == right.line == left.end_line
    return one_line and 0 < left.column < left.end_column <= right.column


def _part(marks: Sequence[Mark], *, gap: bool) -> Part:
    place = marks[0].place
    first = line_number(place)
    lines = []
    for offset, line in enumerate(place.source):
        stretches = [(*_stretch(mark.place, offset, line), mark.kind) for mark in marks]
        lines.append(Line(str(first + offset), windowed(line, stretches)))
    starts = _starts(lines[-1])
    columns = [*starts, *([0] * len(marks))]
    labels = [
        Label(mark.label, mark.kind, min(column, INDENT_CAP)) for mark, column in zip(marks, columns, strict=False)
    ]
    left = max(place.line, place.end_line) - place.line + 1 - len(lines)
    return Part(tuple(lines), tuple(label for label in reversed(labels) if label.text), gap, left)


def _starts(line: Line) -> list[int]:
    """Return where the marked stretches of a line begin, in columns."""
    found = []
    column = 0
    for piece in line.pieces:
        if piece.kind:
            found.append(column)
        column += cell_len(piece.text)
    return found


def _stretch(place: Place, offset: int, line: str) -> tuple[int, int]:
    """Return the code points of a place's line that belong to it; indentation does only where columns say so."""
    last = max(place.line, place.end_line)
    start, end = len(line) - len(line.lstrip()), len(line.rstrip())
    if place.column < 1:
        return start, max(start, end)  # of a line of blanks the one is behind the other
    if offset == 0:
        start = min(place.column - 1, len(line))
    if place.line + offset == last and place.end_column > (place.column if last == place.line else 0):
        end = min(len(line), place.end_column - 1)
    return start, max(start, end)


def _indentation(line: Line) -> int:
    first = line.pieces[0]
    return 0 if first.kind else len(first.text) - len(first.text.lstrip(" "))


def _outdented(line: Line, shared: int) -> Line:
    first, *rest = line.pieces
    pieces = (Piece(first.text[shared:], first.kind), *rest)
    return Line(line.number, tuple(piece for piece in pieces if piece.text), first.text[:shared])
