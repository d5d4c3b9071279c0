"""Nodes of a graph as Python expressions: each operator in the spelling that people use.

Whatever a submission had a part in stands here as a number, a string literal or a name out of a table: nothing of it
can become code.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterable, Mapping

from grader.graph import Arg, Items, Node, Ref, Size, Slice, Symbol

BATCH = "n"  # the variable that holds the batch size
WIDTH = 80  # columns of arguments beyond which each gets a line
NAMESPACES = {"torch.nn.functional": "F"}
METHODS = "torch.Tensor"

# Uninitialised memory differs between runs: the grader fills it with zeros, and so does the source.
EMPTY = {"torch.empty": "torch.zeros", "torch.empty_like": "torch.zeros_like"}
EMPTY_METHODS = {"new_empty": "new_zeros"}

PROPERTIES = frozenset("T mT H mH data real".split())
INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "matmul": "@",
    "__matmul__": "@",
    "__pow__": "**",
    "__floordiv__": "//",
    "gt": ">",
    "ge": ">=",
    "lt": "<",
    "le": "<=",
    "eq": "==",
    "ne": "!=",
    "__and__": "&",
    "__or__": "|",
    "__xor__": "^",
}
REFLECTED = {
    "__rsub__": "-",
    "__rdiv__": "/",
    "__rtruediv__": "/",
    "__rpow__": "**",
    "__rmatmul__": "@",
    "__rfloordiv__": "//",
}
IN_PLACE = {"add_": "+=", "sub_": "-=", "mul_": "*=", "div_": "/="}

# Return a sequence even where it holds one tensor alone; the second: a pair whose other half may be None.
SEQUENCES = frozenset(
    "broadcast_tensors chunk dsplit hsplit meshgrid split split_with_sizes tensor_split unbind unsafe_chunk "
    "unsafe_split vsplit".split()
)
PAIRS = frozenset(("multi_head_attention_forward",))

# Arguments that say what holds anyway: by name for all operators, and by place for some.
UNSAID: dict[str, Arg] = {
    "stride": None,
    "inplace": False,
    "ceil_mode": False,
    "return_indices": False,
    "count_include_pad": True,
    "divisor_override": None,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "dtype": None,
}
_CONV: dict[int, Arg] = {2: None, 3: 1, 4: 0, 5: 1, 6: 1}
_AVG_POOL: dict[int, Arg] = {3: 0, 4: False, 5: True, 6: None}
_MAX_POOL: dict[int, Arg] = {3: 0, 4: 1, 5: False, 6: False}
UNSAID_PLACES: dict[str, dict[int, Arg]] = {
    **{f"torch.nn.functional.conv{axes}d": _CONV for axes in (1, 2, 3)},
    **{f"torch.nn.functional.avg_pool{axes}d": _AVG_POOL for axes in (1, 2, 3)},
    **{f"torch.nn.functional.max_pool{axes}d": _MAX_POOL for axes in (1, 2, 3)},
    **{f"torch.nn.functional.dropout{axes}": {3: False} for axes in ("", "1d", "2d", "3d")},
    "torch.nn.functional.relu": {1: False},
}

SYMBOLS = {
    "...": "...",
    "inf": 'float("inf")',
    "-inf": 'float("-inf")',
    "nan": 'float("nan")',
    "dict": '"dict"',
    "self.training": "self.training",
    "not self.training": "not self.training",
}
_NAME = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_OPERATOR = re.compile(rf"torch(\.{_NAME.pattern})+")

Named = Callable[[int], str]  # the expression for a tensor, by its id


def call(node: Node, named: Named) -> str:
    """Return the expression that makes a node's call."""
    if not _OPERATOR.fullmatch(node.op):
        raise ValueError(f"{node.op!r} is no operator")
    namespace, _, short = node.op.rpartition(".")
    if namespace == METHODS and node.args and isinstance(node.args[0], Ref):
        return _method(short, node, named)
    function = EMPTY.get(node.op, f"{NAMESPACES.get(namespace, namespace)}.{short}")
    return f"{function}({_arguments(node, node.args, named)})"


def in_place(node: Node, target: str, named: Named) -> str | None:
    """Return the statement `x += y` for a call that does that, None for any other."""
    namespace, _, short = node.op.rpartition(".")
    sign = IN_PLACE.get(short) if namespace == METHODS else None
    if sign is None or not _is_binary(node) or not target.isidentifier():
        return None
    return f"{target} {sign} {value(node.args[1], named)}"


def targets(node: Node, names: Iterable[str]) -> str:
    """Return what a call's result is assigned to, so that each name gets its tensor."""
    joined = ", ".join(names)
    short = node.op.rpartition(".")[2]
    if len(node.outputs) > 1:
        return joined
    return f"({joined},)" if short in SEQUENCES else f"{joined}, _" if short in PAIRS else joined


def value(argument: Arg, named: Named) -> str:
    """Return the expression of an argument."""
    if isinstance(argument, Ref):
        return named(argument.id)
    if isinstance(argument, Size):
        return _size(argument)
    if isinstance(argument, Items):
        return _sequence([value(item, named) for item in argument.items])
    if isinstance(argument, Slice):
        return f"slice({', '.join(value(part, named) for part in _parts(argument))})"
    if isinstance(argument, Symbol):
        return _symbol(argument.name)
    return number(argument) if isinstance(argument, float) else repr(argument)


