"""Layers in the generated source: `nn.Conv2d` and its like, where a layer is exactly what the graph's calls do.

A layer is told from the calls alone, never from what the submission's modules are called: every call that reads one of
its tensors, in both modes, must be the one that torch's own layer would make, with the same arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from grader.export.steps import Step
from grader.graph import Arg, Graph, Items, Mode, Node, Program, Ref, TensorInfo, read_ids, refs
from grader.kinds import BATCH_NORM, STATISTICS

CONV_OPS = {f"torch.nn.functional.conv{axes}d": axes for axes in (1, 2, 3)}
LINEAR_OP = "torch.nn.functional.linear"
NORM_OP = "torch.nn.functional.batch_norm"
COUNT_OP = "torch.Tensor.add_"  # how a batch normalisation counts the batches that it has learned from
MODES: tuple[Mode, ...] = ("eval", "train")
IMAGE_AXES = 4

# Return as many axes as their operands have, and take no operands of fewer.
_KEEPING = frozenset(
    "conv2d batch_norm relu relu_ relu6 leaky_relu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh sigmoid "
    "tanh softplus dropout dropout1d dropout2d alpha_dropout feature_alpha_dropout max_pool2d avg_pool2d "
    "adaptive_avg_pool2d adaptive_max_pool2d interpolate clone contiguous add add_ sub mul mul_ div cat".split()
)


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: what constructs it, and the ids of its tensors by the names that torch gives them."""

    construction: str
    tensors: tuple[tuple[str, int], ...]

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(key for _, key in self.tensors)


@dataclass(frozen=True, slots=True)
class _Call:
    """A place where a program calls a layer, with the tensors of it that are read there."""

    layer: Layer
    reads: tuple[int, ...]


def layers_of(graph: Graph, dtypes: Mapping[int, str]) -> tuple[Layer, ...]:
    """Return a graph's layers, in the order of their tensors; `dtypes` are the types of these, by id."""
    finder = _Finder(graph, dtypes)
    calls = [call for mode in MODES for call in finder.calls(mode, graph.program(mode))]
    own = Counter((call.layer, key) for call in calls for key in call.reads)
    readers = Counter(key for mode in MODES for node in graph.program(mode).nodes for key in set(read_ids(node)))
    elsewhere = {key for mode in MODES for key in _kept(graph.program(mode))}
    whole = {
        call.layer: None
        for call in calls
        if all(own[call.layer, key] == readers[key] and key not in elsewhere for key in call.layer.ids)
    }
    places = {info.id: place for place, info in enumerate(graph.tensors)}
    return tuple(sorted(whole, key=lambda layer: places[layer.ids[0]]))


def steps_of(program: Program, names: Mapping[int, str]) -> tuple[Step, ...]:
    """Return the steps of a program; `names` are those of the layers, by the ids of their tensors.

    A call of a layer keeps its input alone. The count of batches is part of it.
    """
    steps = []
    for node in program.nodes:
        layer = next((names[key] for key in read_ids(node) if key in names), "")
        if layer and node.op == COUNT_OP:
            continue
        steps.append(Step(msgspec.structs.replace(node, args=node.args[:1], kwargs={}) if layer else node, layer))
    return tuple(steps)


def _kept(program: Program) -> Iterator[int]:
    """Yield the tensors that a program returns or puts in another's place."""
    yield from refs(program.output)
    for pair in program.updates:
        yield from pair


