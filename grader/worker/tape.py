"""The tape: records every torch call that one forward makes, with concrete tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from grader import ops
from grader.finding import Span
from grader.graph import Symbol
from grader.protocol import Refusal
from grader.worker import environment, places
from grader.worker.refusal import Refused
from grader.worker.tensors import PLAIN, memory_of, same_view, tensors_in, version_of
from grader.worker.trace import Raw, Record, Value
from grader.worker.unrecorded import (
    METADATA,
    METADATA_PROPERTIES,
    READERS,
    shaped_by_values,
    short_name,
    unsupported,
    value_read,
)

MAX_RECORDS = 20_000


class Tape(TorchFunctionMode):
    """Records one forward. `leaves` are the tensors that exist before it, by their ids; 0 is the input.

    `outside` receives tensors that no recorded call made, by address, with their numbers at first sight.
    """

    def __init__(
        self, leaves: dict[int, Tensor], paths: dict[int, str], outside: dict[int, tuple[Tensor, Tensor]]
    ) -> None:
        super().__init__()
        self.names = ops.vocabulary()
        self.table = ops.table()
        self.records: list[Record] = []
        self.values: dict[int, Value] = {}
        self.alive: list[Any] = []  # values are told apart by address: nothing may be freed
        self.derived: set[int] = set()  # memory whose numbers follow from the input
        self.owned: dict[int, int] = {}  # memory of leaves
        self.leaves = leaves
        self.outside = outside
        self.paths = paths
        self.calls: dict[str, int] = {}
        self.modules: list[str] = []
        self.busy = False
        self.refusal: Refusal | None = None
        self.hooked: list[Span] = []
        for key, tensor in leaves.items():
            self.values[id(tensor)] = Value(leaf=key)
            self.owned.setdefault(memory_of(tensor), key)
        self.alive.append(leaves)
        self.derived.add(memory_of(leaves[0]))

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        args, kwargs = environment.to_cpu(func, args, kwargs)
        busy, self.busy = self.busy, True
        try:
            name = self.names.get(func)
            if name == "torch.Tensor.cuda":
                return args[0]
            if name is not None and kwargs.get("generator") is None:
                return self.record(name, func, args, kwargs)
            return self.other(func, args, kwargs)
        finally:
            self.busy = busy

    def record(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call that is in the operator table, and write it down."""
        grad = torch.is_grad_enabled()
        if name == "torch.nn.functional.one_hot" and kwargs.get("num_classes", *args[1:2] or (-1,)) == -1:
            self.refuse(shaped_by_values())
        if name in FILLS and isinstance(args[0], Tensor):
            self.made_by_fill(args[0])
        raw_args = tuple([self.encode(argument, name) for argument in _with_index(name, args)])
        raw_args = tuple(
            item for item in raw_args if item is not DEVICE and not (name in MOVES and isinstance(item, str))
        )
        raw_kwargs = {key: self.encode(value, name) for key, value in kwargs.items() if key not in PLACEMENT}
        given = tensors_in((args, kwargs))
        if any(map(torch._C._functorch.is_functorch_wrapped_tensor, given)):
            message = "torch.func (vmap, grad and others) works on tensors that can't be recorded"
            fix = "Write this part of forward as plain PyTorch on the whole batch."
            self.refuse(Refusal("capture", message, fix=fix, span=places.nearest(sys._getframe())))
        versions = list(map(version_of, given))
        result = func(*args, **kwargs)
        found = tensors_in(result)
        wrote = [tensor for tensor, version in zip(given, versions, strict=True) if version_of(tensor) != version]
        if self.table[name].reads_numbers and any(memory_of(tensor) in self.derived for tensor in given):
            self.derived.update(memory_of(tensor) for tensor in (*found, *wrote))
        kind = self.table[name].kind
        if not wrote and (not found or (kind == "copy" and all(id(tensor) in self.values for tensor in found))):
            return result  # neither made nor wrote a tensor
        random = kind == "random"
        kept = tuple(tensor.detach().clone() for tensor in found) if random else None
        record = Record(name, raw_args, raw_kwargs, (), self.module, grad, places.nearest(sys._getframe()), kept)
        record.outputs = tuple([self.settle(tensor, record) for tensor in found])
        self.records.append(record)
        if len(self.records) > MAX_RECORDS:
            message = f"one forward makes more than {MAX_RECORDS:,} torch calls"
            fix = "Replace the Python loop by one tensor operation."
            self.refuse(Refusal("limit", message, span=record.span, fix=fix))
        return result

    def made_by_fill(self, tensor: Tensor) -> None:
        """Record where a tensor comes from that is overwritten whole: `torch.Tensor(2, 3).uniform_()`.

        That constructor can't be recorded, and what it leaves in memory is different each time.
        """
        memory = memory_of(tensor)
        if id(tensor) in self.values or tensor._base is not None or memory in self.owned or memory in self.derived:
            return
        shape, dtype = [int(extent) for extent in tensor.shape], str(tensor.dtype).removeprefix("torch.")
        span = places.nearest(sys._getframe())
        made = Record("torch.zeros", (shape,), {"dtype": Symbol(dtype)}, (), self.module, torch.is_grad_enabled(), span)
        made.outputs = (self.settle(tensor, made),)
        self.records.append(made)

    def refuse(self, refusal: Refusal) -> NoReturn:
        """End the forward; the refusal is kept too, as student code may catch everything."""
        self.refusal = self.refusal or refusal
        raise Refused(refusal)

    def settle(self, tensor: Tensor, record: Record) -> Value:
        """Return the value of a result; one that was there before stays the same value."""
        known = self.values.get(id(tensor))
        if known is None:
            known = self.values[id(tensor)] = Value(record=record)
            self.alive.append(tensor)
        return known

    def other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run a call that is not in the table, if nothing of it can matter; refuse it otherwise."""
        short = short_name(func)
        if short == "new_tensor":  # takes the type, not the numbers
            return func(*args, **kwargs)
        if short in METADATA or (
            isinstance(short, tuple) and short[0] == "__get__" and short[1] in METADATA_PROPERTIES
        ):
            return func(*args, **kwargs)
        given = tensors_in((args, kwargs))
        if short in ("register_hook", "register_post_accumulate_grad_hook"):
            self.hooked.extend(filter(None, [places.nearest(sys._getframe())]))
            return func(*args, **kwargs)
        derived = any(memory_of(tensor) in self.derived for tensor in given)
        if short in READERS or short == ("__set__", "requires_grad"):
            if derived and short in READERS:
                self.refuse(value_read(str(short)))
            return func(*args, **kwargs)
        learned = derived or any(memory_of(tensor) in self.owned for tensor in given)
        if not learned:
            return func(*args, **kwargs)
        self.refuse(unsupported(short))

    @property
    def module(self) -> str:
        return self.modules[-1] if self.modules else ""

    def encode(self, argument: Any, op: str) -> Raw:
        """Return an argument with its tensors replaced by values and its other parts reduced to plain data."""
        kind = type(argument)
        if kind in PLAIN:
            return argument
        if isinstance(argument, Tensor):
            return self.value_of(argument)
        if isinstance(argument, (tuple, list)):
            return [self.encode(item, op) for item in argument]
        encoder = next((encoder for base, encoder in ENCODERS if isinstance(argument, base)), None)
        if encoder is not None:
            return encoder(self, argument, op)
        module = sys.modules.get("numpy")
        if module is not None and isinstance(argument, (module.generic, module.ndarray)):
            return (
                argument.item() if isinstance(argument, module.generic) else self.value_of(torch.from_numpy(argument))
            )
        message = f"{op.rpartition('.')[2]} is given a {kind.__name__}, which can't be written into a graph"
        self.refuse(Refusal("unsupported", message, span=places.nearest(sys._getframe())))

    def value_of(self, tensor: Tensor) -> Value:
        """Return the value of a tensor; one that no recorded call made is kept as it is now."""
        known = self.values.get(id(tensor))
        if known is not None:
            return known
        owner = self.owned.get(memory_of(tensor))
        if owner is not None and same_view(tensor, self.leaves[owner]):
            value = Value(leaf=owner)
        elif owner is not None:
            message = "a view of a parameter or buffer is used that was made outside forward"
            fix = "Keep the parameter itself as an attribute and take the view inside forward."
            self.refuse(Refusal("capture", message, fix=fix, span=places.nearest(sys._getframe())))
        else:
            content = tensor.detach().clone()
            self.outside.setdefault(id(tensor), (tensor, content))
            learned = isinstance(tensor, nn.Parameter)
            value = Value(content=content, span=places.nearest(sys._getframe()), learned=learned)
        self.values[id(tensor)] = value
        self.alive.append(tensor)
        return value


def _with_index(name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with a list of numbers as an index put in a tuple: x[[0, 1]] is x[[0, 1],], not x[0, 1]."""
    if name not in INDEXING or len(args) < 2 or not isinstance(args[1], (list, range)):
        return args
    plain = all(type(item) in (int, bool) for item in args[1])
    return (args[0], (args[1],), *args[2:]) if plain else args


INDEXING = frozenset(("torch.Tensor.__getitem__", "torch.Tensor.__setitem__"))
FILLS = frozenset(
    f"torch.Tensor.{name}_"
    for name in "uniform normal exponential random bernoulli cauchy log_normal geometric fill zero".split()
)
DEVICE = object()
PLACEMENT = frozenset(("device", "pin_memory", "layout", "generator", "_stacklevel"))
MOVES = frozenset(("torch.Tensor.to", "torch.Tensor.cpu", "torch.Tensor.cuda"))

ENCODERS: tuple[tuple[Any, Callable[[Tape, Any, str], Raw]], ...] = (
    (slice, lambda tape, item, op: slice(*[tape.encode(part, op) for part in (item.start, item.stop, item.step)])),
    (type(Ellipsis), lambda tape, item, op: Symbol("...")),
    ((torch.dtype, torch.memory_format, torch.layout), lambda tape, item, op: Symbol(str(item).removeprefix("torch."))),
    (torch.device, lambda tape, item, op: DEVICE),
    (bool, lambda tape, item, op: bool(item)),
    (int, lambda tape, item, op: int(item)),
    (float, lambda tape, item, op: float(item)),
    (range, lambda tape, item, op: list(item)),
)
