"""What a program computes, without names, places, dead code and spellings: vertices, each after what it works on."""

from __future__ import annotations

from dataclasses import dataclass

from grader.facts import Facts, Operand, Step, integers
from grader.fingerprint.spellings import COMMUTATIVE, arguments, attributes, canonical_name, without_batch
from grader.graph import Graph, Node, TensorInfo, refs
from grader.kinds import Kind
from grader.likeness import hashed

Source = tuple[int, int]  # a vertex and which of its outputs; (-1, id) is a tensor of the graph, (-2, 0) an unknown one
LEAF, UNKNOWN = -1, (-2, 0)
MEAN = "mean of the map"


@dataclass(frozen=True, slots=True)
class Vertex:
    """One operator: `attributes` are what it is told, `inputs` the tensors that it works on, in an order of its own."""

    op: str
    kind: Kind
    attributes: tuple[str, ...]
    inputs: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Canonical:
    """A program: its live vertices, each after its inputs, in the order in which a walk from the result meets them.

    `output` are the sources of the result, `leaves` the tensors of the graph in words.
    """

    vertices: dict[int, Vertex]
    output: tuple[Source, ...]
    leaves: dict[int, str]

    def leaf(self, source: Source) -> str | None:
        """Return the words for a source that no vertex computes, None for one that is computed."""
        if source[0] >= 0:
            return None
        return self.leaves.get(source[1], "?") if source[0] == LEAF else "?"


def canonical(graph: Graph, facts: Facts) -> Canonical:
    """Return a program that was observed in its canonical form."""
    leaves = {info.id: _leaf(info) for info in graph.tensors}
    builder = _Builder(facts, leaves)
    for step in facts.steps:
        if step.index in facts.live:
            builder.add(step)
    output = tuple(map(builder.source, facts.output))
    return Canonical(_walked(builder.vertices, output), output, leaves)


def _walked(vertices: dict[int, Vertex], output: tuple[Source, ...]) -> dict[int, Vertex]:
    """Return the vertices that lead to some sources, each after its inputs: nothing but these decides the order."""
    order: list[int] = []
    seen: set[int] = set()
    stack = [(index, False) for index, _ in reversed(output)]
    while stack:
        index, complete = stack.pop()
        if complete:
            order.append(index)
        elif index >= 0 and index not in seen:
            seen.add(index)
            stack.append((index, True))
            stack.extend((source, False) for source, _ in reversed(vertices[index].inputs))
    return {index: vertices[index] for index in order}


def _leaf(info: TensorInfo) -> str:
    return info.role if info.shape is None else f"{info.role} {'×'.join(map(str, info.shape))}"


class _Builder:
    """Takes the live steps of a program in order."""

    def __init__(self, facts: Facts, leaves: dict[int, str]) -> None:
        self.facts = facts
        self.leaves = leaves
        self.vertices: dict[int, Vertex] = {}
        self.stands_for: dict[int, Source] = {}  # a node that changes nothing → what it was given
        self.labels: dict[int, str] = {}

    def source(self, operand: Operand) -> Source:
        """Return where a tensor comes from: the last that wrote it has the earlier ones behind it."""
        if not operand.writers:
            return (LEAF, operand.leaf) if operand.leaf is not None else UNKNOWN
        writer = operand.writers[-1]
        if writer in self.stands_for:
            return self.stands_for[writer]
        return writer, _place(self.facts.steps[writer].node, operand.id)

    def add(self, step: Step) -> None:
        """Add a step as a vertex, or as another name of what it is given."""
        name = canonical_name(step.short)
        given = arguments(step.node, name)
        by_id = {operand.id: self.source(operand) for operand in step.operands}
        inputs = tuple(by_id[key] for key in refs(*given.values()))
        if inputs and _changes_nothing(step, self.facts.batch):
            self.stands_for[step.index] = inputs[0]
            return
        if _averages(step, name):
            vertex = Vertex(MEAN, "avg-pool", (), tuple(map(self._unshaped, inputs[:1])))
        else:
            if step.kind in ("reshape", "expand"):  # a second tensor only names the shape
                inputs = tuple(map(self._unshaped, inputs[:1]))
            elif name in COMMUTATIVE:
                inputs = tuple(sorted(inputs, key=self._label))
            vertex = Vertex(name, step.kind, attributes(step, name, given, self.facts.batch), inputs)
        self.vertices[step.index] = vertex
        self.labels[step.index] = hashed(vertex.op, *vertex.attributes, *map(self._label, vertex.inputs))

    def _unshaped(self, source: Source) -> Source:
        """Return what a reshape works on, of which only the last shape counts."""
        vertex = self.vertices.get(source[0])
        return vertex.inputs[0] if vertex is not None and vertex.kind == "reshape" else source

    def _label(self, source: Source) -> str:
        index, place = source
        return f"{self.labels[index]}.{place}" if index >= 0 else self.leaves.get(place, "?")


def _place(node: Node, key: int) -> int:
    return node.outputs.index(key) if key in node.outputs else 0


def _averages(step: Step, name: str) -> bool:
    """Tell whether a step takes the mean of a whole map."""
    images = step.operands[0] if step.operands else None
    if images is None or not step.shapes or step.kind not in ("avg-pool", "reduce") or not images.is_map:
        return False
    if step.kind == "avg-pool":
        return all(extent == 1 for extent in step.shapes[0][2:])
    if name != "mean":
        return False
    axes = sorted(axis % len(images.shape) for axis in integers(step.argument("dim")))
    return bool(axes) and tuple(axes) == images.axes


def _changes_nothing(step: Step, batch: int) -> bool:
    if step.kind == "copy":
        return step.short not in ("detach", "detach_")
    if step.kind == "dropout":
        return not step.argument("training") or step.argument("p") == 0
    if step.kind in ("reshape", "expand"):
        return without_batch(step.shapes[0], batch) == without_batch(step.operands[0].shape, batch)
    return False
