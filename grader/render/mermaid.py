"""Drawings in Mermaid's language, which GitHub shows: the model as a flowchart, the training as a curve.

Sources: Mermaid's documentation, 'Flowcharts' and 'XY Chart'; labels stand in quotes, in which `#35;` is an entity.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from grader.protocol import EpochRow, Layer
from grader.render.escape import shortened, visible

NAME_CAP = 40  # code points of a module's name
BOXES = 60  # at most; of a longer model the middle is left out
HEAD, TAIL = 40, 15
# What runs on a layer's result before the next one is drawn in that layer's box.
FOLLOWERS = frozenset(
    ("batch-norm", "norm", "dropout", "activation", "softmax", "reshape", "permute", "pad", "copy", "weight")
)
_UNSAFE = re.compile(r"[^\w .,:×·…()/=+-]")


class Box(NamedTuple):
    """Layers that are drawn as one: the rows of the table, and how many boxes that look alike this one stands for."""

    rows: tuple[int, ...]
    times: int = 1
    last: str = ""  # the name of the last one of several


def flowchart(layers: Sequence[Layer]) -> str:
    """Return the model as a flowchart; empty where nothing is known of what reads what."""
    if not any(layer.inputs for layer in layers):
        return ""
    boxes = _repeats(layers, _boxes(layers))
    shown, hidden = (boxes, 0) if len(boxes) <= BOXES else ([*boxes[:HEAD], *boxes[-TAIL:]], len(boxes) - HEAD - TAIL)
    node_of = {row: f"n{number}" for number, box in enumerate(shown) for row in box.rows}
    lines = ["flowchart TD", '  x(["input"])']
    lines += [f'  n{number}["{_label(layers, box)}"]' for number, box in enumerate(shown)]
    if hidden:
        lines.append(f'  more["{hidden} more"]')
    lines.append('  y(["output"])')
    edges = [*_edges(layers, boxes, node_of), (node_of[len(layers) - 1], "y")]
    return "\n".join([*lines, *(f"  {source} --> {target}" for source, target in dict.fromkeys(edges))])


def curve(rows: Sequence[EpochRow]) -> str:
    """Return the accuracies after each epoch as a chart; empty where two points can't be had."""
    series = [[row.train_accuracy for row in rows]]
    if all(row.held_out_accuracy is not None for row in rows):
        series.append([row.held_out_accuracy or 0.0 for row in rows])
    if len(rows) < 2:
        return ""
    least = min(map(min, series))
    title = "after each epoch: on training images" + (", on images held out" if len(series) > 1 else "")
    if rows[0].seed is not None:
        title += f", seed {rows[0].seed}"
    epochs = ", ".join(str(number) for number in range(1, len(rows) + 1))
    lines = ["xychart-beta", f'  title "{title}"', f"  x-axis epoch [{epochs}]"]
    lines.append(f'  y-axis "accuracy, %" {max(0, int(least) - 1)} --> 100')
    lines += [f"  line [{', '.join(f'{value:.2f}' for value in line)}]" for line in series]
    return "\n".join(lines)


def _boxes(layers: Sequence[Layer]) -> list[Box]:
    """Put each layer into a box with what follows it alone."""
    readers = Counter(source for layer in layers for source in layer.inputs)
    boxes: list[list[int]] = []
    for row, layer in enumerate(layers):
        follows = layer.kind in FOLLOWERS and layer.inputs == (row - 1,) and readers[row - 1] == 1
        if follows and boxes:
            boxes[-1].append(row)
        else:
            boxes.append([row])
    return [Box(tuple(rows)) for rows in boxes]


def _repeats(layers: Sequence[Layer], boxes: Sequence[Box]) -> list[Box]:
    """Make one box of several that look alike and stand in a row."""
    readers = Counter(source for layer in layers for source in layer.inputs)
    found: list[Box] = []
    for box in boxes:
        before = found[-1] if found else None
        if (
            before is not None
            and layers[box.rows[0]].inputs == (before.rows[-1],)
            and readers[before.rows[-1]] == 1
            and _looks(layers, box.rows) == _looks(layers, before.rows[-len(box.rows) :])
        ):
            found[-1] = Box(before.rows + box.rows, before.times + 1, layers[box.rows[0]].module)
        else:
            found.append(box)
    return found


def _looks(layers: Sequence[Layer], rows: Sequence[int]) -> list[tuple[object, ...]]:
    return [(layers[row].op, layers[row].shape, layers[row].parameters) for row in rows]


def _edges(layers: Sequence[Layer], boxes: Sequence[Box], node_of: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield what leads from box to box; a row that is not shown stands for all of these."""
    for box in boxes:
        inside = set(box.rows)
        for row in box.rows:
            target = node_of.get(row, "more")
            for source in layers[row].inputs:
                start = "x" if source < 0 else node_of.get(source, "more")
                if source not in inside and start != target:
                    yield start, target


def _label(layers: Sequence[Layer], box: Box) -> str:
    each = box.rows[: len(box.rows) // box.times]
    first, last = layers[each[0]], layers[each[-1]]
    parameters = sum(layers[row].parameters for row in each)
    times = f"{box.times} × " if box.times > 1 else ""
    span = f" to {_name(box.last)}" if box.last else ""
    followers = ", ".join(_operator(layers[row]) for row in each[1:])
    facts = "×".join(map(str, last.shape)) or "scalar"
    if parameters:
        facts += f" · {parameters:,} parameters{' each' if box.times > 1 else ''}"
    heading = f"{times}{_operator(first)} {_name(first.module)}{span}".rstrip()
    return "<br/>".join(part for part in (heading, followers, facts) if part)


def _operator(layer: Layer) -> str:
    return _name(layer.op.rpartition(".")[2])


def _name(text: str) -> str:
    """Return a name for a label; what could be more than text there is an entity."""
    return _UNSAFE.sub(lambda found: f"#{ord(found[0])};", visible(shortened(text, NAME_CAP)))
