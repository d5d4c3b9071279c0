"""Two traces of one forward become one program, or the reason why they can't is told."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

from typing import Any

import pytest
import torch
from support import HEADER, capture_text

from grader import wire
from grader.finding import Span
from grader.graph import Graph, Items, Node, Program, Ref, Size, Slice, Symbol
from grader.worker.merge import Constants, Differs, Merger, same_numbers
from grader.worker.refusal import Refused
from grader.worker.trace import Record, Trace, Value

SPAN = Span("model.py", 7)


def record(op: str, *args: Any, out: tuple[Value, ...] = (), random: Any = None, **kwargs: Any) -> Record:
    return Record(op, args, kwargs, out, "", True, SPAN, random)


def merged(small: Trace, large: Trace, constants: Constants | None = None) -> Program:
    return Merger(small, large, (3, 5), constants or Constants(100), 200).program()


def one_call(*pairs: tuple[Any, Any]) -> Node:
    """Return the node of one call, given its arguments in either trace."""
    traces = [Trace([record("torch.view", *[pair[side] for pair in pairs], out=(Value(),))], None) for side in (0, 1)]
    return merged(*traces).nodes[0]


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        (4, 4, 4),
        (3, 5, Size(1, 0)),
        (6, 10, Size(2, 0)),
        (2028, 3380, Size(676, 0)),
        (2, 4, Size(1, -1)),
        (-3, -5, Size(-1, 0)),
        (7, 9, Size(1, 4)),
        (1, 2, Size(1, -1, 2)),
        (0.5, 0.5, 0.5),
        (float("inf"), float("inf"), Symbol("inf")),
        (float("-inf"), float("-inf"), Symbol("-inf")),
        (float("nan"), float("nan"), Symbol("nan")),
        (True, True, True),
        ("same", "same", "same"),
        (None, None, None),
        ([3, [1, -1]], [5, [1, -1]], Items((Size(1, 0), Items((1, -1))))),
        (slice(0, 3, None), slice(0, 5, None), Slice(0, Size(1, 0), None)),
        (Symbol("float32"), Symbol("float32"), Symbol("float32")),
    ],
)
def test_arguments(small: Any, large: Any, expected: Any) -> None:
    assert one_call((small, large)).args == (expected,)


@pytest.mark.parametrize(
    ("small", "large", "message"),
    [
        (0.5, 0.25, "a number is 0.5 in one forward and 0.25 in another"),
        (True, False, "an argument is True in one forward and False in another"),
        ("a", "b", "an argument is 'a' in one forward and 'b' in another"),
        (1, 1.0, "an argument is 1 in one forward and 1.0 in another"),
        (True, 1, "an argument is True in one forward and 1 in another"),
        ([1, 2], [1], "a sequence has 2 elements in one forward and 1 in another"),
        (slice(0, 2), slice(0, 2.0), "an argument is 2 in one forward and 2.0 in another"),
        (
            Symbol("float32"),
            Symbol("float64"),
            "an argument is Symbol(name='float32') in one forward and Symbol(name='float64') in another",
        ),
        (Value(leaf=1), 3, "an argument is a tensor in one forward only"),
        (Value(leaf=1), Value(leaf=2), "another parameter or buffer is used"),
        (Value(leaf=1), Value(content=torch.ones(1)), "another parameter or buffer is used"),
        (Value(), Value(), "a tensor comes from another place"),
        (
            Value(content=torch.ones(2)),
            Value(content=torch.zeros(2)),
            "a tensor that no recorded call made has other numbers each time",
        ),
        (
            Value(content=torch.ones(2)),
            Value(content=torch.ones(3)),
            "a tensor that no recorded call made has other numbers each time",
        ),
    ],
)
def test_arguments_that_differ(small: Any, large: Any, message: str) -> None:
    with pytest.raises(Differs) as caught:
        one_call((0, 0), (small, large))
    assert (caught.value.what, caught.value.span) == (message, SPAN)


def test_operators_that_differ() -> None:
    with pytest.raises(Differs, match=r"^relu in one forward is tanh in another$"):
        merged(Trace([record("torch.relu")], None), Trace([record("torch.tanh")], None))


def test_numbers_of_calls_that_differ() -> None:
    calls = [record("torch.relu"), record("torch.tanh")]
    with pytest.raises(Differs, match=r"^1 torch calls in one forward, 2 in another$") as caught:
        merged(Trace(calls[:1], None), Trace(calls, None))
    assert caught.value.span == SPAN


def test_keywords_that_differ() -> None:
    with pytest.raises(Differs, match=r"^sum is called with other keywords$"):
        merged(Trace([record("torch.sum", dim=1)], None), Trace([record("torch.sum", keepdim=1)], None))


def chain() -> Trace:
    """Return a trace of two calls in which the second works in place on the result of the first."""
    image, middle = Value(leaf=0), Value()
    return Trace(
        [
            record("torch.relu", image, out=(middle,)),
            record("torch.Tensor.add_", middle, Value(content=torch.ones(2)), out=(middle,)),
        ],
        [middle, Symbol("dict")],
        [(4, middle)],
    )


def test_program() -> None:
    constants = Constants(100)
    found = merged(chain(), chain(), constants)
    assert found == Program(
        (
            Node("torch.relu", (Ref(0),), {}, (200,), "", True, SPAN),
            Node("torch.Tensor.add_", (Ref(200), Ref(100)), {}, (200,), "", True, SPAN),
        ),
        Items((Ref(200), Symbol("dict"))),
        ((4, 200),),
    )
    assert constants.tensors[100].tolist() == [1, 1]


def test_both_programs_share_equal_constants() -> None:
    constants = Constants(100)
    assert merged(chain(), chain(), constants) == merged(chain(), chain(), constants)
    assert list(constants.tensors) == [100]


def test_two_constants_of_one_program_stay_two() -> None:
    """They may be written to, each on its own."""
    traces = [
        Trace([record("torch.add", Value(content=torch.ones(2)), Value(content=torch.ones(2)), out=(Value(),))], None)
        for _ in "ab"
    ]
    assert merged(*traces).nodes[0].args == (Ref(100), Ref(101))


def test_results_that_are_crossed() -> None:
    small = [Value(), Value()]
    large = [Value(), Value()]
    one = Trace([record("torch.chunk", Value(leaf=0), out=tuple(small)), record("torch.relu", small[0])], None)
    other = Trace([record("torch.chunk", Value(leaf=0), out=tuple(large)), record("torch.relu", large[1])], None)
    with pytest.raises(Differs, match=r"^a tensor comes from another place$"):
        merged(one, other)


def test_updates_that_differ() -> None:
    one, other = chain(), chain()
    other.updates = []
    with pytest.raises(Differs, match=r"^forward assigns other state$"):
        merged(one, other)


def seeded(numbers: torch.Tensor) -> Trace:
    made = Value()
    return Trace(
        [record("torch.rand", out=(made,), random=(numbers,)), record("torch.relu", made, out=(Value(),))], None
    )


def test_random_numbers_that_ignore_the_seed_are_constants() -> None:
    constants = Constants(100)
    assert [node.op for node in merged(seeded(torch.arange(4.0)), seeded(torch.arange(4.0)), constants).nodes] == [
        "torch.relu"
    ]
    assert constants.tensors[100].tolist() == [0, 1, 2, 3]


def test_random_numbers_that_follow_the_seed_are_drawn_again() -> None:
    found = merged(seeded(torch.arange(4.0)), seeded(torch.zeros(4)))
    assert [node.op for node in found.nodes] == ["torch.rand", "torch.relu"]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0], [1.0 + 1e-7], False),
        ([1.0], [1], False),
        ([1.0], [[1.0]], False),
        ([1], [1], True),
    ],
)
def test_same_numbers(one: Any, other: Any, expected: bool) -> None:
    assert same_numbers(torch.tensor(one), torch.tensor(other)) is expected


def test_same_numbers_to_the_bit() -> None:
    assert not same_numbers(torch.tensor([0.0]), torch.tensor([-0.0]))


def net(forward: str, init: str = "") -> str:
    lines = [
        "class Net(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        "        self.conv = nn.Conv2d(1, 10, 3)",
    ]
    lines += [f"        {line}" for line in init.splitlines()]
    return (
        HEADER
        + "\n".join([*lines, "    def forward(self, x):", *[f"        {line}" for line in forward.splitlines()]])
        + "\n"
    )


FIRST = HEADER.count("\n") + 6  # the line of a submission on which forward's body begins


def captured(text: str) -> Graph:
    return wire.decode(capture_text(text))[0]


@pytest.mark.parametrize(
    ("forward", "argument"),
    [
        ("x = self.conv(x).mean((2, 3))\nreturn x.view(x.size(0), 10)", Size(1, 0)),
        ("x = self.conv(x).mean((2, 3))\nreturn x.reshape(x.shape[0] * 2, 5).view(len(x), 10)", Size(1, 0)),
        ("return self.conv(x).mean((2, 3)) * torch.ones(x.size(0), 1)", Size(1, 0)),
        ("return self.conv(x).mean((2, 3)).expand(x.shape[0], -1)", Size(1, 0)),
        ("return self.conv(x).sum((0, 2, 3)).expand(x.shape[0], -1) / (x.size(0) * 676)", Size(676, 0)),
        ("return self.conv(x).mean((2, 3))[: x.size(0) - 1 + 1]", Slice(None, Size(1, 0), None)),
    ],
)
def test_batch_size_becomes_symbolic(forward: str, argument: Any) -> None:
    arguments = [item for node in captured(net(forward)).eval.nodes for item in (*node.args, *node.kwargs.values())]
    assert argument in arguments


BY_SIZE = "forward depends on the batch size: "
BY_DATA = "forward does not compute the same each time: "


@pytest.mark.parametrize(
    ("forward", "message", "line"),
    [
        (
            "return torch.stack([self.conv(x[i:i + 1]).mean((2, 3))[0] for i in range(len(x))])",
            BY_SIZE + "17 torch calls in one forward, 33 in another",
            0,
        ),
        (
            "return self.conv(x).mean((2, 3)) * (1 / x.size(0))",
            BY_SIZE + "a number is 0.25 in one forward and 0.125 in another",
            0,
        ),
        (
            "x = self.conv(x)\nif len(x) > 4: x = x.relu()\nelse: x = x.tanh()\nreturn x.mean((2, 3))",
            BY_SIZE + "tanh in one forward is relu in another",
            2,
        ),
        ("import random\nreturn self.conv(x).mean((2, 3)) * random.random()", BY_DATA + "a number is", 1),
        (
            "self.calls = getattr(self, 'calls', 0) + 1\nreturn self.conv(x).mean((2, 3)) * self.calls",
            BY_DATA + "a number is",
            1,
        ),
        (
            "import numpy as np\nw = torch.from_numpy(np.random.rand(10)).float()\nreturn self.conv(x).mean((2, 3)) * w",
            BY_DATA + "a tensor that no",
            1,
        ),
    ],
)
def test_what_differs_is_told(forward: str, message: str, line: int) -> None:
    with pytest.raises(Refused) as caught:
        captured(net(forward))
    refusal = caught.value.refusal
    assert refusal.code == "data-dependent"
    assert refusal.message.startswith(message)
    assert refusal.span is not None
    assert refusal.span.line == FIRST + line


def test_layer_that_is_made_in_forward_is_told() -> None:
    with pytest.raises(Refused) as caught:
        captured(net("return nn.Conv2d(1, 10, 3)(x).mean((2, 3))"))
    refusal = caught.value.refusal
    assert refusal.message == "forward does not compute the same each time: a layer is made anew in it"
    assert refusal.fix == "Make layers in __init__, as self.conv = …, and only call them in forward."
    assert refusal.span is not None
    assert refusal.span.line == FIRST


def test_seeded_factory_becomes_a_constant() -> None:
    graph = captured(
        net("g = torch.Generator().manual_seed(0)\nreturn self.conv(x).mean((2, 3)) * torch.rand(10, generator=g)")
    )
    assert [(info.role, info.shape) for info in graph.tensors[3:]] == [("constant", (10,))]
    graph = captured(net("torch.manual_seed(0)\nreturn self.conv(x).mean((2, 3)) * torch.rand(10)"))
    assert [(info.role, info.shape) for info in graph.tensors[3:]] == [("constant", (10,))]
