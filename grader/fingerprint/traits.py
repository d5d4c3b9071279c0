"""What a person would recognise a model by, in words."""

from __future__ import annotations

from collections.abc import Iterator

from grader.fingerprint.canonical import Canonical, Vertex

LONGEST = 24  # numbers of one trait


def traits(program: Canonical) -> tuple[str, ...]:
    """Return the channels of a model's layers, its kernels, dropout rates and activations, as far as it has any."""
    vertices = list(program.vertices.values())
    shapes = [shape for vertex in vertices if vertex.kind in ("conv", "dense") and (shape := _weight(program, vertex))]
    rows = {
        "channels": "-".join(str(shape[0]) for shape in shapes[:LONGEST]),
        "kernel sizes": "-".join(str(shape[2]) for shape in shapes[:LONGEST] if len(shape) > 2),
        "dropout": ", ".join(dict.fromkeys(_rates(vertices))),
        "activation": ", ".join(dict.fromkeys(vertex.op for vertex in vertices if vertex.kind == "activation")),
    }
    return tuple(f"{name} {text[:120]}" for name, text in rows.items() if text)


def _weight(program: Canonical, vertex: Vertex) -> tuple[int, ...]:
    """Return the shape of the first tensor of the graph that a layer works with, () where it has none."""
    for source in vertex.inputs:
        leaf = program.leaf(source)
        if leaf is not None and " " in leaf:
            return tuple(int(extent) for extent in leaf.partition(" ")[2].split("×") if extent)
    return ()


def _rates(vertices: list[Vertex]) -> Iterator[str]:
    """Yield the rates of the dropouts, as '0.05'."""
    for vertex in vertices:
        if vertex.kind == "dropout":
            given = dict(attribute.split(" ", 1) for attribute in vertex.attributes)
            yield given.get("p", "0.5")
