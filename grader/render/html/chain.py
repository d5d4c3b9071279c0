"""The model as a column of operators in blocks, with lines that join each to those whose results it reads."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from grader.protocol import Layer

HEAD = 300  # rows of a long model that are shown from its start
TAIL = 60  # and from its end
LANES = 5  # lines beside the column; connections for which there is no room are told in words alone


@dataclass(frozen=True, slots=True)
class Rail:
    """What is drawn beside a row, in lanes: 0 is the column of operators, 1 and more are connections that skip rows.

    `node` is a row with an operator, or the input. `up` and `down` join it to its neighbours. Lanes in `through` pass,
    those in `enters` bring a result to this row, those in `leaves` take the row's own away.
    """

    node: bool
    up: bool
    down: bool
    through: tuple[int, ...] = ()
    enters: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One operator. `name` is its module below the block, `reads` the rows it reads where that is not the one above.

    `skipped` operators before it are not shown.
    """

    number: int
    op: str
    name: str
    shape: str
    parameters: int
    macs: int
    parameters_percent: float
    macs_percent: float
    reads: tuple[int, ...]
    rail: Rail
    skipped: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of one module, and what they sum up to; `rail` stands beside its heading."""

    name: str
    parameters: int
    macs: int
    rows: tuple[Row, ...]
    rail: Rail


@dataclass(frozen=True, slots=True)
class Chain:
    """The whole model: `lanes` is the number of lanes that are in use beside the first, `start` the input's rail."""

    blocks: tuple[Block, ...]
    start: Rail
    lanes: int
    operators: int
    parameters: int
    macs: int


def chain(layers: Sequence[Layer]) -> Chain:
    """Return the layer table as blocks of rows; percentages are of the largest row."""
    rails = _rails([layer.inputs for layer in layers])
    names = _block_names(layers)
    shown = _shown(len(layers))
    most = _Most(*(max(counts, default=0) for counts in _columns(layers)))
    blocks: list[Block] = []
    last = -1
    for name, members in groupby(range(len(layers)), key=names.__getitem__):
        numbers = list(members)
        rows: list[Row] = []
        for number in filter(shown.__contains__, numbers):
            rows.append(_row(layers[number], number, name, most, rails[number + 1], number - last - 1))
            last = number
        if rows:
            own = layers[numbers[0] : numbers[-1] + 1]
            blocks.append(Block(name, *_sums(own), tuple(rows), _before(rails[rows[0].number + 1])))
    lanes = max((lane for rail in rails for lane in (*rail.through, *rail.enters)), default=0)
    return Chain(tuple(blocks), rails[0], lanes, len(layers), *_sums(layers))


class _Most(NamedTuple):
    """What the longest bars stand for."""

    parameters: int
    macs: int


def _columns(layers: Sequence[Layer]) -> tuple[list[int], list[int]]:
    return [layer.parameters for layer in layers], [layer.macs for layer in layers]


def _sums(layers: Sequence[Layer]) -> tuple[int, int]:
    parameters, macs = _columns(layers)
    return sum(parameters), sum(macs)


def _shown(count: int) -> set[int]:
    if count <= HEAD + TAIL:
        return set(range(count))
    return {*range(HEAD), *range(count - TAIL, count)}


def _block_names(layers: Sequence[Layer]) -> list[str]:
    """Return the block of each row: the module that it runs in, or, where that holds no other, the one around it."""
    modules = sorted({layer.module for layer in layers})

    def holds(module: str) -> bool:
        place = bisect_left(modules, f"{module}.")
        return place < len(modules) and modules[place].startswith(f"{module}.")

    return [layer.module if holds(layer.module) else layer.module.rpartition(".")[0] for layer in layers]


def _row(layer: Layer, number: int, block: str, most: _Most, rail: Rail, skipped: int) -> Row:
    return Row(
        number=number,
        op=layer.op.rpartition(".")[2],
        name=layer.module[len(block) :].removeprefix(".") if layer.module != block else "",
        shape="×".join(map(str, layer.shape)) or "scalar",
        parameters=layer.parameters,
        macs=layer.macs,
        parameters_percent=_percent(layer.parameters, most.parameters),
        macs_percent=_percent(layer.macs, most.macs),
        reads=layer.inputs if layer.inputs != (number - 1,) else (),
        rail=rail,
        skipped=skipped,
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1) if whole > 0 else 0.0


def _rails(inputs: Sequence[tuple[int, ...]]) -> list[Rail]:
    """Return the rail of the model's input and that of each row; a lane carries the result of one row at a time."""
    readers: dict[int, list[int]] = {}
    for number, sources in enumerate(inputs):
        for source in sources:
            if -1 <= source < number:
                readers.setdefault(source, []).append(number)
    through: dict[int, list[int]] = {}
    enters: dict[int, list[int]] = {}
    leaves: dict[int, list[int]] = {}
    free = [-1] * LANES  # the row up to which each lane is taken
    for source in sorted(readers):
        far = [reader for reader in readers[source] if reader > source + 1]
        lane = next((lane for lane, end in enumerate(free, 1) if end <= source), None)
        if not far or lane is None:
            continue
        free[lane - 1] = far[-1]
        leaves.setdefault(source, []).append(lane)
        for reader in far:
            enters.setdefault(reader, []).append(lane)
        for number in range(source + 1, far[-1]):
            through.setdefault(number, []).append(lane)
    return [
        Rail(
            node=True,
            up=number - 1 in (inputs[number] if number >= 0 else ()),
            down=number + 1 in readers.get(number, ()),
            through=tuple(through.get(number, ())),
            enters=tuple(enters.get(number, ())),
            leaves=tuple(leaves.get(number, ())),
        )
        for number in range(-1, len(inputs))
    ]


def _before(rail: Rail) -> Rail:
    """Return what passes between a row and the one above it."""
    return Rail(False, rail.up, rail.up, tuple(sorted({*rail.through, *rail.enters})))
