"""Hostile input for the tests of what reads it: real captures and real rules files, changed in ways that matter."""

from __future__ import annotations

import json
import math
import re
import struct
import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
import yaml
from hypothesis import strategies as st
from support import HEADER, capture_text

from grader import cost, ops, wire
from grader.graph import Mode
from grader.protocol import Probe
from grader.replay import Replay, ReplayError, tensors_in
from grader.rules import default_path

Draw = Callable[[st.SearchStrategy[Any]], Any]
Keys = tuple[Any, ...]
Junk = Callable[[Keys, Any], st.SearchStrategy[Any]]  # the kind of a place, and what stands there → what to put there


# Trees: what JSON and YAML hold, changed at any place.

WORDS = st.text(max_size=4) | st.sampled_from(
    ["", "a", "\0", "\ud800", "é", "\u2028", "x" * 3000, "id", "type", "-1", "01"]
)
NUMBERS = st.sampled_from(
    [
        0, 1, -1, 2, 3, 8, 64, 1 << 31, 1 << 53, (1 << 53) + 1, (1 << 63) - 1, 1 << 63, 1 << 64, -(1 << 63), 1 << 70,
        10**400, 0.5, -0.0, 1e-320, 1e308, math.nan, math.inf, -math.inf,
    ]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | NUMBERS | st.integers(-3, 40) | WORDS


def places(tree: Any) -> dict[Keys, list[Keys]]:
    """Return the ways to all nodes by kind: those that differ in list positions alone are alike, so none is rare."""
    found: dict[Keys, list[Keys]] = {(): [()]}
    stack: list[tuple[Any, Keys, Keys]] = [(tree, (), ())]
    while stack:
        node, way, kind = stack.pop()
        inside = [(key, key) for key in node] if isinstance(node, dict) else []
        inside += [(key, "*") for key in range(len(node))] if isinstance(node, list) else []
        for key, label in inside:
            found.setdefault((*kind, label), []).append((*way, key))
            stack.append((node[key], (*way, key), (*kind, label)))
    return found


def at(tree: Any, way: Keys) -> Any:
    for key in way:
        tree = tree[key]
    return tree


def copied(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


def changed(draw: Draw, tree: Any, junk: Junk, *, loose: bool = True, words: st.SearchStrategy[str] = WORDS) -> Any:
    """Return the tree with one node replaced, by junk or by another node, or left out, or put in twice.

    One that is not loose keeps the keys of mappings, and takes other nodes from places of the same name. `words` are
    for new keys.
    """
    found = places(tree)
    kind = draw(st.sampled_from(list(found)))
    way = draw(st.sampled_from(found[kind]))
    if not way:
        return copied(draw(junk(kind, tree))) if loose and draw(st.integers(0, 9)) == 0 else tree
    parent, key = at(tree, way[:-1]), way[-1]
    how = draw(st.sampled_from(["junk", "junk", "other", "other", "without", "twice"]))
    if how == "without" and (loose or isinstance(parent, list)):
        del parent[key]
    elif how == "twice" and isinstance(parent, list):
        parent.insert(key, copied(parent[key]))
    elif how == "twice" and loose:
        parent[draw(words)] = copied(parent[key])
    elif how == "other":
        alike = [other for other in found if loose or other[-1:] == kind[-1:]]
        parent[key] = copied(at(tree, draw(st.sampled_from(found[draw(st.sampled_from(alike))]))))
    else:
        parent[key] = copied(draw(junk(kind, parent[key])))
    return tree


# Captures

SHAPE = (1, 8, 8)
SUBMISSIONS = (
    """
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Conv2d(4, 10, 1)
    def forward(self, x):
        x = self.drop(F.relu(self.norm(self.conv(x))))
        return F.log_softmax(self.last(x).mean((2, 3)), dim=1)
""",
    """
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(144, 10)
        self.register_buffer("scale", torch.ones(1, 4, 1, 1))
    def forward(self, x):
        x = self.conv(x)
        x = torch.cat([x[:, :2], 2 * x[:, 2:]], dim=1).to(torch.float64)
        y = torch.zeros_like(x)
        y[..., 0] = x[..., 0]
        a, b = (x + y).mul_(self.scale).float().chunk(2, 1)
        return self.fc(torch.stack([a, b], 1).view(x.size(0), -1)), None
""",
    """
        self.w = nn.Parameter(torch.randn(10, 8, 8))
        self.v = nn.Parameter(torch.randn(10, 10))
        self.register_buffer("mean", torch.zeros(10))
        self.rnn = nn.GRU(8, 10, batch_first=True)
    def forward(self, x):
        y = self.rnn(x[:, 0])[0].mean(1)
        x = F.avg_pool2d(F.pad(x, (0, 0, 0, 0)) * self.w, 8).flatten(1)
        x = torch.einsum("nc,kc->nk", x, self.v) + y @ self.v.t()
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.mean(0).detach()
        return x - self.mean
""",
    """
        self.conv = nn.Conv2d(1, 3, 3, bias=False)
        self.norm = nn.GroupNorm(1, 3)
        self.w = nn.Parameter(torch.randn(3, 10))
        self.scale = [torch.linspace(0.5, 1, 20).view(2, 10)]
    def forward(self, x):
        x = F.dropout(self.norm(self.conv(x)), 0.2)
        x = x / x.std(0, keepdim=True).clamp(min=0.1) - x.mean(0, keepdim=True)
        x = F.adaptive_avg_pool2d(F.max_pool2d(x, 2), (1, 1)).flatten(1)
        x = x[:, 0:1] * self.w[0] + x[:, 1:2] * self.w[1] + (x.unsqueeze(2) * self.w).sum(1)
        return (x * self.scale[0][0]).softmax(1)
""",
    """
        self.conv = nn.Conv2d(1, 4, 3, stride=2)
        self.wide = nn.Conv2d(4, 10, 3)
        self.w = nn.Parameter(torch.randn(4, 10))
        self.bilinear = nn.Bilinear(4, 4, 10)
    def forward(self, x):
        x = self.conv(x)
        f = x.flatten(2)
        f = f @ torch.softmax(f.transpose(1, 2) @ f / 2, -1)
        f = F.scaled_dot_product_attention(f, f, f).mean(-1)
        y = torch.tensordot(f, self.w, dims=([1], [0])) + self.bilinear(f, f) + F.linear(f, self.w.t())
        return F.log_softmax(self.wide(x).squeeze(-1).squeeze(-1) + torch.addmm(y, f, self.w), 1)
""",
    """
        self.conv = nn.utils.parametrizations.spectral_norm(nn.Conv2d(1, 4, 3, padding=1))
        self.norm = nn.BatchNorm2d(4, momentum=None)
        self.last = nn.Conv2d(8, 10, 1)
    def forward(self, x):
        x = F.hardswish(self.norm(self.conv(x)), inplace=True)
        x = F.interpolate(torch.cat([x, x * torch.sigmoid(x.mean((2, 3), keepdim=True))], 1), scale_factor=2)
        x = self.last(F.avg_pool2d(x, x.shape[2:]))
        return {"scores": x.view(-1, 10)}
""",
)  # fmt: skip


@cache
def real() -> tuple[bytes, ...]:
    """Return real captures of small models."""
    start = f"{HEADER}class Net(nn.Module):\n    def __init__(self):\n        super().__init__()"
    return tuple(capture_text(start + text, input_shape=SHAPE) for text in SUBMISSIONS)


Tensors = dict[str, tuple[str, list[int], bytes]]  # name → type, shape, numbers


def parts(capture: bytes) -> tuple[Any, bytes]:
    """Return the JSON of a capture, decoded, and its tensors."""
    end = 12 + struct.unpack("<Q", capture[4:12])[0]
    return json.loads(capture[12:end]), capture[end:]


def packed(tree: Any, tail: bytes) -> bytes:
    return packed_text(json.dumps(tree).encode(), tail)


def packed_text(text: bytes, tail: bytes) -> bytes:
    return wire.MAGIC + struct.pack("<Q", len(text)) + text + tail


def unpacked_tensors(tail: bytes) -> Tensors:
    end = 8 + struct.unpack("<Q", tail[:8])[0]
    header = json.loads(tail[8:end])
    return {
        name: (about["dtype"], about["shape"], tail[end:][slice(*about["data_offsets"])])
        for name, about in header.items()
    }


def header_of(tensors: Tensors) -> dict[str, Any]:
    header, place = {}, 0
    for name, (kind, shape, data) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [place, place + len(data)]}
        place += len(data)
    return header


def packed_tensors(tensors: Tensors, header: Any = None) -> bytes:
    """Return tensors as safetensors, with the header that belongs to them or another one."""
    text = json.dumps(header_of(tensors) if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values())


WIDTHS = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8, "U8": 1, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "BOOL": 1}
OTHER_TYPES = ["U16", "U32", "U64", "C64", "F8_E4M3", "F8_E5M2", "F4", "F8_E8M0", "f32", "", "X"]
SHAPES = st.lists(st.integers(0, 4), max_size=5) | st.sampled_from(
    [[10, 4, 1, 1], [4, 1, 3, 3], [10, 144], [900, 0], [0, 900], [700, 1], [0, 1 << 40], [1] * 64, [1] * 65, [0] * 70]
).map(list)
PATTERNS = st.sampled_from([b"\0", b"\1\0\0\0", b"\0\0\x80\x3f", b"\xff", b"\x7f"]) | st.binary(min_size=1, max_size=9)
TENSOR_NAMES = WORDS | st.sampled_from(
    ["eval.4.0", "eval.4.00", "eval.4.²", "train.6.", "eval.4." + "1" * 5000, "__metadata__"]
)
HEADER_JUNK = (
    LEAVES | st.sampled_from([*WIDTHS, *OTHER_TYPES]) | st.lists(NUMBERS | st.integers(0, 300), max_size=4) | SHAPES
)


