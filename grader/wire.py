"""Bytes ⇄ graph: what crosses from the untrusted worker, with its version, its caps and its strict decoding.

A message is a 4-byte magic, the length of the JSON part as 8 bytes little-endian, the JSON of a `Message`, and the
tensors as safetensors, named by their ids.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from grader import ops
from grader.finding import Span
from grader.graph import Arg, Graph, Items, Mode, Node, Ref, Size, Slice, Symbol, read_ids, refs
from grader.protocol import Loaded

MAGIC = b"s5g1"
MAX_NODES = 20_000
MAX_TENSORS = 5_000
MAX_NUMBERS = 1 << 24  # over all tensors: sixteen million
MAX_TEXT = 16 * 1024 * 1024  # bytes of the graph without its tensors
MAX_PATH = 4096  # code points of a file's name: it stands in each place, so the results repeat it
MAX_DEPTH = 32  # of nested arguments
MAX_INTEGER = 1 << 53
MAX_SCALE = 1 << 31  # of a size that follows the batch
MAX_PLACE = 1 << 31  # a line or a column
KNOWN_TYPES = frozenset(ops.SYMBOLS[name] for name in ops.DTYPES)
DEVICE = re.compile(r"(cpu|cuda|meta|mps|xpu|hpu|ipu|mtia|vulkan|privateuseone|lazy)(:\d+)?")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON part: the graph, and what the worker reports beside it."""

    version: Literal[1]
    graph: Graph
    loaded: Loaded


class WireError(Exception):
    """Bytes that are not a valid capture."""


def encode(graph: Graph, tensors: Mapping[int, Tensor], loaded: Loaded) -> bytes:
    """Return a graph and its tensors as bytes; tensors are made contiguous, shared memory is written out."""
    text = msgspec.json.encode(Message(1, graph, loaded))
    named = {str(key): tensor.detach().clone(memory_format=torch.contiguous_format) for key, tensor in tensors.items()}
    return MAGIC + struct.pack("<Q", len(text)) + text + safetensors.torch.save(named)


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Return named tensors as bytes."""
    return safetensors.torch.save(
        {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()}
    )


def decode_tensors(data: bytes) -> dict[str, Tensor]:
    """Return named tensors from bytes.

    Raises:
        WireError: the bytes are not safetensors, or hold too much.
    """
    try:
        tensors = safetensors.torch.load(data)
    except Exception as error:  # the library raises its own and several built-in types
        raise WireError(f"the tensors can't be read: {str(error)[:200]}") from None
    # An empty axis counts as one: the other axes of such a tensor can still become large.
    if sum(math.prod(max(extent, 1) for extent in tensor.shape) for tensor in tensors.values()) > MAX_NUMBERS:
        raise WireError(f"the tensors hold more than {MAX_NUMBERS:,} numbers")
    return tensors


def decode(data: bytes) -> tuple[Graph, dict[int, Tensor], Loaded]:
    """Return the graph, its tensors by id, and the worker's notes.

    Raises:
        WireError: anything is out of form, over a cap, unknown or inconsistent.
    """
    if data[:4] != MAGIC or len(data) < 12:
        raise WireError("not a capture")
    length = struct.unpack("<Q", data[4:12])[0]
    if length > len(data) - 12:
        raise WireError("cut short")
    if length > MAX_TEXT:
        raise WireError(f"the graph has {length:,} bytes, the limit is {MAX_TEXT:,}")
    try:
        message = msgspec.json.decode(data[12 : 12 + length], type=Message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"the graph is out of form: {str(error)[:200]}") from None
    tensors = {}
    for name, tensor in decode_tensors(data[12 + length :]).items():
        if len(name) > 9 or not name.isascii() or not name.isdecimal() or str(int(name)) != name:
            raise WireError("a tensor has no proper id")
        if tensor.dtype not in KNOWN_TYPES:
            raise WireError(f"tensor {name} has a type that is not supported")
        if tensor.dim() > ops.MAX_AXES:
            raise WireError(f"tensor {name} has more than {ops.MAX_AXES} axes")
        tensors[int(name)] = tensor
    if not all(map(_is_place, _spans(message))):
        raise WireError("a place is out of range")
    _check_tensors(message.graph, tensors)
    for mode in ("eval", "train"):
        _check_program(message.graph, mode, set(tensors))
    return message.graph, tensors, message.loaded


def _spans(message: Message) -> Iterator[Span | None]:
    graph, loaded = message.graph, message.loaded
    yield from (graph.span, *graph.custom_gradient, loaded.span, *loaded.skipped)
    yield from (module.span for module in graph.modules)
    yield from (node.span for node in (*graph.eval.nodes, *graph.train.nodes))


def _is_place(span: Span | None) -> bool:
    if span is None:
        return True
    numbers = (span.line, span.column, span.end_line, span.end_column)
    return len(span.file) <= MAX_PATH and all(0 <= number <= MAX_PLACE for number in numbers)


def _check_tensors(graph: Graph, tensors: Mapping[int, Tensor]) -> None:
    infos = graph.tensors
    if not infos or infos[0].role != "input" or infos[0].id != 0:
        raise WireError("the first tensor must be the input")
    if len(infos) > MAX_TENSORS:
        raise WireError(f"more than {MAX_TENSORS:,} tensors")
    ids = [info.id for info in infos]
    if len(set(ids)) != len(ids) or any(info.role == "input" for info in infos[1:]):
        raise WireError("tensor ids are not distinct")
    if set(ids[1:]) != set(tensors):
        raise WireError("tensors and their numbers don't match")
    for info in infos[1:]:
        if info.shape != tuple(tensors[info.id].shape):
            raise WireError(f"tensor {info.id} has another shape than stated")


def _check_program(graph: Graph, mode: Mode, known: set[int]) -> None:
    """Every node's operator is in the table, and every tensor it reads exists by then."""
    program = graph.program(mode)
    _check_values(program.output, "the output")
    if len(program.nodes) > MAX_NODES:
        raise WireError(f"more than {MAX_NODES:,} nodes")
    table = ops.table()
    known = known | {0}
    leaves = frozenset(known)
    for index, node in enumerate(program.nodes):
        if node.op not in table:
            raise WireError(f"unknown operator {node.op[:80]!r} in node {index}")
        _check_arguments(node, index)
        reads = read_ids(node)
        if not known.issuperset(reads):
            raise WireError(f"node {index} reads a tensor that does not exist")
        if any(key in known and key not in reads for key in node.outputs) or any(key < 0 for key in node.outputs):
            raise WireError(f"node {index} claims to return a tensor that it was not given")
        known.update(node.outputs)
    if not known.issuperset(refs(program.output)) or not known.issuperset(taken for _, taken in program.updates):
        raise WireError("the output does not exist")
    if any(kept not in leaves or kept == 0 for kept, _ in program.updates):
        raise WireError("an update of a tensor that the graph does not have")


