"""The tensors of a graph in the generated constructor: what each is, with its numbers where they are few."""

from __future__ import annotations

import math
import struct
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from grader.export.expressions import number
from grader.export.weights import Number, Weights
from grader.graph import Graph, TensorInfo, refs
from grader.kinds import signature

LITERALS_CAP = 20_000  # numbers that are written out, of all tensors together
SAMPLE = 10_000  # numbers that tell the range of what is not written out
WIDTH = 80  # columns of a list of numbers
WHOLE = 1_000_000  # whole numbers below this are written without a point
RANGES = {"float16": 3e4}  # what torch draws random numbers from at most
RANGE = 1e30
INTEGERS = 2**31

PLACEHOLDER = "  # load() fills in the numbers"


def drifting(graph: Graph) -> frozenset[int]:
    """Return the tensors that a forward writes to or replaces: statistics, counters."""
    found: set[int] = set()
    for program in (graph.eval, graph.train):
        found.update(kept for kept, _ in program.updates)
        for node in program.nodes:
            found.update(node.outputs)
            if node.op.endswith(".batch_norm"):
                given = {**dict(zip(signature(node.op), node.args, strict=False)), **node.kwargs}
                found.update(refs(given.get("running_mean"), given.get("running_var")))
    return frozenset(found)


@dataclass(slots=True)
class Writer:
    """Writes tensors as source, numbers as long as there are not too many."""

    weights: Weights
    drifting: frozenset[int]
    left: int = LITERALS_CAP

    def lines(self, info: TensorInfo, name: str) -> Iterator[str]:
        """Yield the lines that make one tensor an attribute of the model."""
        expression, note = self.expression(info)
        if info.role == "parameter":
            frozen = "" if info.trainable else ", requires_grad=False"
            yield f"self.{name} = nn.Parameter({expression}{frozen}){note}"
        elif info.role == "buffer":
            yield from f'self.register_buffer("{name}", {expression}){note}'.split("\n")
        else:
            learned = ".requires_grad_()" if info.trainable else ""
            yield from f"self.{name} = {expression}{learned}{note}".split("\n")

    def expression(self, info: TensorInfo) -> tuple[str, str]:
        """Return the expression that makes a tensor, and a comment where other numbers will take its place.

        What is learned, or rewritten by forward itself, starts at random in the range of its numbers.
        """
        key = str(info.id)
        shape = self.weights.shape(key)
        dtype = self.weights.dtype(key)
        typed = "" if dtype == "float32" else f", dtype=torch.{dtype}"
        size = self.weights.size(key)
        whole = size <= self.left
        numbers = self.weights.numbers(key, size if whole else SAMPLE)
        if whole and _uniform(numbers):
            return _filled(shape, numbers, typed), ""
        moves = info.role == "parameter" or info.id in self.drifting
        if whole and not moves:
            self.left -= size
            return _literal(shape, numbers, dtype), ""
        note = "" if moves else PLACEHOLDER
        return _random(shape, numbers, dtype), note


def _uniform(numbers: tuple[Number, ...]) -> bool:
    return len(set(numbers)) <= 1


def _filled(shape: tuple[int, ...], numbers: tuple[Number, ...], typed: str) -> str:
    """Return what makes a tensor of one number, or of none."""
    of = numbers[0] if numbers else 0
    factory = {"0": "zeros", "1": "ones", "0.0": "zeros", "1.0": "ones"}.get(repr(of))
    if factory is not None:
        return f"torch.{factory}({_shape(shape)}{typed})"
    return f"torch.full({tuple(shape)!r}, {number(of)}{typed})"


def _random(shape: tuple[int, ...], numbers: tuple[Number, ...], dtype: str) -> str:
    """Return what makes random numbers in the range of these."""
    if dtype == "bool":
        return f"torch.randint(2, {tuple(shape)!r}).bool()"
    if "float" not in dtype:
        low, high = max(min(numbers), -INTEGERS), min(max(numbers), INTEGERS)
        return f"torch.randint({low}, {high + 1}, {tuple(shape)!r}, dtype=torch.{dtype})"
    typed = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    limit = RANGES.get(dtype, RANGE)
    usable = [item for item in numbers if abs(item) <= limit] or [0.0]
    return f"torch.empty({_shape(shape)}{typed}).uniform_({min(usable):.4g}, {max(usable):.4g})"


def _short(of: Number) -> str:
    """Return the shortest decimal that is this number in 32 bits."""
    if not math.isfinite(of):
        return number(float(of))
    texts = (f"{of:.{digits}g}" for digits in range(6, 10))
    return repr(float(next(text for text in texts if _in_32_bits(float(text)) == of)))


def _integer(of: Number) -> str:
    return str(int(of))


def _in_32_bits(of: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", of))[0]
    return found


def _literal(shape: tuple[int, ...], numbers: tuple[Number, ...], dtype: str) -> str:
    """Return what makes a tensor of these numbers."""
    integral = "float" in dtype and all(abs(item) < WHOLE and item == int(item) for item in numbers)
    write = _integer if integral else _short if dtype == "float32" else number
    text = ", ".join(map(write, numbers))
    typed = f", dtype=torch.{dtype}" if integral or dtype != "float32" else ""
    shaped = "" if len(shape) == 1 else f".reshape({_shape(shape)})"
    if len(text) <= WIDTH:
        return f"torch.tensor([{text}]{typed}){shaped}"
    wrapped = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    lines = "\n".join(f"    {line}" for line in wrapped)
    return f"torch.tensor([\n{lines}\n]{typed}){shaped}"


def _shape(shape: tuple[int, ...]) -> str:
    """Return a shape as a factory takes it: one number for one axis."""
    return repr(shape[0]) if len(shape) == 1 else repr(tuple(shape))
