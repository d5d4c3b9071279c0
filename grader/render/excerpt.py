"""Source lines with stretches of them underlined, in the manner of rustc."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from grader.render.escape import expanded, visible
from grader.render.places import line_number
from grader.report import Place

GUTTER = "blue"
LEAST = 16  # columns of source that are shown, however narrow the terminal
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to show: what stands beside it, in which style, and the character that underlines it."""

    place: Place
    label: str
    style: str
    character: str = "^"


def excerpt(marks: Sequence[Mark], digits: int, width: int) -> Iterator[Text]:
    """Yield the lines of one excerpt, gutter and all, of places in one file; `digits` is how wide line numbers are.

    Nothing is yielded for places that have no source.
    """
    room = max(LEAST, width - digits - 3)
    last = None  # the line that was shown before
    for mark in sorted(marks, key=lambda mark: (line_number(mark.place), mark.place.column)):
        place = mark.place
        if not place.source:
            continue
        drawing = _Drawing(digits, room, mark.style)
        line = line_number(place)
        if last is None:
            yield drawing.bare()
        elif line > last + 1:
            yield Text("...", style=GUTTER)
        if len(place.source) == 1:
            yield from drawing.one_line(place, visible(mark.label), mark.character, again=line == last)
        else:
            yield from drawing.many_lines(place, visible(mark.label), mark.character)
        last = line + len(place.source) - 1


def digits_of(places: Sequence[Place]) -> int:
    """Return how many digits the line numbers of these places need."""
    return max((len(str(line_number(place) + max(0, len(place.source) - 1))) for place in places), default=1)


class _Drawing:
    """One excerpt: `room` is the number of columns beside the gutter."""

    def __init__(self, digits: int, room: int, style: str) -> None:
        self.digits = digits
        self.room = room
        self.style = style

    def bare(self, number: str = "") -> Text:
        """Return a gutter with nothing beside it."""
        return Text(f"{number:>{self.digits}} |", style=GUTTER)

    def row(self, content: Text, number: str = "") -> Text:
        content.rstrip()
        if not content.plain:
            return self.bare(number)
        return Text.assemble((f"{number:>{self.digits}} |", GUTTER), " ", content)

    def one_line(self, place: Place, label: str, mark: str, *, again: bool) -> Iterator[Text]:
        """Draw a line with what is underlined; `again` leaves out the line itself where it is there already."""
        shown = expanded(place.source[0])
        first, last = _stretch(place, place.source[0])
        start = sum(map(cell_len, shown[:first]))
        end = max(start + 1, sum(map(cell_len, shown[:last])))
        cells, start, end = window("".join(shown), start, end, self.room)
        if not again or sum(map(cell_len, shown)) > self.room:  # a long line may show another part of itself
            yield self.row(Text(cells), str(line_number(place)))
        underline = Text(" " * start + mark * (end - start), style=self.style)
        if end + 1 + cell_len(label) <= self.room:
            yield self.row(underline + Text(f" {label}" if label else "", style=self.style))
        else:
            yield self.row(underline)
            yield from self.label(label, start if self.room - start >= LEAST else 0)

    def many_lines(self, place: Place, label: str, mark: str) -> Iterator[Text]:
        """Draw a bracket from the first line to the last one that is shown."""
        last = len(place.source) - 1
        for offset, line in enumerate(place.source):
            bracket = Text("/ " if offset == 0 else "| ", style=self.style)
            cells, _, _ = window("".join(expanded(line)), 0, 1, self.room - 2)
            yield self.row(bracket + Text(cells), str(line_number(place) + offset))
        if place.end_line > place.line + last:
            yield Text(f"{'...':<{self.digits + 3}}", style=GUTTER) + Text("|", style=self.style)
        end = sum(map(cell_len, expanded(place.source[-1])[: max(0, place.end_column - 1)]))
        end = max(1, min(end, self.room - 3))
        tail = Text("|" + "_" * end + mark, style=self.style)
        if end + 3 + cell_len(label) <= self.room:
            yield self.row(tail + Text(f" {label}" if label else "", style=self.style))
        else:
            yield self.row(tail)
            yield from self.label(label, 0)

    def label(self, label: str, indent: int) -> Iterator[Text]:
        for line in wrapped(label, self.room - indent):
            yield self.row(Text(" " * indent + line, style=self.style))


def _stretch(place: Place, line: str) -> tuple[int, int]:
    """Return the code points of a line that are underlined; where no columns are known, all but the indentation."""
    if place.column < 1 or place.column > len(line) + 1:
        return len(line) - len(line.lstrip()), len(line.rstrip())
    end = place.end_column - 1 if place.end_line == place.line and place.end_column > place.column else len(line)
    return place.column - 1, min(end, len(line))


def window(text: str, start: int, end: int, room: int) -> tuple[str, int, int]:
    """Return what fits of a line, with the columns of the underline in it; an ellipsis stands where it was cut."""
    if cell_len(text) <= room:
        return text, start, end
    left = 0 if end < room else max(0, min(start - room // 4, cell_len(text) - room + 1))
    kept, column = [], 0
    for character in text:
        wide = cell_len(character)
        if column >= left + (1 if left else 0) and column + wide <= left + room - 1:
            kept.append((column, character))
        column += wide
    cut = kept[-1][0] + cell_len(kept[-1][1]) if kept else left
    lead = ELLIPSIS + " " * (kept[0][0] - left - 1) if left and kept else ""
    tail = ELLIPSIS if cut < column else ""
    start, end = max(0, start - left), min(end - left, room)
    return lead + "".join(character for _, character in kept) + tail, start, max(start + 1, end)


def wrapped(text: str, width: int) -> list[str]:
    """Return words in lines of at most `width` columns; a word that is wider is broken."""
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, width)
    return lines


def _pieces(word: str, width: int) -> list[str]:
    """Return a word in pieces of at most `width` columns, each of at least one character."""
    pieces = [""]
    for character in word:
        if pieces[-1] and cell_len(pieces[-1]) + cell_len(character) > width:
            pieces.append("")
        pieces[-1] += character
    return pieces