def retyped(draw: Draw, tensors: Tensors) -> str:
    """Give one tensor another type, shape and numbers, and return its name."""
    name = draw(st.sampled_from(list(tensors)))
    kind, shape, pattern = draw(st.sampled_from(list(WIDTHS))), draw(SHAPES), draw(PATTERNS)
    size = WIDTHS[kind] * math.prod(shape)
    tensors[name] = (kind, shape, (pattern * (size // len(pattern) + 1))[:size])
    return name


def retyped_alike(draw: Draw, tree: Any, tensors: Tensors) -> None:
    """Give one tensor another type, shape and numbers, and the graph the same shape."""
    name = retyped(draw, tensors)
    for info in tree["graph"]["tensors"]:
        if str(info["id"]) == name:
            info["shape"] = tensors[name][1]


IDS = st.integers(0, 12) | st.integers(1_999_999, 2_000_012) | st.sampled_from([-1, 99, 1 << 31, 1 << 64])
INTEGERS = IDS | st.sampled_from([1 << 53, (1 << 53) + 1, 1 << 63, -(1 << 63), 1 << 70])
SYMBOLS = st.sampled_from([*ops.SYMBOLS, "float8_e5m2", "complex64", "os", ""])
OPERATORS = st.sampled_from(sorted(ops.table()))
STRANGE = st.sampled_from(["torch.load", "os.system", "torch.Tensor.set_", "cuda:1", "meta", "cpu", "train", "input"])
FEW = (
    st.none() | st.booleans() | st.integers(-3, 10) | st.floats(-2, 2) | st.sampled_from(["same", "mean", "nc,kc->nk"])
)


def arguments(leaves: st.SearchStrategy[Any], ids: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """Return arguments of nodes."""
    plain = leaves | ids.map(lambda key: {"type": "ref", "id": key})
    plain |= SYMBOLS.map(lambda name: {"type": "symbol", "name": name})
    three = st.tuples(leaves, leaves, leaves)
    sizes = three.map(lambda part: {"type": "size", "scale": part[0], "offset": part[1], "divisor": part[2]})
    bounds = st.tuples(plain, plain, plain)
    slices = bounds.map(lambda part: {"type": "slice", "start": part[0], "stop": part[1], "step": part[2]})
    some = plain | plain | sizes | slices
    return some | st.lists(some, max_size=4).map(lambda items: {"type": "items", "items": items})


def nested(depth: int) -> Any:
    value: Any = {"type": "ref", "id": 0}
    for level in range(depth):
        value = {"type": "items", "items": [value]}
        if level % 9 == 8:
            value = {"type": "slice", "start": None, "stop": value, "step": None}
    return value


ARGUMENTS = arguments(FEW, IDS)
ANYTHING = (
    arguments(LEAVES, IDS) | ARGUMENTS | LEAVES | OPERATORS | STRANGE
    | st.sampled_from([20, 28, 29, 30, 150]).map(nested)
    | st.lists(LEAVES, max_size=3) | st.dictionaries(WORDS, LEAVES, max_size=2)
)  # fmt: skip


def fitting(kind: Keys, old: Any) -> st.SearchStrategy[Any]:
    """Return what has the right form for a place in a graph."""
    if kind[-1] in ("start", "stop", "step", "output") or kind[-2:-1] in (("args",), ("kwargs",), ("items",)):
        return ARGUMENTS
    if isinstance(old, bool):
        return st.booleans()
    if isinstance(old, int):
        return INTEGERS
    if isinstance(old, str):
        return {"op": OPERATORS | STRANGE, "name": SYMBOLS | WORDS}.get(kind[-1], WORDS)
    return st.none() | st.lists(INTEGERS, max_size=3)


SNIPPETS = st.sampled_from(
    [
        b'"id":1,', b'"type":"ref",', b'"nodes":[],', b"{", b"}", b"[", b"]", b",", b'"', b"\\", b"\\ud800", b"NaN",
        b"1e999", b"-", b"01", b"\xff", b"\xc3", b"\0", b"\xef\xbb\xbf", b"null", b"9" * 5000, b"[" * 9000,
        b'{"type":"items","items":[' * 4000,
    ]
)  # fmt: skip
LENGTHS = st.sampled_from([0, 1, 2, 1 << 16, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])


def from_scratch(draw: Draw) -> bytes:
    """Make a capture up: its tensors, both of its parts, or all of it."""
    text = draw(st.binary(max_size=60) | ANYTHING.map(lambda tree: json.dumps(tree).encode()))
    tail = draw(st.binary(max_size=60) | ANYTHING.map(lambda tree: packed_tensors({}, tree)))
    if draw(st.booleans()):
        return packed(parts(draw(st.sampled_from(real())))[0], tail)
    return draw(st.sampled_from([text, wire.MAGIC + text, packed_text(text, tail)]))


def edited(draw: Draw, data: bytes, starts: Sequence[int]) -> bytes:
    """Change bytes, more often where something starts than elsewhere."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data)) | st.tuples(st.sampled_from(starts), st.integers(0, 30)).map(sum))
        drop = draw(st.integers(0, 9) | st.just(len(data)))
        data = data[:place] + draw(st.binary(max_size=4) | SNIPPETS) + data[place + drop :]
    return data


def mismeasured(draw: Draw, data: bytes, place: int) -> bytes:
    """Give a length another value."""
    length = struct.unpack("<Q", data[place : place + 8])[0]
    other = draw(LENGTHS | st.integers(-9, 9).map(lambda more: max(length + more, 0)))
    return data[:place] + struct.pack("<Q", other) + data[place + 8 :]


def other_bytes(draw: Draw) -> bytes:
    data = draw(st.sampled_from(real()))
    middle = len(data) - len(parts(data)[1])
    if draw(st.booleans()):
        return edited(draw, data, [0, 12, middle, middle + 8])
    return mismeasured(draw, data, draw(st.sampled_from([4, middle])))


def spliced(draw: Draw) -> bytes:
    """Join the start of one capture to the end of another, or the parts of two."""
    one, other = draw(st.sampled_from(real())), draw(st.sampled_from(real()))
    if draw(st.booleans()):
        return packed(parts(one)[0], parts(other)[1])
    return one[: draw(st.integers(0, len(one)))] + other[draw(st.integers(0, len(other))) :]


def other_text(draw: Draw) -> bytes:
    """Change the text of the JSON: keys that stand twice, cut escapes, numbers that are none, deep nesting."""
    tree, tail = parts(draw(st.sampled_from(real())))
    text = json.dumps(tree).encode()
    place = draw(st.sampled_from([found.end() for found in re.finditer(rb"[\[{,:]|\"(?=\w)", text)]))
    return packed_text(text[:place] + draw(SNIPPETS) + text[place + draw(st.integers(0, 3)) :], tail)


def other_form(draw: Draw) -> bytes:
    """Put anything anywhere into the JSON."""
    tree, tail = parts(draw(st.sampled_from(real())))
    for _ in range(draw(st.integers(1, 2))):
        tree = changed(draw, tree, lambda kind, old: ANYTHING)
    return packed(tree, tail)


def other_graph(draw: Draw) -> bytes:
    """Change the graph without a fault of form: ids, operators, arguments, the order of things."""
    tree, tail = parts(draw(st.sampled_from(real())))
    for _ in range(draw(st.integers(1, 3))):
        tree["graph"] = changed(draw, tree["graph"], fitting, loose=False)
    return packed(tree, tail)


def other_tensors(draw: Draw) -> bytes:
    """Change tensors, for the most part alike in the graph and in their numbers."""
    tree, tail = parts(draw(st.sampled_from(real())))
    tensors = unpacked_tensors(tail)
    for _ in range(draw(st.integers(0, 3))):
        retyped_alike(draw, tree, tensors)
    if draw(st.booleans()):
        retyped(draw, tensors)  # in its numbers alone
    return packed(tree, packed_tensors(tensors))


def other_header(draw: Draw) -> bytes:
    """Change the header of the tensors: names, types, shapes, places."""
    tree, tail = parts(draw(st.sampled_from(real())))
    return packed(tree, other_safetensors(draw, unpacked_tensors(tail)))


def other_safetensors(draw: Draw, tensors: Tensors) -> bytes:
    header: Any = header_of(tensors)
    for _ in range(draw(st.integers(1, 2))):
        header = changed(draw, header, lambda kind, old: HEADER_JUNK, words=TENSOR_NAMES)
    return packed_tensors(tensors, header)


WAYS = [from_scratch, other_bytes, other_bytes, spliced, other_text, other_form, other_header, other_tensors]
WAYS += [other_graph] * 4  # whose faults lie deepest


@st.composite
def captures(draw: Draw) -> bytes:
    """Return what may be a capture."""
    return draw(st.sampled_from(WAYS))(draw)


@st.composite
def tensors(draw: Draw) -> bytes:
    """Return what may be safetensors."""
    tail = parts(draw(st.sampled_from(real())))[1]
    found = unpacked_tensors(tail)
    way = draw(st.sampled_from(["scratch", "bytes", "length", "header", "header", "retyped", "retyped"]))
    if way == "scratch":
        return draw(st.binary(max_size=80) | ANYTHING.map(lambda tree: packed_tensors({}, tree)))
    if way == "bytes":
        return edited(draw, tail, [0, 8, len(tail) - sum(len(data) for _, _, data in found.values())])
    if way == "length":
        return mismeasured(draw, tail, 0)
    if way == "header":
        return other_safetensors(draw, found)
    for _ in range(draw(st.integers(1, 4))):
        retyped(draw, found)
    return packed_tensors(found)


# Programs: captures that run

LIMITS = cost.Limits(elements=1 << 18, total=1 << 20, macs=1 << 26)
PROBE = Probe(5, (4, 6))
MODES: tuple[Mode, ...] = ("eval", "train")
NAMES = "dim keepdim input other weight bias p training size mode stride padding groups dtype axis inplace".split()


@cache
def operators(*kinds: str) -> list[str]:
    return sorted(name for name, op in ops.table().items() if op.kind in kinds)


# What may take one tensor and little more.
PASSING = (
    "activation arithmetic avg-pool compare copy dense dropout expand factory index join max-pool norm permute random "
    "reduce resample reshape softmax weight"
).split()


# Each of these changes one program of a graph, which is given too.


def ids_before(program: Any, index: int, tree: Any) -> list[int]:
    """Return the ids of the tensors that there are when a node runs, the latest first."""
    made = [key for node in program["nodes"][:index] for key in node["outputs"]]
    return [*reversed(made), *[info["id"] for info in tree["graph"]["tensors"]]]


def refs_in(tree: Any) -> list[Any]:
    """Return all references of a tree, to be changed in place."""
    nodes = [at(tree, way) for ways in places(tree).values() for way in ways]
    return [node for node in nodes if isinstance(node, dict) and node.get("type") == "ref"]


def other_result(draw: Draw, program: Any, tree: Any) -> None:
    ids = st.sampled_from(ids_before(program, len(program["nodes"]), tree))
    if draw(st.booleans()):
        program["output"] = draw(arguments(FEW, ids))
    else:
        program["updates"] = draw(st.lists(st.tuples(ids, ids).map(list), max_size=2))


def other_operator(draw: Draw, program: Any, tree: Any) -> None:
    node = draw(st.sampled_from(program["nodes"]))
    node["op"] = draw(st.sampled_from(operators(ops.table()[node["op"]].kind)) | OPERATORS)


def other_argument(draw: Draw, program: Any, tree: Any) -> None:
    index = draw(st.integers(0, len(program["nodes"]) - 1))
    node, known = program["nodes"][index], arguments(FEW, st.sampled_from(ids_before(program, index, tree)))
    if draw(st.booleans()):
        place = draw(st.integers(0, len(node["args"])))
        node["args"][place : place + 1] = draw(st.lists(known, max_size=2))
    else:
        node["kwargs"][draw(st.sampled_from([*NAMES, *node["kwargs"]]))] = draw(known)


def other_number(draw: Draw, program: Any, tree: Any) -> None:
    node = draw(st.sampled_from(program["nodes"]))
    given = [node["args"], node["kwargs"]]
    ways = [way for ways in places(given).values() for way in ways if isinstance(at(given, way), (int, float))]
    if ways:
        way = draw(st.sampled_from(ways))
        at(given, way[:-1])[way[-1]] = draw(FEW)


def other_operand(draw: Draw, program: Any, tree: Any) -> None:
    index = draw(st.integers(0, len(program["nodes"]) - 1))
    given = refs_in(program["nodes"][index])
    if given:
        draw(st.sampled_from(given))["id"] = draw(st.sampled_from(ids_before(program, index, tree)))


def one_less(draw: Draw, program: Any, tree: Any) -> None:
    """Take a node out: what it was given takes the place of what it returned."""
    node = program["nodes"].pop(draw(st.integers(0, len(program["nodes"]) - 1)))
    given = refs_in(node)
    for ref in refs_in(program) if given else ():
        if ref["id"] in node["outputs"]:
            ref["id"] = given[0]["id"]


def one_more(draw: Draw, program: Any, tree: Any) -> None:
    """Put a node in, and hand what it returns to those after it."""
    nodes = program["nodes"]
    index = draw(st.integers(0, len(nodes)))
    ids = ids_before(program, index, tree)
    source = draw(st.sampled_from(ids[:3]) | st.sampled_from(ids))
    more = draw(st.lists(arguments(FEW, st.sampled_from(ids)), max_size=2))
    result = draw(st.just(source) | st.integers(3_000_000, 3_000_020))
    for ref in refs_in([nodes[index:], program["output"]]):
        if ref["id"] == source:
            ref["id"] = result
    name = draw(st.sampled_from(operators(*PASSING)))
    nodes.insert(index, {"op": name, "args": [{"type": "ref", "id": source}, *more], "kwargs": {}, "outputs": [result]})


def other_circumstances(draw: Draw, program: Any, tree: Any) -> None:
    node = draw(st.sampled_from(program["nodes"]))
    node["grad"] = draw(st.booleans())
    node["module"] = draw(WORDS)
    node["span"] = draw(st.none() | INTEGERS.map(lambda line: {"file": "model.py", "line": line}))


CHANGES = [other_result, other_circumstances, other_argument, other_number, one_less]
CHANGES += [other_operator, other_operator, other_operand, other_operand, one_more, one_more, one_more]


@st.composite
def programs(draw: Draw) -> bytes:
    """Return a capture after some changes; most that can't be run are taken back, so that the others lead further."""
    data = draw(st.sampled_from(real()))
    for _ in range(draw(st.integers(1, 12))):
        tree, tail = parts(data)
        found = unpacked_tensors(tail)
        program = tree["graph"][draw(st.sampled_from(MODES))]
        alike = draw(st.booleans())
        if draw(st.integers(0, 9)) == 0:
            retyped_alike(draw, tree, found)
        elif program["nodes"]:
            draw(st.sampled_from(CHANGES))(draw, program, tree)
        if alike:
            tree["graph"]["eval"] = tree["graph"]["train"] = program
        new = packed(tree, packed_tensors(found))
        if untraced(new) is not None or draw(st.integers(0, 99)) == 0:
            data = new
    return data


@st.composite
def jobs(draw: Draw) -> tuple[bytes, bytes]:
    """Return what two workers may send: a capture, and untraced outputs that agree with it or not."""
    capture = draw(programs() | programs() | captures())
    agreeing = untraced(capture) or wire.encode_tensors({})
    if draw(st.integers(0, 9)):
        return capture, agreeing
    return capture, draw(tensors()) if draw(st.booleans()) else other_safetensors(draw, unpacked_tensors(agreeing))


def untraced(capture: bytes) -> bytes | None:
    """Return what an untraced worker would send, were the capture what its submission computes; None if it fails."""
    found = {}
    try:
        graph, numbers, _ = wire.decode(capture)
        replay = Replay(graph, numbers)
        for mode in MODES:
            for batch in PROBE.batches:
                for place, tensor in enumerate(outputs(replay, mode, batch)):
                    found[f"{mode}.{batch}.{place}"] = tensor
    except (wire.WireError, ReplayError):
        return None
    return wire.encode_tensors(found)


def outputs(replay: Replay, mode: Mode, batch: int) -> list[torch.Tensor]:
    """Run one program on the inputs of the probe, and return what it returns; limits that are charged are kept."""
    meter = cost.Meter(LIMITS)
    made = [0]

    def around(index: int, op: ops.Op, args: Any, kwargs: Any, values: Any) -> Any:
        meter.charge(op, args, kwargs)
        result = op.run(*args, **kwargs)
        made.extend(tensor.numel() for tensor in tensors_in(result))
        return result

    torch.default_generator.manual_seed(PROBE.seed)
    images = torch.randn((batch, *SHAPE), generator=torch.Generator().manual_seed(PROBE.seed + batch))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # as the executor does
            return list(tensors_in(replay.run(mode, images, replay.state(), around)))
    finally:
        assert max(made) <= LIMITS.elements


# Rules files

FULL = """
title: All there is
extends: base.yaml
without: [b]
input: {shape: [3, 32, 32], classes: 100, normalise: {mean: [0.5, 0.4, 0.3], std: [1, 2.5, 1e-3]}}
rules:
  - {id: size, points: 7.5, level: warning, checks: [parameters: {below: 20_000}, dropout: {}, output]}
  - {id: head, level: note, any: [linear: {expect: present, pointwise: forbid}, global-average-pool]}
"""
TEXTS = (default_path().read_text(encoding="utf-8"), FULL)
TREES = tuple(map(yaml.safe_load, TEXTS))
FILES = (
    "r.yaml base.yaml circle.yaml sub/up.yaml sub loop.yaml pipe absent.yaml default gap-or-fc . .. / /dev/zero "
    "./r.yaml ../r.yaml sub/../r.yaml base.yaml/x ~ ${HOME} file:///etc/passwd \0 a\0b.yaml \n/../r.yaml \x1b[31m"
).split(" ")
NAMED = st.sampled_from([*FILES, "", "x" * 300, "x/" * 3000])

# Written as they stand, where trees have them for a value or a key.
YAML = [
    "&a x", "*a", "&a [*a]", "<<", "!!python/object/apply:os.system [true]", "!!python/name:os.system", "!!binary aGk=",
    "!!set {a}", "!!str 1", "! 1", "!%0a x", "!%ff x", "!a!b c", "!<x> y", ".nan", ".inf", "1e999", "-1e400", "1e-999",
    "0x1F", "0o17", "1_000", "1_", "1__0", "1_.5", "+1", "-", "1.", ".5", "1:30", "2001-01-01", "2001-01-01T00:00:00Z",
    "yes", "~", "null", "Null", "", "|\n  a\n  b", ">-\n a", "|9", "? a", "? [a]", "[", "]", "{", "}", "'", '"', "''",
    '"\\x00"', '"\\ud800"', '"\\U0001F600"', '"\\UFFFFFFFF"', '"\\U00110000"', '"\\N\\_\\L\\P\\e"', '"\\q"', '"a\n\nb"',
    "%x", "@a", "`a", "# c", "a # c", "a: b", "a: b: c", "- a", ", a", "\t", "\tx", "\ufeff", "\x85", "\u2028", "\0",
    "\x1b[31m", "\ud7ff", "\uffff", "\U0001f600", "9" * 17, "9" * 18, "9" * 19, "9" * 5000, "x" * 2000, "[" * 40,
    "{a: " * 40, "---", "...", "--- a", "%YAML 1.2", "%YAML 1." + "1" * 5000, "%TAG ! tag:x,2000:",
    "%TAG ! tag:x,2000:\n---\n!a b",
]  # fmt: skip
WHOLE = [
    "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nrules: *c",
    "base: &base {id: a}\nrules: [{<<: *base, checks: [dropout]}]",
    "&a [*a]",
    "- " * 500,
    "? " * 500,
    "a:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 60)),
    "rules:\n" + "- {id: a, checks: [dropout]}\n" * 300,
    "without: [" + "a, " * 500 + "a]",
    "".join(f"key-{number}: 1\n" for number in range(300)),
]
FRAGMENTS = [
    "title", "extends", "without", "input", "shape", "rules", "id", "points", "level", "checks", "any", "dropout",
    "linear", "parameters", "below", "accuracy", "recipe", "long", ": ", ":\n  ", "\n", "\n  ", "\n- ", "\n  - ", "[",
    "]", "{", "}", ", ", "1", "20", "0.5", "error", " ", "#", "'", '"',
]  # fmt: skip
RULES_JUNK = LEAVES | st.sampled_from(YAML) | st.sampled_from(FRAGMENTS) | NAMED
RULES_JUNK |= st.lists(RULES_JUNK, max_size=3) | st.dictionaries(
    st.sampled_from([*FRAGMENTS, *YAML]), RULES_JUNK, max_size=2
)


def for_rules(kind: Keys, old: Any) -> st.SearchStrategy[Any]:
    """Return junk for a place in a rules file: names where a file is expected, and often what is of the right type."""
    if kind[-1:] == ("extends",):
        return NAMED
    fitting = {
        bool: st.booleans(),
        int: st.integers(-1, 1030),
        float: st.floats(-1, 101),
        str: st.sampled_from(FRAGMENTS),
    }
    return RULES_JUNK | fitting.get(type(old), st.none())


def scalar(value: Any) -> str:
    plain = isinstance(value, str) and (value in YAML or re.fullmatch(r"[\w./-]+", value))
    return value if plain else json.dumps(value)


def flow(tree: Any) -> str:
    """Return a tree as YAML in one line."""
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{scalar(key)}: {flow(value)}" for key, value in tree.items()) + "}"
    return f"[{', '.join(map(flow, tree))}]" if isinstance(tree, list) else scalar(tree)


def block(tree: Any, indent: str = "") -> str:
    """Return a tree as YAML in lines."""
    if isinstance(tree, dict) and tree:
        return "".join(f"\n{indent}{scalar(key)}:{block(value, indent + '  ')}" for key, value in tree.items())
    if isinstance(tree, list) and tree:
        return "".join(f"\n{indent}-{block(item, indent + '  ')}" for item in tree)
    return f" {flow(tree)}"


def other_rules(draw: Draw) -> str:
    """Change the tree of a rules file and write it in one of YAML's forms."""
    tree = copied(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(0, 3))):
        tree = changed(draw, tree, for_rules)
    write = draw(st.sampled_from([flow, block, block, json.dumps]))
    return write(tree)


def other_lines(draw: Draw) -> str:
    """Change the text of a rules file: a line doubled, moved or indented, a value replaced, something put in."""
    lines = draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines) - 1))
        way = draw(st.sampled_from(["double", "move", "indent", "value", "value", "insert", "cut"]))
        line = lines[place]
        if way == "double":
            lines.insert(place, line)
        elif way == "move":
            lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
        elif way == "indent":
            lines[place] = draw(st.sampled_from(["", " ", "    ", "\t", "- "])) + line.lstrip(" -")
        elif way == "value":
            lines[place] = re.sub(r"(?<=: ).*", lambda _: draw(st.sampled_from([*YAML, *FRAGMENTS])), line, count=1)
        else:
            column = draw(st.integers(0, len(line)))
            lines[place] = line[:column] + (draw(st.sampled_from(YAML)) + line[column:] if way == "insert" else "")
    return draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\x85"])).join(lines)


def made_up_rules(draw: Draw) -> str:
    soup = st.lists(st.sampled_from([*FRAGMENTS, *FRAGMENTS, *YAML]), max_size=25).map("".join)
    return draw(soup | soup | st.text(max_size=40) | st.sampled_from(WHOLE))


@st.composite
def rules_files(draw: Draw) -> bytes:
    """Return what may be a rules file."""
    text = draw(st.sampled_from([other_rules, other_rules, other_rules, other_lines, other_lines, made_up_rules]))(draw)
    coding = draw(st.sampled_from(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "latin-1"]))
    data = text.encode(coding, "surrogatepass" if coding == "utf-8" else "replace")
    return edited(draw, data, [0]) if draw(st.integers(0, 9)) == 0 else data
