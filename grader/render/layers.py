"""The layer table: what runs, in order, with the shape that it returns and what it learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from grader.protocol import Layer
from grader.render import Options, terminal
from grader.render.escape import visible
from grader.render.prose import to_text
from grader.report import Report

NAMES = ("operator", "module", "output", "parameters", "MACs")
LEFT = 2  # columns that are aligned to the left, the others to the right
LEAST = 8  # columns of a cell that is cut

Row = tuple[str, ...]


def render(report: Report, options: Options) -> str:
    """Return the layers of a graded model as a table; of one that was not graded, why."""
    if report.model is None:
        return terminal.render(report, options)
    return to_text(_table(report, options), options)


def _table(report: Report, options: Options) -> Iterator[Text]:
    assert report.model is not None
    layers = report.model.layers
    rows = [_row(layer) for layer in layers]
    total = ("total", "", "", f"{report.model.parameters:,}", f"{sum(layer.macs for layer in layers):,}")
    widths = _widths([NAMES, *rows, total], options.width)
    rule = Text("─" * (sum(widths) + 2 * len(widths) - 2), style="dim")
    yield Text(_line(NAMES, widths), style="bold")
    yield rule
    for row in rows:
        yield Text(_line(row, widths))
    yield rule
    yield Text(_line(total, widths), style="bold")


def _row(layer: Layer) -> Row:
    shape = "×".join(map(str, layer.shape)) or "scalar"
    counts = [f"{number:,}" if number else "" for number in (layer.parameters, layer.macs)]
    return (visible(layer.op.rpartition(".")[2]), visible(layer.module), shape, *counts)


def _widths(rows: Sequence[Row], room: int) -> list[int]:
    """Return the width of each column; the names give way where the table is too wide."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for column in (1, 0):
        excess = sum(widths) + 2 * (len(widths) - 1) - room
        widths[column] -= min(max(0, excess), max(0, widths[column] - LEAST))
    return widths


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = []
    for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
        text = Text(cell)
        text.truncate(width, overflow="ellipsis")
        text.align("left" if number < LEFT else "right", width)
        cells.append(text.plain)
    return "  ".join(cells).rstrip()
