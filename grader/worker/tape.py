"""The tape: records every torch call that one forward makes, with concrete tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from grader import ops
from grader.finding import Span
from grader.graph import Symbol
from grader.protocol import Refusal
from grader.worker import environment, places
from grader.worker.refusal import Refused

MAX_RECORDS = 20_000

# Ask a tensor about itself, never about its numbers.
METADATA = frozenset(
    "dim size ndimension nelement numel stride is_contiguous is_floating_point is_complex is_signed element_size "
    "storage_offset get_device is_same_size __len__ __hash__ __repr__ __str__ __format__ has_names is_shared is_pinned "
    "is_inference is_tensor is_storage result_type can_cast retain_grad __dir__ _is_view is_conj is_neg "
    "broadcast_shapes _is_zerotensor dim_order is_coalesced".split()
)
METADATA_PROPERTIES = frozenset(
    "shape ndim dtype device layout requires_grad is_leaf is_cuda is_cpu is_meta is_mps is_xpu is_sparse is_quantized "
    "names grad_fn grad itemsize nbytes output_nr retains_grad is_mkldnn is_nested is_vulkan is_sparse_csr is_ipu "
    "is_xla is_mtia is_maia is_ort _version _base _backward_hooks name volatile".split()
)
# Turn numbers of a tensor into Python values.
READERS = frozenset(
    "item tolist numpy __bool__ __int__ __float__ __index__ __complex__ __array__ __contains__ equal allclose "
    "is_nonzero __reduce_ex__ __reversed__ nonzero masked_select unique".split()
)

Raw = Any  # an argument with its tensors replaced by Values


@dataclass(eq=False, slots=True)
class Value:
    """A tensor as the tape knows it. `content` is kept of tensors that came from nowhere, as first seen.

    `learned` tells that it is a parameter, of a layer that no module registers.
    """

    leaf: int | None = None
    content: Tensor | None = None
    span: Span | None = None
    record: Record | None = None
    learned: bool = False


@dataclass(eq=False, slots=True)
class Record:
    """One torch call."""

    op: str
    args: tuple[Raw, ...]
    kwargs: dict[str, Raw]
    outputs: tuple[Value, ...]
    module: str
    grad: bool
    span: Span | None
    random: tuple[Tensor, ...] | None = None


@dataclass(slots=True)
class Trace:
    """What one forward did."""

    records: list[Record]
    output: Raw
    updates: list[tuple[int, Value]] = field(default_factory=list)


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
            self.owned.setdefault(_memory(tensor), key)
        self.alive.append(leaves)
        self.derived.add(_memory(leaves[0]))

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
        if name in FILLS and isinstance(args[0], Tensor):
            self.made_by_fill(args[0])
        raw_args = tuple([self.encode(argument, name) for argument in _with_index(name, args)])
        raw_args = tuple(
            item for item in raw_args if item is not DEVICE and not (name in MOVES and isinstance(item, str))
        )
        raw_kwargs = {key: self.encode(value, name) for key, value in kwargs.items() if key not in PLACEMENT}
        given = _tensors((args, kwargs))
        if any(map(torch._C._functorch.is_functorch_wrapped_tensor, given)):
            message = "torch.func (vmap, grad and others) works on tensors that can't be recorded"
            fix = "Write this part of forward as plain PyTorch on the whole batch."
            self.refuse(Refusal("capture", message, fix=fix, span=places.nearest(sys._getframe())))
        versions = list(map(_version, given))
        result = func(*args, **kwargs)
        found = _tensors(result)
        wrote = [tensor for tensor, version in zip(given, versions, strict=True) if _version(tensor) != version]
        if self.table[name].reads_numbers and any(_memory(tensor) in self.derived for tensor in given):
            self.derived.update(_memory(tensor) for tensor in (*found, *wrote))
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
        memory = _memory(tensor)
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
        short = _short(func)
        if short == "new_tensor":  # takes the type, not the numbers
            return func(*args, **kwargs)
        if short in METADATA or (
            isinstance(short, tuple) and short[0] == "__get__" and short[1] in METADATA_PROPERTIES
        ):
            return func(*args, **kwargs)
        given = _tensors((args, kwargs))
        if short in ("register_hook", "register_post_accumulate_grad_hook"):
            self.hooked.extend(filter(None, [places.nearest(sys._getframe())]))
            return func(*args, **kwargs)
        derived = any(_memory(tensor) in self.derived for tensor in given)
        if short in READERS or short == ("__set__", "requires_grad"):
            if derived and short in READERS:
                self.refuse(self.value_read(str(short)))
            return func(*args, **kwargs)
        learned = derived or any(_memory(tensor) in self.owned for tensor in given)
        if not learned:
            return func(*args, **kwargs)
        self.refuse(self.unsupported(short))

    def value_read(self, name: str) -> Refusal:
        """Say that forward turns an activation into a Python value."""
        shown = {
            "__bool__": "if/and/or/not on a tensor",
            "__float__": "float()",
            "__int__": "int()",
            "__index__": "an index",
        }
        return Refusal(
            "data-dependent",
            f"forward reads the value of an activation in Python: {shown.get(name, f'.{name}()')}",
            why="What the model computes may then depend on the image; a grade is a statement about one computation.",
            fix="Compute with tensors alone (torch.where instead of if); take debugging prints and asserts out.",
            span=places.nearest(sys._getframe()),
        )

    def unsupported(self, short: str | tuple[str, str]) -> Refusal:
        if short == ("__set__", "data"):
            return Refusal(
                "unsupported",
                "forward puts other numbers into a tensor's data",
                why="That reaches past what PyTorch records, so the grader can't follow it.",
                fix="Compute with a changed copy: F.conv2d(x, self.conv.weight * self.mask, self.conv.bias).",
                span=places.nearest(sys._getframe()),
            )
        name = short if isinstance(short, str) else f"{short[1]} ({short[0].strip('_')})"
        return Refusal(
            "unsupported",
            f"the torch function '{name}' is not in the grader's operator table",
            why="Every operator is re-executed by the grader; one that it does not know is never counted as nothing.",
            fix="Use a common operator with the same effect, or report this function so that it is added to the table.",
            span=places.nearest(sys._getframe()),
        )

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
        owner = self.owned.get(_memory(tensor))
        if owner is not None and _same_view(tensor, self.leaves[owner]):
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
FILLS = frozenset(f"torch.Tensor.{name}_" for name in ("uniform", "normal", "exponential", "random", "fill", "zero"))
DEVICE = object()
PLAIN = frozenset((int, float, bool, str, type(None)))
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


class Audit(TorchDispatchMode):
    """Sees the work that reaches torch's kernels behind the tape's back: scripted code, switched-off overrides."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler, three seconds, to exempt this class from it

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if not self.tape.busy and str(func) not in HARMLESS:
            memories = [_memory(tensor) for tensor in _tensors((args, kwargs))]
            if any(memory in self.tape.derived or memory in self.tape.owned for memory in memories):
                self.tape.refuse(
                    Refusal(
                        "capture",
                        f"{str(func).split('.')[1]} ran outside of what can be recorded",
                        why="Scripted or hidden code can't be seen, so the grader can't tell what the model computes.",
                        fix="Write this part of forward as plain PyTorch.",
                        span=places.nearest(sys._getframe()),
                    )
                )
        return func(*args, **(kwargs or {}))


