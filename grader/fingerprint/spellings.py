"""Operators and their arguments as one spelling, whichever of torch's a submission uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grader.facts import Step, integers, named_arguments
from grader.graph import Arg, Items, Node, Ref, Size, Slice, Symbol
from grader.kinds import plain, signature
from grader.layout import axis_order

SYNONYMS: dict[str, str] = {
    **dict.fromkeys(("multiply", "__rmul__"), "mul"),
    **dict.fromkeys(("divide", "true_divide", "__rdiv__", "__rtruediv__"), "div"),
    **dict.fromkeys(("subtract", "rsub", "__rsub__"), "sub"),
    **dict.fromkeys(("__pow__", "__ipow__", "__rpow__"), "pow"),
    **dict.fromkeys(("concat", "concatenate"), "cat"),
    **dict.fromkeys(("__matmul__", "__rmatmul__", "mm", "bmm"), "matmul"),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT"), "permute"),
    "__radd__": "add",
    "absolute": "abs",
    "negative": "neg",
    "clip": "clamp",
    "log_sigmoid": "logsigmoid",
    "expit": "sigmoid",
    "native_batch_norm": "batch_norm",
}

COMMUTATIVE = frozenset("add mul maximum minimum fmax fmin eq ne logical_and logical_or logical_xor".split())

# Change nothing that a graph is recognised by: where numbers are kept, and axes of extent 1.
UNTOLD = frozenset(("inplace", "_stacklevel", "keepdim", "dtype", "memory_format"))

# What parameters are where nobody gives them, by the operator's kind or name; None and False are always left out.
DEFAULTS: dict[str, dict[str, str]] = {
    "conv": {"stride": "1", "padding": "0", "dilation": "1", "groups": "1", "output_padding": "0"},
    "avg-pool": {"padding": "0", "count_include_pad": "1"},
    "max-pool": {"padding": "0", "dilation": "1"},
    "batch-norm": {"momentum": "0.1", "eps": "1e-05"},
    "norm": {"momentum": "0.1", "eps": "1e-05", "use_input_stats": "1"},
    "dropout": {"p": "0.5"},
    "leaky_relu": {"negative_slope": "0.01"},
    "elu": {"alpha": "1"},
    "celu": {"alpha": "1"},
    "gelu": {"approximate": "none"},
    "hardtanh": {"min_val": "-1", "max_val": "1"},
    "softplus": {"beta": "1", "threshold": "20"},
    "add": {"alpha": "1"},
    "sub": {"alpha": "1"},
}

# What the checks have no need to know the names of.
POSITIONAL: dict[str, tuple[str, ...]] = {
    "leaky_relu": ("input", "negative_slope", "inplace"),
    "elu": ("input", "alpha", "inplace"),
    "celu": ("input", "alpha", "inplace"),
    "hardtanh": ("input", "min_val", "max_val", "inplace"),
    "softplus": ("input", "beta", "threshold"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    **dict.fromkeys(("add", "mul"), ("input", "other")),
    **dict.fromkeys(("relu", "relu6", "silu", "mish", "selu", "hardswish", "hardsigmoid"), ("input", "inplace")),
}

PER_AXIS = frozenset(("kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"))
AXES = frozenset(("dim", "dims"))


def canonical_name(short: str) -> str:
    """Return an operator's name, the same for all its spellings."""
    return SYNONYMS.get(plain(short), plain(short))


def arguments(node: Node, name: str) -> dict[str, Arg]:
    """Return a node's arguments by their parameters' names, or by their positions where no name is known."""
    names = POSITIONAL.get(name) or signature(node.op)
    found = {names[place] if place < len(names) else str(place): value for place, value in enumerate(node.args)}
    if not node.kwargs:
        return found
    found |= named_arguments(node)
    order = {name: place for place, name in enumerate(names)}
    return {name: found[name] for name in sorted(found, key=lambda name: (order.get(name, len(order)), name))}


def attributes(step: Step, name: str, given: Mapping[str, Arg], batch: int) -> tuple[str, ...]:
    """Return what an operator is told beside its tensors, as 'stride 2'; each tensor leaves an '@' in its place."""
    if step.kind in ("reshape", "expand"):
        return (f"to {told(without_batch(step.shapes[0], batch))}",)
    rank = max((len(operand.shape) for operand in step.operands), default=0)
    if step.kind == "permute":
        order = axis_order(step.node, rank)
        return (step.short if order is None else told(order),)
    found = {key: _told_as(key, value, rank) for key, value in given.items() if key not in UNTOLD}
    if step.kind == "softmax":
        found.setdefault("dim", "0" if rank in (0, 1, 3) else "1")
    if step.kind in ("avg-pool", "max-pool") and found.get("stride") == found.get("kernel_size"):
        found.pop("stride", None)  # the default
    if found.get("padding") in ("same", "valid"):
        found["padding"] = _padding(step, found["padding"])
    defaults = DEFAULTS.get(step.kind) or DEFAULTS.get(name, {})
    return tuple(f"{key} {text}" for key, text in found.items() if text and defaults.get(key) != text)


def _padding(step: Step, given: str) -> str:
    """Return the numbers that a convolution's 'same' or 'valid' stands for; 'same' where they differ between sides."""
    weight = step.operand("weight")
    dilations = integers(step.argument("dilation")) or (1,)
    if given == "valid" or weight is None:
        return "0"
    kernel = weight.shape[2:]
    spread = [(extent - 1) * dilation for extent, dilation in zip(kernel, dilations * len(kernel), strict=False)]
    return "same" if any(cells % 2 for cells in spread) else told([cells // 2 for cells in spread])


def _told_as(name: str, value: Arg, rank: int) -> str:
    """Return an argument as text; '' for one that says nothing."""
    if name in PER_AXIS and (numbers := integers(value)):
        return told(numbers)
    if name in AXES and rank and (numbers := integers(value)):
        return ",".join(str(axis) for axis in sorted(number % rank for number in numbers))
    return _text(value)


def told(numbers: Sequence[int]) -> str:
    """Return extents as text; ones that are all the same, as '3'."""
    return str(numbers[0]) if numbers and len(set(numbers)) == 1 else ",".join(map(str, numbers))


def without_batch(shape: Sequence[int], batch: int) -> tuple[int, ...]:
    """Return a shape for one image, without axes of extent 1."""
    rest = shape[1:] if shape and shape[0] == batch else shape
    return tuple(extent for extent in rest if extent != 1)


def _text(value: Arg) -> str:
    if isinstance(value, Ref):
        return "@"
    if value is None or value is False:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:.9g}"
    if isinstance(value, Size):
        return f"{value.scale}B+{value.offset}/{value.divisor}"
    if isinstance(value, Slice):
        return ":".join(map(_text, (value.start, value.stop, value.step)))
    if isinstance(value, Items):
        return f"[{','.join(map(_text, value.items))}]"
    return value.name if isinstance(value, Symbol) else value
