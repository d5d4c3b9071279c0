"""What crosses from the worker is decoded strictly: any other bytes give WireError and nothing else."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader import wire
from grader.finding import Span
from grader.graph import Graph, Items, Module, Node, Program, Ref, Size, Slice, Symbol, TensorInfo
from grader.protocol import Loaded

TENSORS = {1: torch.arange(18.0).reshape(2, 1, 3, 3), 2: torch.tensor([3, 4]), 9: torch.tensor(True)}
LOADED = Loaded("Net", Span("model.py", 1), ("cv2",), (Span("model.py", 9),), ("a note",))


def graph() -> Graph:
    nodes = (
        Node(
            "torch.nn.functional.conv2d",
            (Ref(0), Ref(1)),
            {"stride": Items((2, 2))},
            (20,),
            "conv",
            True,
            Span("m.py", 3),
        ),
        Node("torch.Tensor.view", (Ref(20), Size(1, 0), -1), {}, (21,)),
        Node(
            "torch.Tensor.__getitem__", (Ref(21), Items((Symbol("..."), Slice(None, 2, None)))), {}, (22,), grad=False
        ),
        Node("torch.Tensor.add_", (Ref(2), 1), {"alpha": 2}, (2,)),
        Node("torch.clamp", (Ref(22), Symbol("-inf"), 0.5), {}, (23,)),
    )
    program = Program(nodes, Items((Ref(23), None, "name")), ((2, 2),))
    infos = (
        TensorInfo(0, "input", "input"),
        TensorInfo(1, "parameter", "conv.weight", (2, 1, 3, 3), True, ("tied.weight",)),
        TensorInfo(2, "buffer", "count", (2,)),
        TensorInfo(9, "constant", "", ()),
    )
    return Graph(
        "Net", infos, program, program, (Module("conv", "torch.nn.Conv2d", Span("m.py", 2), 1),), (Span("m.py", 5),)
    )


VALID = wire.encode(graph(), TENSORS, LOADED)
LENGTH = struct.unpack("<Q", VALID[4:12])[0]
TAIL = VALID[12 + LENGTH :]


def packed(text: bytes, tail: bytes = TAIL) -> bytes:
    return wire.MAGIC + struct.pack("<Q", len(text)) + text + tail


def changed(change: Callable[[Any], object], tail: bytes = TAIL) -> bytes:
    """Return the valid message with its JSON changed in place by a function."""
    message = json.loads(VALID[12 : 12 + LENGTH])
    change(message)
    return packed(json.dumps(message).encode(), tail)


def node(number: int, **fields: Any) -> bytes:
    return changed(lambda message: message["graph"]["eval"]["nodes"][number].update(fields))


def argument(value: Any) -> bytes:
    return node(1, args=[value])


def refusal(data: bytes) -> str:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(data)
    return str(caught.value)


def test_round_trip() -> None:
    decoded, tensors, loaded = wire.decode(VALID)
    assert decoded == graph()
    assert loaded == LOADED
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[key], TENSORS[key]) and tensors[key].dtype == TENSORS[key].dtype for key in TENSORS)


def test_unchanged_json_is_valid() -> None:
    assert wire.decode(changed(lambda message: None))[0] == graph()


def test_shared_and_strided_tensors_are_written_out() -> None:
    whole = torch.arange(6.0).reshape(2, 3)
    tensors = {1: whole.t(), 2: whole[1]}
    data = wire.encode(Graph("N", (), Program((), None), Program((), None)), tensors, LOADED)
    found = wire.decode_tensors(data[12 + struct.unpack("<Q", data[4:12])[0] :])
    assert found["1"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["2"].tolist() == [3, 4, 5]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a capture"),
        (b"s5g1", "not a capture"),
        (b"s5g2" + VALID[4:], "not a capture"),
        (VALID[:11], "not a capture"),
        (wire.MAGIC + struct.pack("<Q", len(VALID)) + VALID[12:], "cut short"),
        (wire.MAGIC + b"\xff" * 8 + VALID[12:], "cut short"),
    ],
)
def test_frame(data: bytes, message: str) -> None:
    assert refusal(data) == message


@pytest.mark.parametrize("end", [12, 40, 12 + LENGTH, 12 + LENGTH + 4, len(VALID) - 1])
def test_truncated(end: int) -> None:
    assert refusal(VALID[:end])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda m: m.update(version=2), "Invalid enum value 2"),
        (lambda m: m.update(extra=1), "unknown field `extra`"),
        (lambda m: m.pop("loaded"), "missing required field `loaded`"),
        (lambda m: m["graph"].update(tensors=3), "Expected `array`, got `int`"),
        (lambda m: m["graph"]["tensors"][1].update(id="1"), "Expected `int`, got `str`"),
        (lambda m: m["graph"]["tensors"][1].update(id=1.5), "Expected `int`, got `float`"),
        (lambda m: m["graph"]["tensors"][1].update(role="teacher"), "Invalid enum value 'teacher'"),
        (lambda m: m["graph"]["eval"]["nodes"][0].update(op=None), "Expected `str`, got `null`"),
        (lambda m: m["graph"]["eval"]["nodes"][0].update(grad=1), "Expected `bool`, got `int`"),
        (lambda m: m["graph"]["eval"]["nodes"][0].update(args=[{"type": "code"}]), "Invalid value 'code'"),
        (
            lambda m: m["graph"]["eval"]["nodes"][0].update(args=[{"type": "ref", "id": None}]),
            "Expected `int`, got `null`",
        ),
        (lambda m: m["graph"]["eval"]["nodes"][0].update(args=[[1]]), "got `array`"),
    ],
)
def test_wrong_types(change: Callable[[Any], object], part: str) -> None:
    message = refusal(changed(change))
    assert message.startswith("the graph is out of form: ")
    assert part in message


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"01", b"'a'", b"9" * 400])
def test_literals_that_are_no_json_numbers(literal: bytes) -> None:
    text = VALID[12 : 12 + LENGTH].replace(b"0.5", literal)
    assert literal in text
    assert refusal(packed(text))


def test_deep_nesting() -> None:
    text = VALID[12 : 12 + LENGTH].replace(b"0.5", b'{"type":"items","items":[' * 9000 + b"0.5" + b"]}" * 9000)
    assert refusal(packed(text)).startswith("the graph is out of form: ")


@pytest.mark.parametrize("place", ["args", "output"])
def test_nesting_over_the_limit(place: str) -> None:
    value: Any = 0
    for _ in range(wire.MAX_DEPTH + 2):
        value = {"type": "items", "items": [value]}
    data = argument(value) if place == "args" else changed(lambda m: m["graph"]["eval"].update(output=value))
    where = "node 1" if place == "args" else "the output"
    assert refusal(data) == f"{where} has arguments nested too deeply"


def test_nesting_within_the_limit() -> None:
    value: Any = {"type": "ref", "id": 0}
    for _ in range(wire.MAX_DEPTH):
        value = {"type": "items", "items": [value]}
    wire.decode(argument(value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "symbol", "name": "os"}, "node 1 has an unknown symbol"),
        (1 << 54, "node 1 has an integer out of range"),
        (-(1 << 54), "node 1 has an integer out of range"),
        ({"type": "slice", "start": 1 << 54, "stop": None, "step": None}, "node 1 has an integer out of range"),
        ({"type": "ref", "id": 77}, "node 1 reads a tensor that does not exist"),
        ({"type": "items", "items": [{"type": "ref", "id": 22}]}, "node 1 reads a tensor that does not exist"),
        ({"type": "ref", "id": 21}, "node 1 reads a tensor that does not exist"),
        ({"type": "ref", "id": -1}, "node 1 reads a tensor that does not exist"),
        ({"type": "symbol", "name": "int32"}, "node 1 views numbers as another type"),
    ],
)
def test_arguments(value: Any, message: str) -> None:
    assert refusal(argument(value)) == message


@pytest.mark.parametrize("op", ["torch.Tensor.view", "torch.Tensor.view_as"])
def test_view_as_another_type_by_keyword(op: str) -> None:
    data = node(1, op=op, args=[{"type": "ref", "id": 20}], kwargs={"dtype": {"type": "symbol", "name": "int32"}})
    assert refusal(data) == "node 1 views numbers as another type"


@pytest.mark.parametrize(
    "op", ["torch.load", "os.system", "torch.Tensor.set_", "torch.Tensor.as_strided", "", "conv2d"]
)
def test_unknown_operator(op: str) -> None:
    assert refusal(node(0, op=op)) == f"unknown operator {op!r} in node 0"


def test_unknown_operator_is_cut() -> None:
    assert refusal(node(0, op="x" * 1000)) == f"unknown operator {'x' * 80!r} in node 0"


@pytest.mark.parametrize("outputs", [[1], [0], [9], [20, 2], [-5]])
def test_results_that_were_not_given(outputs: list[int]) -> None:
    data = node(1, outputs=outputs)
    assert refusal(data) == "node 1 claims to return a tensor that it was not given"


def test_output_that_does_not_exist() -> None:
    data = changed(lambda m: m["graph"]["train"].update(output={"type": "ref", "id": 99}))
    assert refusal(data) == "the output does not exist"


@pytest.mark.parametrize(
    ("updates", "message"),
    [
        ([[2, 99]], "the output does not exist"),
        ([[0, 2]], "an update of a tensor that the graph does not have"),
        ([[20, 2]], "an update of a tensor that the graph does not have"),
    ],
)
def test_updates(updates: list[list[int]], message: str) -> None:
    assert refusal(changed(lambda m: m["graph"]["train"].update(updates=updates))) == message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda infos: infos.pop(0), "the first tensor must be the input"),
        (lambda infos: infos.clear(), "the first tensor must be the input"),
        (lambda infos: infos[0].update(id=5), "the first tensor must be the input"),
        (lambda infos: infos[1].update(role="input"), "tensor ids are not distinct"),
        (lambda infos: infos[1].update(id=2), "tensor ids are not distinct"),
        (lambda infos: infos[1].update(id=0), "tensor ids are not distinct"),
        (lambda infos: infos.pop(), "tensors and their numbers don't match"),
        (lambda infos: infos[1].update(id=3), "tensors and their numbers don't match"),
        (lambda infos: infos[1].update(shape=[18]), "tensor 1 has another shape than stated"),
        (lambda infos: infos[1].update(shape=None), "tensor 1 has another shape than stated"),
    ],
)
def test_tensor_table(change: Callable[[Any], object], message: str) -> None:
    assert refusal(changed(lambda m: change(m["graph"]["tensors"]))) == message


@pytest.mark.parametrize("name", ["01", "a", "-1", "", "1.0", "\uff11", " 1"])
def test_tensor_names(name: str) -> None:
    data = changed(lambda m: None, safetensors.torch.save({name: torch.zeros(1)}))
    assert refusal(data) == "a tensor has no proper id"


@pytest.mark.parametrize("tail", [b"", b"garbage", b"\xff" * 64, TAIL[:-1], TAIL + b"x", b"\x02" + b"\0" * 7 + b"{}x"])
def test_tensors_that_are_no_safetensors(tail: bytes) -> None:
    assert refusal(packed(VALID[12 : 12 + LENGTH], tail)).startswith("the tensors can't be read: ")


def test_tensors_of_many_axes() -> None:
    for axes in (64, 65):
        tail = safetensors.torch.save(
            {**{str(key): item for key, item in TENSORS.items()}, "9": torch.ones([1] * axes)}
        )
        data = changed(lambda m, shape=[1] * axes: m["graph"]["tensors"][3].update(shape=shape), tail)
        if axes == 64:
            wire.decode(data)
    assert refusal(data) == "tensor 9 has more than 64 axes"


@pytest.mark.parametrize(
    "place", [{"line": -1}, {"line": 1 << 32}, {"line": 1, "column": 1 << 70}, {"line": 1, "end_line": -9}]
)
@pytest.mark.parametrize(
    "change",
    [
        lambda m, span: m["graph"].update(span=span),
        lambda m, span: m["graph"].update(custom_gradient=[span]),
        lambda m, span: m["graph"]["modules"][0].update(span=span),
        lambda m, span: m["graph"]["train"]["nodes"][1].update(span=span),
        lambda m, span: m["loaded"].update(span=span),
        lambda m, span: m["loaded"].update(skipped=[span]),
    ],
)
def test_places_out_of_range(change: Callable[[Any, Any], object], place: dict[str, int]) -> None:
    assert refusal(changed(lambda m: change(m, {"file": "m.py", **place}))) == "a place is out of range"


def test_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_NODES", 4)
    assert refusal(VALID) == "more than 4 nodes"
    monkeypatch.setattr(wire, "MAX_TENSORS", 3)
    assert refusal(VALID) == "more than 3 tensors"
    monkeypatch.setattr(wire, "MAX_NUMBERS", 20)
    assert refusal(VALID) == "the tensors hold more than 20 numbers"


def test_an_empty_tensor_must_not_be_wide() -> None:
    assert wire.decode_tensors(wire.encode_tensors({"a": torch.empty(0, wire.MAX_NUMBERS)}))["a"].numel() == 0
    with pytest.raises(wire.WireError, match=r"^the tensors hold more than 16,777,216 numbers$"):
        wire.decode_tensors(wire.encode_tensors({"a": torch.empty(0, wire.MAX_NUMBERS + 1)}))


def test_decode_tensors_round_trip() -> None:
    found = wire.decode_tensors(wire.encode_tensors({"eval.3.0": torch.eye(2)}))
    assert {name: tensor.tolist() for name, tensor in found.items()} == {"eval.3.0": [[1, 0], [0, 1]]}


def decodes(data: bytes) -> bool:
    """Tell whether bytes are a capture; let anything but WireError through."""
    try:
        decoded, tensors, loaded = wire.decode(data)
    except wire.WireError:
        return False
    return wire.decode(wire.encode(decoded, tensors, loaded))[0] == decoded


MUTATED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@MUTATED
@given(st.integers(0, len(VALID) - 1), st.binary(max_size=6), st.integers(0, 12))
def test_mutated_bytes(start: int, new: bytes, drop: int) -> None:
    assert decodes(VALID[:start] + new + VALID[start + drop :]) in (True, False)


LEAF = st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text(max_size=4)
TREE = st.recursive(
    LEAF
    | st.integers(-1, 30).map(lambda key: {"type": "ref", "id": key})
    | st.tuples(LEAF, LEAF).map(lambda pair: {"type": "size", "scale": pair[0], "offset": pair[1]})
    | LEAF.map(lambda name: {"type": "symbol", "name": name}),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: {"type": "items", "items": items})
        | st.tuples(inner, inner, inner).map(lambda s: {"type": "slice", "start": s[0], "stop": s[1], "step": s[2]})
    ),
    max_leaves=6,
)


@MUTATED
@given(
    st.lists(TREE, max_size=4),
    st.dictionaries(st.text(max_size=5), TREE, max_size=2),
    st.lists(st.integers(-2, 30), max_size=3),
)
def test_mutated_nodes(args: list[Any], kwargs: dict[str, Any], outputs: list[int]) -> None:
    data = node(1, args=args, kwargs=kwargs, outputs=outputs)
    assert decodes(data) in (True, False)


@MUTATED
@given(st.sampled_from(["tensors", "eval", "train", "modules", "custom_gradient", "span", "name"]), TREE)
def test_mutated_graph(field: str, value: Any) -> None:
    assert decodes(changed(lambda message: message["graph"].update({field: value}))) in (True, False)


def test_tensor_name_of_many_digits() -> None:
    data = changed(lambda m: None, safetensors.torch.save({"1" * 5000: torch.zeros(1)}))
    assert refusal(data) == "a tensor has no proper id"


@pytest.mark.parametrize("size", [{"scale": 1 << 60, "offset": 0}, {"scale": 0, "offset": 1 << 60}])
def test_size_out_of_range(size: dict[str, int]) -> None:
    assert refusal(argument({"type": "size", **size})) == "node 1 has an integer out of range"
