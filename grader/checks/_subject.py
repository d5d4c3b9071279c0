"""What a check is given: the graph, what was observed of it, and the experiments that it may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from grader.facts import Facts, Leaf, Operand, Step
from grader.finding import CheckResult, Finding, Span
from grader.graph import Graph, Mode, Module
from grader.protocol import TrainingReport

Replacement = Literal["identity", "fixed-statistics", "zeros", "redrawn"]
CONTAINERS = frozenset(("torch.nn.Module", "torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"))
MODES: tuple[Mode, ...] = ("eval", "train")


class Experiments(Protocol):
    """What the trusted side can find out by running the graph with learned tensors replaced."""

    def blocked(self) -> str:
        """Return why no experiment can tell anything of this graph; '' where they can."""

    def matters(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        """Tell whether the prediction changes when these nodes, by index, are replaced all at once."""

    def opens(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        """Tell whether nodes that matter do so with the submitted weights, or with what a training makes of them."""

    def handing_on(self, mode: Mode, indexes: Sequence[int]) -> frozenset[int]:
        """Return those of these nodes that return nothing but what they are given first, on all that was tried."""

    def endures(self, mode: Mode, replaced: Mapping[int, Replacement]) -> bool:
        """Tell whether nodes that matter on a few images do so in a training's large batches, late in it, too."""

    def averages(self, mode: Mode, edges: Sequence[Edge]) -> Averaging:
        """Tell how the prediction depends on maps at these edges: on their means over all positions alone, or more."""

    def flat(self, mode: Mode, edges: Sequence[Edge]) -> bool:
        """Tell whether maps at these edges hold the same number at all positions, whatever was tried."""

    def heard(self, mode: Mode, edge: Edge) -> float:
        """Return the share of a map's places at which a change gets to the prediction, as if all of these did alike."""

    def steady(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        """Tell whether an operand of a node differs along these axes, and next to nothing between images."""

    def bent(self, mode: Mode, indexes: Sequence[int]) -> frozenset[int]:
        """Return those of these activations that do more to the numbers they get than scaling and shifting them."""

    def scattered(self, mode: Mode, index: int) -> int:
        """Return how many numbers of what a node makes of constants look drawn, and not like those of a formula."""

    def drawn(self, key: int) -> bool:
        """Tell whether the numbers of a tensor of the graph, by its id, look drawn."""

    def mixes(self, mode: Mode) -> bool:
        """Tell whether the prediction for an image changes with the other images of its batch."""

    def bypassed(self, mode: Mode, edges: Sequence[Edge]) -> bool:
        """Tell whether the prediction follows what enters at these edges, and next to nothing else of the image."""

    def varies(self, mode: Mode, index: int, operand: int, axes: Sequence[int]) -> bool:
        """Tell whether the operand of a node, by its id, holds different numbers along these of its axes."""

    def gathers(self, mode: Mode, index: int, operand: int, layout: Layout, axes: Sequence[int]) -> bool:
        """Tell whether numbers from all along an axis of a map meet where a node sums its operand over these axes."""

    def patchy(self, mode: Mode, index: int, operand: int) -> bool:
        """Tell whether most channels of what a node is given follow the image in a few places only, each in its own."""

    def carried(self, mode: Mode, route: Route) -> bool:
        """Tell whether multiplied weights differ, not by chance alone, where a later node sums, and elsewhere too."""

    def follows_input(self, mode: Mode) -> bool:
        """Tell whether the prediction differs between images."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A map on its way into a node that makes no map of it."""

    step: Step
    operand: Operand


@dataclass(frozen=True, slots=True)
class Layout:
    """Maps, at `edges`, that were laid out otherwise; `way` are the nodes from there on, by index."""

    edges: tuple[Edge, ...]
    way: frozenset[int]


@dataclass(frozen=True, slots=True)
class Averaging:
    """`pooled`: nothing but the means gets through; `culprits`: the edges where more does; `used`: the means matter."""

    pooled: bool
    used: bool
    culprits: tuple[Edge, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """Products by hand on their way to `sink`, which sums the operand `summed` over `axes`.

    `fills` tells, for nodes on the way, which operands to replace by one number, so that the weights alone are left;
    of the nodes of `scales` such weights, by their id, take the place of the result. Where the way itself weighs
    positions, `weights` are those of each product: it is compared with the same way without them.
    """

    fills: Mapping[int, Mapping[int, float]]
    scales: Mapping[int, int]
    weights: Mapping[int, int]
    sink: int
    summed: int
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Subject:
    """One submission, as the checks see it."""

    graph: Graph
    facts: Mapping[Mode, Facts]
    leaves: Mapping[int, Leaf]
    experiments: Experiments
    input_shape: tuple[int, int, int]
    classes: int
    training: TrainingReport | None = None

    @cached_property
    def modules(self) -> Mapping[str, Module]:
        """The registered modules by their paths."""
        return {module.path: module for module in self.graph.modules}

    @cached_property
    def parameter_ids(self) -> frozenset[int]:
        """The ids of the registered parameters."""
        return frozenset(info.id for info in self.graph.of_role("parameter"))

    @cached_property
    def registered(self) -> int:
        """How many learned numbers are registered."""
        return sum(self.leaves[info.id].size for info in self.graph.of_role("parameter"))

    def layer_of(self, step: Step) -> Module | None:
        """Return the torch.nn layer that made a call; None where the submission's own code did."""
        module = self.modules.get(step.node.module)
        if module is None or not module.path or module.type in CONTAINERS or not module.type.startswith("torch.nn."):
            return None
        return module

    def has_effect(self, mode: Mode, index: int) -> bool:
        """Tell whether a node matters, with the weights that a training starts from, and late in one, too."""
        removed: dict[int, Replacement] = {index: "zeros"}
        tries = (self.experiments.matters, self.experiments.opens, self.experiments.endures)
        return all(has_effect(mode, removed) for has_effect in tries)

    def sole_layer_of(self, step: Step) -> Module | None:
        """Return the torch.nn layer that made a call where its construction serves no other call, None otherwise."""
        layer = self.layer_of(step)
        if layer is None or layer.span is None:
            return None
        twins = [module for module in self.graph.modules if module.span == layer.span]
        calls = [sum(other.node.module == layer.path for other in self.facts[mode].steps) for mode in MODES]
        return layer if len(twins) == 1 == max(calls) else None

    def made_here(self, step: Step) -> tuple[tuple[Span, str], ...]:
        """Return the place where the layer that made a call was constructed, as a finding's further place."""
        layer = self.layer_of(step)
        if layer is None or layer.span is None or layer.span == step.node.span:
            return ()
        return ((layer.span, f"{layer.path} is made here"),)

    def steps(self) -> Iterator[tuple[Facts, Step]]:
        """Yield every node of both programs that the output may depend on."""
        for mode in MODES:
            facts = self.facts[mode]
            for step in facts.steps:
                if step.index in facts.live:
                    yield facts, step

    def learned(self, facts: Facts, operand: Operand) -> bool:
        """Tell whether a tensor of one program is made of a parameter."""
        made_of = [operand, *[given for index in facts.behind([operand]) for given in facts.steps[index].operands]]
        return any(given.id in self.parameter_ids for given in made_of)

    def unused(self, *types: str) -> tuple[tuple[str, Span | None], ...]:
        """Return paths and places of registered modules of these torch.nn classes that never ran."""
        names = {f"torch.nn.{name}" for name in types}
        return tuple(
            (module.path, module.span) for module in self.graph.modules if module.type in names and not module.calls
        )


def resting(
    subject: Subject, mode: Mode, replaced: Mapping[int, Replacement], check: str, what: str, step: Step
) -> CheckResult | None:
    """Return the result for nodes that matter, but not while a training goes on; None where they do."""
    if not subject.experiments.opens(mode, replaced):
        message = f"{what} has no effect with the weights that the model starts from, and no training changes that"
        why = "Weights that no gradient reaches, such as those of a gate that is shut, keep it from the prediction."
        fix = "Let its result reach the output."
    elif not subject.experiments.endures(mode, replaced):
        message = f"{what} acts on a few images, but not in a large batch late in training"
        why = "Something takes it out of the prediction: a batch's size or images, earlier runs, or weights that moved."
        fix = "Let forward do the same for every batch."
    else:
        return None
    found = Finding(check, "warning", message, why, fix, span_of(step))
    return CheckResult(check, "error", f"can't be told: {message}", (found,))


def span_of(step: Step | None) -> Span | None:
    return step.node.span if step is not None else None


def times(shape: Sequence[int]) -> str:
    """Return a shape as one says it: 16×7×7."""
    return "×".join(str(extent) for extent in shape)