class _Finder:
    """Knows a graph's tensors by name."""

    def __init__(self, graph: Graph, dtypes: Mapping[int, str]) -> None:
        self.infos = {info.id: info for info in graph.tensors}
        self.dtypes = dtypes
        self.counters = {
            info.name: info.id for info in graph.of_role("buffer") if info.shape == () and dtypes[info.id] == "int64"
        }

    def calls(self, mode: Mode, program: Program) -> Iterator[_Call]:
        """Yield the calls of one program that a layer of torch would make."""
        axes: dict[int, int] = {0: IMAGE_AXES}
        before: Node | None = None
        for node in program.nodes:
            call: _Call | None = None
            if node.op in CONV_OPS:
                call = self.convolution(node)
            elif node.op == LINEAR_OP:
                call = self.linear(node)
            elif node.op == NORM_OP and axes.get(_first(node)) == IMAGE_AXES:
                call = self.batch_norm(node, mode, before)
            if call is not None:
                yield call
            kept = _axes(node, axes)
            if kept is not None:
                axes.update(dict.fromkeys(node.outputs, kept))
            before = node

    def convolution(self, node: Node) -> _Call | None:
        tensors = self.learned(node.args[1:3]) if len(node.args) == 7 and not node.kwargs else None
        spatial = CONV_OPS[node.op]
        if tensors is None:
            return None
        options = [_extents(argument) for argument in node.args[3:]]
        shape = self.infos[tensors["weight"]].shape or ()
        groups = options[3]
        if None in options or not isinstance(groups, int) or len(shape) != spatial + 2:
            return None
        out, inner, *kernel = shape
        words = [str(inner * groups), str(out), _spelt(_extents(Items(tuple(kernel))))]
        names = ("stride", "padding", "dilation", "groups")
        words += [
            f"{name}={_spelt(option)}"
            for name, option, default in zip(names, options, (1, 0, 1, 1), strict=True)
            if option != default
        ]
        return self.call(f"nn.Conv{spatial}d", words, tensors)

    def linear(self, node: Node) -> _Call | None:
        tensors = self.learned(node.args[1:3]) if len(node.args) == 3 and not node.kwargs else None
        shape = self.infos[tensors["weight"]].shape or () if tensors is not None else ()
        if tensors is None or len(shape) != 2:
            return None
        return self.call("nn.Linear", [str(shape[1]), str(shape[0])], tensors)

    def batch_norm(self, node: Node, mode: Mode, before: Node | None) -> _Call | None:
        """Return the call of a layer with statistics, which counts batches in training mode, right before."""
        given = {**dict(zip(BATCH_NORM, node.args, strict=False)), **node.kwargs}
        statistics = {name: given.get(name) for name in STATISTICS}
        affine = {name: given.get(name) for name in ("weight", "bias") if given.get(name) is not None}
        path = self.path(given.get("running_mean"))
        counter = self.counters.get(_joined(path, "num_batches_tracked"))
        if len(affine) == 1 or counter is None or given.get("training") is not (mode == "train"):
            return None
        if mode == "train" and (before is None or not _counts(before, counter)):
            return None
        found = self.of_path(path, {**affine, **statistics})
        momentum, eps = given.get("momentum"), given.get("eps")
        if found is None or not isinstance(momentum, float) or not isinstance(eps, float):
            return None
        shape = self.infos[found["running_mean"]].shape
        if shape is None or len(shape) != 1 or any(self.infos[key].shape != shape for key in found.values()):
            return None
        words = [str(shape[0])]
        words += [f"eps={eps!r}"] if eps != 1e-5 else []
        words += [f"momentum={momentum!r}"] if momentum != 0.1 else []
        words += [] if affine else ["affine=False"]
        reads = (*found.values(), *([counter] if mode == "train" else []))
        return self.call("nn.BatchNorm2d", words, {**found, "num_batches_tracked": counter}, reads)

    def call(self, layer: str, words: list[str], tensors: dict[str, int], reads: tuple[int, ...] = ()) -> _Call | None:
        """Return a call of a layer that is constructed with these words; None where parts of it alone are frozen."""
        learned = [self.infos[key] for key in tensors.values() if self.infos[key].role == "parameter"]
        trainable = {info.trainable for info in learned}
        if len(trainable) > 1:
            return None
        if layer != "nn.BatchNorm2d" and "bias" not in tensors:
            words = [*words, "bias=False"]
        frozen = ".requires_grad_(False)" if trainable == {False} else ""
        made = Layer(f"{layer}({', '.join(words)}){frozen}", tuple(tensors.items()))
        return _Call(made, reads or made.ids)

    def learned(self, arguments: tuple[Arg, ...]) -> dict[str, int] | None:
        """Return the ids of a weight and, where there is one, a bias that stand in one module."""
        weight, bias = arguments
        given = {"weight": weight} if bias is None else {"weight": weight, "bias": bias}
        return self.of_path(self.path(weight), given)

    def of_path(self, path: str | None, given: Mapping[str, Arg]) -> dict[str, int] | None:
        """Return the ids of tensors that a module at `path` registers under these names, None where one does not."""
        found: dict[str, int] = {}
        for name, argument in given.items():
            info = self.infos.get(argument.id) if isinstance(argument, Ref) else None
            role = "buffer" if name.startswith("running") else "parameter"
            if info is None or info.role != role or info.name != _joined(path, name):
                return None
            if self.dtypes[info.id] != "float32":
                return None
            found[name] = info.id
        return found if len(set(found.values())) == len(found) else None

    def path(self, argument: Arg) -> str | None:
        """Return the path of the module that registers a tensor; None for what no module registers."""
        info: TensorInfo | None = self.infos.get(argument.id) if isinstance(argument, Ref) else None
        return info.name.rpartition(".")[0] if info is not None and info.name else None


def _joined(path: str | None, name: str) -> str:
    return f"{path}.{name}" if path else name


def _counts(node: Node, counter: int) -> bool:
    return node.op == COUNT_OP and node.args == (Ref(counter), 1) and not node.kwargs


def _extents(argument: Arg) -> int | str | tuple[int, ...] | None:
    """Return numbers that are the same for all axes as one; None for what is neither numbers nor a way to pad."""
    if argument in ("same", "valid"):
        return str(argument)
    items = argument.items if isinstance(argument, Items) else (argument,)
    numbers = tuple(item for item in items if type(item) is int)
    if not numbers or len(numbers) != len(items):
        return None
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _spelt(extents: int | str | tuple[int, ...] | None) -> str:
    return repr(extents).replace("'", '"')


def _first(node: Node) -> int:
    first = node.args[0] if node.args else None
    return first.id if isinstance(first, Ref) else -1


def _axes(node: Node, axes: Mapping[int, int]) -> int | None:
    """Return how many axes a node's results have, where that is plain to see."""
    if node.op.rpartition(".")[2] not in _KEEPING:
        return None
    learned = node.op in CONV_OPS or node.op == NORM_OP
    found = {axes.get(key) for key in ([_first(node)] if learned else read_ids(node))}
    return next(iter(found)) if len(found) == 1 else None