HARMLESS = frozenset(("aten.detach.default", "aten.alias.default", "aten.lift_fresh.default"))


class Watch:
    """Keeps track of which module runs, for the tape that records.

    A change of `nn.Module` reaches each of its some hundred subclasses, so one serves all traces of a model; one of
    `__call__` would be written into every one of them, on as many pages of memory.
    """

    def __init__(self) -> None:
        self.tape: Tape | None = None
        self.call: Callable[..., Any] = nn.Module._call_impl

    def __enter__(self) -> Watch:
        call = self.call

        def tracked(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            tape = self.tape
            if tape is None:
                return call(module, *args, **kwargs)
            path = tape.paths.get(id(module), tape.module)
            tape.calls[path] = tape.calls.get(path, 0) + 1
            tape.modules.append(path)
            try:
                return call(module, *args, **kwargs)
            finally:
                tape.modules.pop()

        nn.Module._call_impl = tracked  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *error: Any) -> None:
        nn.Module._call_impl = self.call  # type: ignore[method-assign]

    @contextmanager
    def of(self, tape: Tape) -> Iterator[None]:
        """Watch for one tape."""
        self.tape = tape
        try:
            yield
        finally:
            self.tape = None


def _memory(tensor: Tensor) -> int:
    try:
        return int(tensor.untyped_storage()._cdata)
    except (RuntimeError, NotImplementedError):  # sparse and wrapped tensors have no storage
        return -id(tensor)


def _version(tensor: Tensor) -> int:
    """Return how often a tensor was written to; of inference mode's tensors torch keeps no count."""
    return 0 if tensor.is_inference() else tensor._version


def _same_view(one: Tensor, other: Tensor) -> bool:
    shape = one.shape == other.shape and one.stride() == other.stride()
    return shape and one.storage_offset() == other.storage_offset() and one.dtype == other.dtype


def _tensors(items: Any) -> list[Tensor]:
    if isinstance(items, Tensor):
        return [items]
    if isinstance(items, dict):
        items = items.values()
    elif not isinstance(items, (tuple, list)):
        return []
    found: list[Tensor] = []
    for item in items:  # most are numbers, and asked for thousands of times
        if type(item) not in PLAIN:
            found += _tensors(item)
    return found


def _short(func: Any) -> str | tuple[str, str]:
    """Return a function's short name; of a property's getter or setter, its name and the property's."""
    name = str(getattr(func, "__name__", type(func).__name__))
    if name in ("__get__", "__set__", "__delete__"):
        owner = getattr(func, "__self__", None)
        inner = getattr(owner, "__name__", None) or getattr(getattr(owner, "fget", None), "__name__", "?")
        return name, str(inner)
    return name
