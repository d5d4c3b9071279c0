"""A loaded model → its graph: warm-up, one snapshot, four traces from it, merged into two programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from grader import kernels, wire
from grader.finding import Span
from grader.graph import Graph, Mode, Module, Program, Role, Symbol, TensorInfo, read_ids, refs
from grader.pictures import noise
from grader.protocol import CaptureJob, Refusal
from grader.worker import environment, places
from grader.worker.addresses import Addresses
from grader.worker.explain import need_of_stand_in, refuse_exception
from grader.worker.merge import Constants, Differs, Merger, refuse
from grader.worker.refusal import Refused
from grader.worker.stand_ins import given_at, path_of
from grader.worker.tape import Audit, Raw, Tape, Trace, Value, Watch

BATCHES = (4, 8)  # two sizes fit any line, a third verifies it; even ones, as some models split a batch
MODES: tuple[Mode, ...] = ("eval", "train")
FIRST_CONSTANT = 1_000_000
FIRST_RESULT = 2_000_000


class Births:
    """Notes where each torch module is constructed: `spans` by the module's address."""

    def __init__(self) -> None:
        self.spans: dict[int, Span] = {}
        self.init = nn.Module.__init__

    def __enter__(self) -> Births:
        spans, init = self.spans, self.init

        def noted(module: nn.Module, *args: Any, **kwargs: Any) -> None:
            span = places.nearest(sys._getframe())
            if span is not None:
                spans[id(module)] = span
            init(module, *args, **kwargs)

        nn.Module.__init__ = noted  # type: ignore[assignment, method-assign]
        return self

    def __exit__(self, *error: Any) -> None:
        nn.Module.__init__ = self.init  # type: ignore[method-assign]


@dataclass
class Slot:
    """A place in a module that holds a tensor, with the tensor and its numbers as they were at the snapshot."""

    holder: dict[str, Any]
    key: str
    tensor: Tensor
    numbers: Tensor
    id: int


@dataclass
class Snapshot:
    """The state of a model, from which every forward starts."""

    slots: list[Slot] = field(default_factory=list)
    infos: list[TensorInfo] = field(default_factory=list)
    leaves: dict[int, Tensor] = field(default_factory=dict)

    def restore(self) -> None:
        """Put every tensor back in its place, with its numbers."""
        with torch.no_grad():
            for slot in self.slots:
                slot.holder[slot.key] = slot.tensor
                slot.tensor.detach().copy_(slot.numbers)
                slot.tensor.grad = None


