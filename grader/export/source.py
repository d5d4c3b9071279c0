"""A graph as one Python module: a model that computes what was graded, and a function that loads its weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.export import weights as safetensors
from grader.export.body import INDENT, forward_lines
from grader.export.layers import Layer, layers_of, steps_of
from grader.export.names import Names, identifier
from grader.export.state import Writer, drifting
from grader.export.steps import Forward, merged
from grader.finding import Span
from grader.graph import Graph
from grader.protocol import Exported
from grader.render.escape import visible

TITLE = '"""The graph that s5-grade graded, as PyTorch source: what the model computes, whatever its own code says.'

HEAD = f'''\
{TITLE}

Each line of `forward` names the line of the submission that it was captured from. A model starts at random; its method
`load` takes the weights that were graded.
"""
'''

IMPORTS = """\

from operator import attrgetter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
"""

LOAD = """
def load(self, path=None):
    '''Take the weights that were graded, from the file beside this one or from another.'''
    from safetensors.torch import load_file

    with torch.no_grad():
        for key, numbers in load_file(path or Path(__file__).with_suffix(".safetensors")).items():
            attrgetter(key)(self).copy_(numbers)
    return self
""".replace("'''", '"""')


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a module, and its weights as safetensors."""

    text: str
    weights: bytes


def export(exported: Exported, about: Sequence[str] = ()) -> Source:
    """Return a graded graph as source; `about` are lines of its head that say what was graded.

    Raises:
        WeightsError: the tensors are not those of the graph.
    """
    graph = exported.graph
    weights = safetensors.read(exported.tensors)
    stored = [info for info in graph.tensors if info.role != "input"]
    if {str(info.id) for info in stored} != set(weights.entries):
        raise safetensors.WeightsError("the tensors are not those of the graph")
    layers, attributes = _attributes(graph, weights)
    name = identifier(graph.name, "Net")
    text = "".join(
        [
            HEAD,
            *(f"\n# {visible(line)}" for line in (*about, *_reservations(graph))),
            "\n",
            IMPORTS,
            f"\n\nclass {name}(nn.Module):\n",
            *(f"{INDENT}{line}\n" if line else "\n" for line in _class(graph, layers, attributes, weights)),
        ]
    )
    return Source(text, safetensors.renamed(weights, {str(key): path for key, path in attributes.items()}))


def _attributes(graph: Graph, weights: safetensors.Weights) -> tuple[dict[str, Layer], dict[int, str]]:
    """Return the layers by their attributes, and where each tensor stands below the model, by its id."""
    names = Names()
    infos = {info.id: info for info in graph.tensors if info.role != "input"}
    layers = {}
    paths: dict[int, str] = {}
    for layer in layers_of(graph, {key: weights.dtype(str(key)) for key in infos}):
        module = infos[layer.ids[0]].name.rpartition(".")[0]
        attribute = names.take(module, "layer")
        layers[attribute] = layer
        paths.update({key: f"{attribute}.{name}" for name, key in layer.tensors})
    for key, info in infos.items():
        if key not in paths:
            paths[key] = names.take(info.name, info.role)
    return layers, paths


def _class(
    graph: Graph, layers: dict[str, Layer], attributes: dict[int, str], weights: safetensors.Weights
) -> Iterator[str]:
    """Yield the lines of the class's body."""
    yield "def __init__(self):"
    yield f"{INDENT}super().__init__()"
    for attribute, layer in layers.items():
        yield f"{INDENT}self.{attribute} = {layer.construction}"
    writer = Writer(weights, drifting(graph))
    for info in graph.tensors:
        if "." not in attributes.get(info.id, "."):
            for line in writer.lines(info, attributes[info.id]):
                yield f"{INDENT}{line}"
    yield from _forwards(graph, layers, {key: f"self.{path}" for key, path in attributes.items()})
    yield from LOAD.rstrip().split("\n")


def _forwards(graph: Graph, layers: dict[str, Layer], fixed: dict[int, str]) -> Iterator[str]:
    """Yield the lines of one forward for both modes, or of one for each."""
    names = {key: attribute for attribute, layer in layers.items() for key in layer.ids}
    evaluation, training = (steps_of(program, names) for program in (graph.eval, graph.train))
    both = merged(graph, evaluation, training)
    if both is not None:
        yield ""
        yield from forward_lines(both, fixed)
        return
    yield ""
    yield "def forward(self, x):"
    yield f"{INDENT}return self.forward_training(x) if self.training else self.forward_evaluation(x)"
    for steps, program, head in (
        (evaluation, graph.eval, "forward_evaluation"),
        (training, graph.train, "forward_training"),
    ):
        yield ""
        yield from forward_lines(Forward(steps, program.output, program.updates), fixed, head)


def _reservations(graph: Graph) -> Iterator[str]:
    """Yield what the source leaves out."""
    for span in graph.custom_gradient:
        yield f"Left out: the gradient that {_place(span)} defines itself."


def _place(span: Span) -> str:
    return f"{span.file}:{span.line}" if span.file else "the submission"
