"""A loaded model → its graph: warm-up, one snapshot, four traces from it, merged into two programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from grader import kernels
from grader.finding import Span
from grader.graph import Graph, Mode, Module, Program, Symbol, TensorInfo, read_ids, refs
from grader.pictures import noise
from grader.protocol import CaptureJob
from grader.worker import environment, places
from grader.worker.addresses import Addresses
from grader.worker.audit import Audit
from grader.worker.explain import need_of_stand_in, refuse_exception
from grader.worker.merge import Constants, Differs, Merger, refuse
from grader.worker.refusal import Refused
from grader.worker.snapshot import Snapshot, held, snapshot, walk
from grader.worker.stand_ins import given_at, path_of
from grader.worker.tape import Tape
from grader.worker.tensors import repeats, tensors_in
from grader.worker.trace import Raw, Trace, Value, values_in
from grader.worker.watch import Watch

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
            if not repeats(tensor):
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
        given = [value for record in trace.records for value in values_in((record.args, record.kwargs))]
        return {value.leaf for value in [*given, *values_in(trace.output)] if value.leaf is not None}

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