def walk(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield every registered module once with its path, from the registries themselves: methods may be overridden."""
    seen: set[int] = set()
    stack: list[tuple[str, nn.Module]] = [("", model)]
    while stack:
        path, module = stack.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        yield path, module
        inner = [(f"{path}.{name}".lstrip("."), child) for name, child in module.__dict__["_modules"].items()]
        stack.extend(reversed([(name, child) for name, child in inner if isinstance(child, nn.Module)]))


REGISTRIES: tuple[tuple[Role, str], ...] = (("parameter", "_parameters"), ("buffer", "_buffers"), ("constant", ""))


def held(model: nn.Module) -> Iterator[tuple[Role, str, dict[str, Any], str, Tensor]]:
    """Yield every tensor that a model's modules hold, in every place: its role, its name, and the place itself."""
    for role, registry in REGISTRIES:
        for path, module in walk(model):
            holder = module.__dict__[registry] if registry else module.__dict__
            for key, tensor in holder.items():
                if isinstance(tensor, Tensor) and not nn.parameter.is_lazy(tensor):
                    yield role, f"{path}.{key}".lstrip("."), holder, key, tensor


def refuse_unfit(model: nn.Module) -> None:
    """Refuse a model whose tensors are too many or too large to be graded, or have no numbers, before any is copied."""
    tensors = {id(tensor): (name, tensor) for _, name, _, _, tensor in held(model)}
    total = sum(tensor.numel() for _, tensor in tensors.values())
    if total > wire.MAX_NUMBERS or len(tensors) > wire.MAX_TENSORS:
        name, largest = max(tensors.values(), key=lambda pair: pair[1].numel())
        raise Refused(
            Refusal(
                "limit",
                f"the model has {total:,} numbers in {len(tensors):,} tensors, "
                f"the limits are {wire.MAX_NUMBERS:,} and {wire.MAX_TENSORS:,}",
                why=f"The largest tensor is {name}: {largest.numel():,} numbers.",
                fix="Use fewer and smaller layers.",
            )
        )
    without = next((name for name, tensor in tensors.values() if tensor.device.type == "meta"), None)
    if without is not None:
        message = f"{without} is on the meta device: it has a shape, but no numbers"
        raise Refused(Refusal("capture", message, fix="Construct the model on the CPU."))


CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def lay_out_plainly(model: nn.Module) -> None:
    """Give tensors whose channels lie last in memory the order that a graph has: a random mask follows the order."""
    for _, _, _, _, tensor in held(model):
        last = CHANNELS_LAST.get(tensor.dim())
        if last is not None and tensor.layout == torch.strided and tensor.is_contiguous(memory_format=last):
            numbers = tensor.detach().clone(memory_format=torch.contiguous_format)
            if numbers.stride() != tensor.stride():
                tensor.data = numbers


def snapshot(model: nn.Module) -> Snapshot:
    """Return the tensors of a model, registered and plain attributes, with what they hold now."""
    refuse_unfit(model)
    lay_out_plainly(model)
    taken = Snapshot()
    known: dict[int, int] = {}
    names: dict[int, list[str]] = {}
    for role, name, holder, key, tensor in held(model):
        if id(tensor) not in known:
            known[id(tensor)] = len(known) + 1
            info = TensorInfo(known[id(tensor)], role, name, tuple(tensor.shape), bool(tensor.requires_grad))
            taken.infos.append(info)
            taken.leaves[info.id] = tensor
        identifier = known[id(tensor)]
        names.setdefault(identifier, []).append(name)
        taken.slots.append(Slot(holder, key, tensor, tensor.detach().clone(), identifier))
    taken.infos = [
        TensorInfo(info.id, info.role, info.name, info.shape, info.trainable, tuple(names[info.id][1:]))
        for info in taken.infos
    ]
    return taken


def forward(
    model: nn.Module,
    mode: Mode,
    batch: Tensor,
    seed: int,
    job: CaptureJob,
    *,
    state: Snapshot | None = None,
    rewrite: bool = True,
) -> Any:
    """Run one forward that nothing records, from a snapshot; what student code raises becomes a refusal.

    Without `rewrite` nothing at all stands between the model and torch, and devices are what the model says.
    """
    try:
        with environment.device_rewrite() if rewrite else nullcontext():
            model.train(mode == "train")
            if state is not None:
                state.restore()  # after the change of mode, at which some models change their state
            torch.default_generator.manual_seed(seed)
            return model(batch)
    except Refused:
        raise
    except BaseException as error:  # a student's sys.exit() ends the forward, not the worker's report
        raise Refused(refuse_exception(error, "forward", job)) from None


def warm_up(model: nn.Module, job: CaptureJob) -> Snapshot:
    """Run both modes once, so that lazy modules take their shape, and take the snapshot."""
    kernels.suit(tensor.shape for role, _, _, _, tensor in held(model) if role == "parameter")
    for number, mode in enumerate(MODES):
        forward(model, mode, noise(BATCHES[0], job.input_shape, job.seed + number), job.seed, job)
    taken = snapshot(model)
    kernels.suit(taken.leaves[info.id].shape for info in taken.infos if info.role == "parameter")
    return taken


class Capturer:
    """Makes the traces of one model and merges them."""

    def __init__(self, model: nn.Module, job: CaptureJob, births: dict[int, Span]) -> None:
        self.model = model
        self.job = job
        self.births = births
        self.state = warm_up(model, job)
        self.paths = {id(module): path for path, module in walk(model)}
        self.constants = Constants(FIRST_CONSTANT)
        self.watch = Watch()
        self.addresses = Addresses()
        self.calls: dict[str, int] = {}
        self.custom: dict[Span, None] = {}
        self.outside: dict[int, tuple[Tensor, Tensor]] = {}

    def trace(self, mode: Mode, batch: int, seed: int) -> Trace:
        """Record one forward from the snapshot."""
        batch_images = self.addresses.give(noise(batch, self.job.input_shape, seed), mode)
        for tensor, numbers in self.outside.values():  # state that no module registers: lists of layers, globals
            with torch.no_grad():
                tensor.detach().copy_(numbers)
        tape = Tape({0: batch_images, **self.state.leaves}, self.paths, self.outside)
        try:
            self.model.train(mode == "train")
            self.state.restore()
            torch.default_generator.manual_seed(seed)
            with self.watch.of(tape), Audit(tape) if batch == BATCHES[0] else nullcontext(), tape:
                output = self.model(batch_images)
        except BaseException as error:  # student code may turn our refusal into anything
            if tape.refusal is not None:
                raise Refused(tape.refusal) from None
            if isinstance(error, Refused):
                raise
            raise Refused(refuse_exception(error, "forward", self.job)) from None
        if tape.refusal is not None:
            raise Refused(tape.refusal)
        if path_of(output):
            raise Refused(need_of_stand_in(path_of(output), given_at(path_of(output))))
        for path, count in tape.calls.items():
            self.calls[path] = self.calls.get(path, 0) + count
        if mode == "train":
            self.custom.update(dict.fromkeys([*tape.hooked, *custom_gradients(output)]))
        return Trace(tape.records, encode_output(output, tape), list(self.updates(tape)))

    def updates(self, tape: Tape) -> Iterator[tuple[int, Value]]:
        """Yield the tensors that forward replaced by assignment."""
        for slot in self.state.slots:
            now = slot.holder.get(slot.key)
            if now is not slot.tensor and isinstance(now, Tensor):
                yield slot.id, tape.value_of(now)

    def programs(self) -> dict[Mode, Program]:
        """Return both modes' programs, each from two traces; state counts where either mode reads it."""
        with self.watch:
            traces = {mode: [self.trace(mode, batch, self.seed(mode, batch)) for batch in BATCHES] for mode in MODES}
            used = {leaf for pair in traces.values() for leaf in self.read_leaves(pair[0])}
            return {mode: self.program(mode, [only(trace, used) for trace in traces[mode]], used) for mode in MODES}

    def program(self, mode: Mode, traces: list[Trace], used: set[int]) -> Program:
        """Merge two traces; where these differ, a third tells why."""
        small, large = traces
        merger = Merger(small, large, BATCHES, self.constants, FIRST_RESULT)
        try:
            program = merger.program()
        except Differs as differs:
            self.repeat(mode, small, used)
            refuse(differs, same_batch=False)
        if merger.divides:
            self.repeat(mode, small, used)
        return program

    def repeat(self, mode: Mode, first: Trace, used: set[int]) -> None:
        """Refuse a forward that is another one when it is repeated at the same batch size, on other images."""
        again = only(self.trace(mode, BATCHES[0], self.seed(mode, 50)), used)
        try:
            Merger(first, again, (BATCHES[0], BATCHES[0]), self.constants, FIRST_RESULT).program()
        except Differs as differs:
            refuse(differs, same_batch=True)

    def seed(self, mode: Mode, number: int) -> int:
        """Return another seed for every trace, so that what is the same in two of them does not follow the seed."""
        return self.job.seed + (100 if mode == "eval" else 200) + number

    def read_leaves(self, trace: Trace) -> set[int]:
        given = [value for record in trace.records for value in _values((record.args, record.kwargs))]
        return {value.leaf for value in [*given, *_values(trace.output)] if value.leaf is not None}

    def graph(self, name: str, span: Span | None) -> tuple[Graph, dict[int, Tensor]]:
        """Return the graph and its tensors."""
        programs = self.programs()
        self.state.restore()
        used = {key for program in programs.values() for key in _ids(program)}
        infos = [info for info in self.state.infos if info.role != "constant" or info.id in used]
        tensors = {info.id: self.state.leaves[info.id] for info in infos}
        for key, tensor in self.constants.tensors.items():
            infos.append(TensorInfo(key, "constant", "", tuple(tensor.shape)))
            tensors[key] = tensor
        graph = Graph(
            name,
            (TensorInfo(0, "input", "input"), *infos),
            programs["eval"],
            programs["train"],
            tuple(self.modules()),
            tuple(self.custom),
            span,
        )
        return graph, tensors

    def modules(self) -> Iterator[Module]:
        for path, module in walk(self.model):
            yield Module(path, _public_type(module), self.births.get(id(module)), self.calls.get(path, 0))


def only(trace: Trace, used: set[int]) -> Trace:
    """Return a trace without updates of state that nothing reads."""
    trace.updates = [(kept, value) for kept, value in trace.updates if kept in used]
    return trace


def encode_output(output: Any, tape: Tape) -> Raw:
    """Return what forward returned with its tensors replaced by values; other objects are named by their type."""
    if isinstance(output, Tensor):
        return tape.value_of(output)
    if isinstance(output, dict):
        return [Symbol("dict"), *[encode_output(item, tape) for item in output.values()]]
    if isinstance(output, (tuple, list)):
        return [encode_output(item, tape) for item in output]
    return output if output is None or isinstance(output, (bool, int, float)) else str(type(output).__name__)[:100]


def custom_gradients(output: Any) -> Iterator[Span]:
    """Yield where the backward of a custom autograd function takes part in an output's gradient."""
    stack: list[Any] = [tensor.grad_fn for tensor in tensors_in(output)]
    seen: set[Any] = set()
    while stack:
        step = stack.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        if isinstance(step, torch.autograd.function.BackwardCFunction):
            code = getattr(getattr(getattr(step, "_forward_cls", None), "forward", None), "__code__", None)
            if code is not None and code.co_filename.startswith(places.PREFIX):
                yield Span(code.co_filename.removeprefix(places.PREFIX), code.co_firstlineno)
            else:
                yield Span("", 0)
        stack.extend(previous for previous, _ in step.next_functions)


def tensors_in(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    if isinstance(output, dict):
        output = list(output.values())
    return [tensor for item in output for tensor in tensors_in(item)] if isinstance(output, (tuple, list)) else []


def _values(raw: Raw) -> Iterator[Value]:
    if isinstance(raw, Value):
        yield raw
    elif isinstance(raw, (tuple, list)):
        for item in raw:
            yield from _values(item)
    elif isinstance(raw, dict):
        for item in raw.values():
            yield from _values(item)
    elif isinstance(raw, slice):
        yield from _values([raw.start, raw.stop, raw.step])


def _ids(program: Program) -> Iterator[int]:
    for node in program.nodes:
        yield from read_ids(node)
    yield from refs(program.output)
    for pair in program.updates:
        yield from pair


def _public_type(module: nn.Module) -> str:
    """Return the torch class that a module is, or derives from."""
    base = next((kind for kind in type(module).__mro__ if str(kind.__module__).startswith("torch.nn.")), nn.Module)
    return f"torch.nn.{base.__name__}"