def result(output: Arg, named: Named) -> str:
    """Return the expression of what forward returns; of a mapping the graph has kept the tensors, not their keys."""
    if isinstance(output, Items):
        if output.items[:1] == (Symbol("dict"),):
            pairs = [f"{key}: {result(item, named)}" for key, item in enumerate(output.items[1:])]
            return f"{{{', '.join(pairs)}}}"
        return _sequence([result(item, named) for item in output.items])
    return value(output, named)


def number(of: float) -> str:
    """Return a number as it is written in Python, to the bit."""
    if isinstance(of, float) and not math.isfinite(of):
        return SYMBOLS[str(of)]
    return repr(of)


def sizes(argument: Arg) -> bool:
    """Tell whether an argument follows the batch size."""
    if isinstance(argument, Items):
        return any(map(sizes, argument.items))
    return any(map(sizes, _parts(argument))) if isinstance(argument, Slice) else isinstance(argument, Size)


def _method(short: str, node: Node, named: Named) -> str:
    receiver = value(node.args[0], named)
    if short in PROPERTIES:
        return f"{receiver}.{short}"
    if short == "__getitem__" and len(node.args) == 2:
        return f"{receiver}[{_index(node.args[1], named)}]"
    if short == "__setitem__" and len(node.args) == 3:
        return f"{receiver}[{_index(node.args[1], named)}] = {value(node.args[2], named)}"
    if _is_binary(node) and (short in INFIX or short in REFLECTED):
        other = _operand(node.args[1], named)
        return f"{receiver} {INFIX[short]} {other}" if short in INFIX else f"{other} {REFLECTED[short]} {receiver}"
    return f"{receiver}.{EMPTY_METHODS.get(short, short)}({_arguments(node, node.args[1:], named, skipped=1)})"


def _is_binary(node: Node) -> bool:
    """Tell whether a call has a tensor and one more tensor or number, so that it can stand around an operator sign."""
    return len(node.args) == 2 and not node.kwargs and isinstance(node.args[1], (Ref, Size, int, float))


def _operand(argument: Arg, named: Named) -> str:
    text = value(argument, named)
    return f"({text})" if " " in text or text.startswith("-") else text


def _arguments(node: Node, args: tuple[Arg, ...], named: Named, skipped: int = 0) -> str:
    """Return the arguments of a call, on lines of their own where they are long; what holds anyway is left out."""
    given = list(args)
    unsaid = UNSAID_PLACES.get(node.op, {})
    while given and _is_unsaid(given[-1], unsaid, len(given) - 1 + skipped):
        given.pop()
    texts = [value(argument, named) for argument in given]
    odd: list[str] = []
    for name, argument in node.kwargs.items():
        text = value(argument, named)
        if _is_unsaid(argument, UNSAID, name):
            continue
        if _NAME.fullmatch(name) and not keyword.iskeyword(name):
            texts.append(f"{name}={text}")
        else:
            odd.append(f"{name!r}: {text}")
    texts += [f"**{{{', '.join(odd)}}}"] if odd else []
    line = ", ".join(texts)
    if len(line) <= WIDTH:
        return line
    return "\n" + "".join(f"    {text},\n" for text in texts)


def _is_unsaid(argument: Arg, table: Mapping[int, Arg] | Mapping[str, Arg], key: int | str) -> bool:
    """Tell whether an argument, or each of a sequence, is what it would be by itself."""
    if key not in table:
        return False
    default = table[key]  # type: ignore[index]  # the keys of a table are of one type
    items = argument.items if isinstance(argument, Items) and argument.items else (argument,)
    return all(type(item) is type(default) and item == default for item in items)


def _index(argument: Arg, named: Named) -> str:
    """Return what stands between the brackets of `x[…]`."""
    if not isinstance(argument, Items):
        return _subscript(argument, named)
    if not argument.items:
        return "()"
    comma = "," if len(argument.items) == 1 else ""
    return ", ".join(_subscript(item, named) for item in argument.items) + comma


def _subscript(argument: Arg, named: Named) -> str:
    if isinstance(argument, Items):
        return f"[{', '.join(value(item, named) for item in argument.items)}]"
    if isinstance(argument, Slice):
        start, stop, step = ("" if part is None else value(part, named) for part in _parts(argument))
        return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"
    return value(argument, named)


def _parts(of: Slice) -> tuple[Arg, Arg, Arg]:
    return (of.start, of.stop, of.step)


def _sequence(texts: list[str]) -> str:
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def _size(size: Size) -> str:
    text = BATCH if size.scale == 1 else f"{size.scale} * {BATCH}"
    if size.offset:
        text = f"{text} {'-' if size.offset < 0 else '+'} {abs(size.offset)}"
    if size.divisor == 1:
        return text
    return f"{text} // {size.divisor}" if text == BATCH else f"({text}) // {size.divisor}"


def _symbol(name: str) -> str:
    """Return the expression of a symbol: those that are not in the table are names of torch, such as float32."""
    if name in SYMBOLS:
        return SYMBOLS[name]
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no symbol")
    return f"torch.{name}"