def _check_arguments(node: Node, index: int) -> None:
    for argument in (*node.args, *node.kwargs.values()):
        _check_values(argument, f"node {index}")
    symbols = {item.name for argument in (*node.args, *node.kwargs.values()) for item in _symbols(argument)}
    if node.op.endswith((".view", ".view_as")) and symbols:
        raise WireError(f"node {index} views numbers as another type")


def _check_values(argument: Arg, place: str, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise WireError(f"{place} has arguments nested too deeply")
    if argument is None or isinstance(argument, Ref):
        return  # most are
    if isinstance(argument, int) and abs(argument) > MAX_INTEGER:
        raise WireError(f"{place} has an integer out of range")
    if isinstance(argument, str) and DEVICE.fullmatch(argument):
        raise WireError(f"{place} names a device")
    if isinstance(argument, Size) and not is_size(argument):
        raise WireError(f"{place} has an integer out of range")
    if isinstance(argument, float) and not math.isfinite(argument):
        raise WireError(f"{place} has a number that is not finite")
    if isinstance(argument, Symbol) and argument.name not in ops.SYMBOLS:
        raise WireError(f"{place} has an unknown symbol")
    if isinstance(argument, Items):
        for item in argument.items:
            _check_values(item, place, depth + 1)
    if isinstance(argument, Slice):
        for part in (argument.start, argument.stop, argument.step):
            _check_values(part, place, depth + 1)


def is_size(size: Size) -> bool:
    """Tell whether the numbers of a size are in range."""
    return max(abs(size.scale), abs(size.offset)) <= MAX_SCALE and 1 <= size.divisor <= MAX_SCALE


def _symbols(argument: Arg) -> Iterator[Symbol]:
    if isinstance(argument, Symbol):
        yield argument
    elif isinstance(argument, Items):
        for item in argument.items:
            yield from _symbols(item)
