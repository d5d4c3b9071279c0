"""What a forward does is written down call by call; what can't be written down is refused with its line."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

import pytest
import torch
from support import HEADER, capture_text, graded

from grader import wire
from grader.graph import Graph, Items, Node, Ref, Size, Slice, Symbol
from grader.protocol import CheckRequest, Refusal
from grader.worker.refusal import Refused

INIT = "self.conv = nn.Conv2d(1, 10, 3)\nself.scale = nn.Parameter(torch.ones(10))\nself.register_buffer('shift', torch.zeros(10))"
FIRST = HEADER.count("\n") + 8  # the line of a submission on which forward's body begins


def net(forward: str) -> str:
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line}" for line in INIT.splitlines()]
    lines += ["    def forward(self, x):", *[f"        {line}" for line in forward.splitlines()]]
    return HEADER + "\n".join(lines) + "\n"


def traced(forward: str) -> tuple[Graph, dict[int, torch.Tensor]]:
    """Capture a forward that begins with `x = self.conv(x).mean((2, 3))`."""
    graph, tensors, _ = wire.decode(capture_text(net("x = self.conv(x).mean((2, 3))\n" + forward)))
    return graph, tensors


def nodes(forward: str) -> tuple[Node, ...]:
    """Return what is recorded after the first two calls."""
    return traced(forward)[0].eval.nodes[2:]


def ops(forward: str) -> list[str]:
    return [node.op.rpartition(".")[2] for node in nodes(forward)]


def refusal(forward: str) -> Refusal:
    with pytest.raises(Refused) as caught:
        traced(forward)
    return caught.value.refusal


def test_graph_of_a_small_model() -> None:
    graph, tensors = traced("return x")
    assert [(info.role, info.name, info.shape, info.trainable) for info in graph.tensors] == [
        ("input", "input", None, False),
        ("parameter", "scale", (10,), True),
        ("parameter", "conv.weight", (10, 1, 3, 3), True),
        ("parameter", "conv.bias", (10,), True),
        ("buffer", "shift", (10,), False),
    ]
    assert {info.id for info in graph.tensors[1:]} == set(tensors)
    assert [(node.op, node.module) for node in graph.eval.nodes] == [
        ("torch.nn.functional.conv2d", "conv"),
        ("torch.Tensor.mean", ""),
    ]
    assert graph.eval.output == Ref(graph.eval.nodes[1].outputs[0])
    assert [(module.path, module.type, module.calls > 0) for module in graph.modules] == [
        ("", "torch.nn.Module", True),
        ("conv", "torch.nn.Conv2d", True),
    ]


def test_spans_are_those_of_the_submission() -> None:
    first = traced("y = (x +\n     1)\nreturn F.relu(y)")[0].eval.nodes
    assert [node.span.line if node.span else None for node in first] == [FIRST, FIRST, FIRST + 1, FIRST + 3]


@pytest.mark.parametrize(
    ("forward", "expected"),
    [
        ("return F.relu(x)", ["relu"]),
        ("return x + x * 2 - 1", ["mul", "add", "sub"]),
        ("return x @ x.T @ x", ["T", "matmul", "matmul"]),
        ("return x.data * 2", ["data", "mul"]),
        ("x += 1\nreturn x", ["add_"]),
        ("x *= self.scale\nx /= 2\nreturn x", ["mul_", "div_"]),
        ("x[:, 0] = 0\nreturn x", ["__setitem__"]),
        ("x[:, :2] += 1\nreturn x", ["__getitem__", "add_", "__setitem__"]),
        ("F.relu_(x)\nreturn x", ["relu_"]),
        ("F.relu(x, inplace=True)\nreturn x", ["relu"]),
        ("return -abs(x)", ["abs", "neg"]),
        ("return F.dropout(x, 0.5, False)", ["dropout"]),
        ("a, b = x.chunk(2, 1)\nreturn torch.cat((b, a), 1)", ["chunk", "cat"]),
        ("return x.max(1, keepdim=True)[0] + x", ["max", "add"]),
        ("return x.to(x.dtype).to('cpu').float().contiguous().cpu()", []),
        ("return x.double().float()", ["double", "float"]),
        ("print(x.shape, x.dim(), len(x), x.device, x.dtype, x.numel(), x.is_cuda)\nreturn x", []),
        ("assert x.size(1) == 10 and x.ndim == 2 and x.requires_grad is not None\nreturn x", []),
        ("return x * torch.tensor(2.0)", ["mul"]),
        ("return x + self.shift[0].item()", ["__getitem__", "add"]),
        ("return x + float(self.shift.sum())", ["sum", "add"]),
        ("return x.type_as(self.scale)", []),
    ],
)
def test_calls(forward: str, expected: list[str]) -> None:
    assert ops(forward) == expected


def test_in_place_call_returns_the_id_that_it_was_given() -> None:
    (node,) = nodes("x += 1\nreturn x")
    assert node.outputs == (node.args[0].id,)  # type: ignore[union-attr]


def test_out_argument_is_read_and_returned() -> None:
    empty, mul = nodes("x = x.detach()\ny = torch.empty_like(x)\ntorch.mul(x, 2, out=y)\nreturn y")[1:]
    assert mul.kwargs == {"out": Ref(empty.outputs[0])}
    assert mul.outputs == empty.outputs


def test_index_arguments() -> None:
    node = nodes("return x[..., None, 1:-1][:, 0]")[0]
    assert node.args[1] == Items((Symbol("..."), None, Slice(1, -1, None)))


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        ("[0, 2]", 2),
        ("[3, 3, 1, 0]", 4),
        ("range(3)", 3),
        ("[True, False] * 5", 5),
        ("[0, 1], 0", 2),
    ],
)
def test_a_list_as_an_index_picks_rows(index: str, rows: int) -> None:
    forward = (
        f"y = F.pad(x.mean((2, 3)), (0, 9)); return y.t()[{index}].reshape({rows}, -1).t().sum(1, keepdim=True) + y"
    )
    text = HEADER + f"class Net(nn.Module):\n    def forward(self, x):\n        {forward}\n"
    assert graded(text, CheckRequest("output")).results[0].status == "pass"


def test_types_and_devices() -> None:
    (node,) = nodes("return x.to(device='cpu', dtype=torch.float64)")
    assert node.kwargs == {"dtype": Symbol("float64")}
    (node,) = nodes("return x.to('cuda:0', torch.float64)")
    assert node.args[1:] == (Symbol("float64"),)


def test_gradient_mode_is_kept() -> None:
    found = nodes("with torch.no_grad():\n    y = x * 2\ny = y + 1\nwith torch.enable_grad(): y = y - 1\nreturn y")
    assert [(node.op.rpartition(".")[2], node.grad) for node in found] == [("mul", False), ("add", True), ("sub", True)]
    assert [node.grad for node in nodes("with torch.inference_mode():\n    y = self.scale * 2\nreturn x + 1")] == [
        False,
        True,
    ]


def test_detach_is_kept() -> None:
    assert ops("return x.detach() + 1") == ["detach", "add"]


CONSTANTS = {
    "x * torch.tensor([0.1] * 10)": [0.1] * 10,
    "x * torch.tensor([1.0, 2.0]).repeat(5)": [1.0, 2.0],
    "x * K[0]": [0.5] * 10,
    "x * torch.from_numpy(__import__('numpy').full(10, 2.0, 'float32'))": [2.0] * 10,
}


@pytest.mark.parametrize("text", CONSTANTS)
def test_constants_are_kept_to_the_bit(text: str) -> None:
    graph, tensors, _ = wire.decode(
        capture_text(
            net("return self.conv(x).mean((2, 3)) * 1 + 0 * " + text.replace("x *", "torch.ones(1) *")).replace(
                "class", "K = [torch.full((10,), 0.5)]\nclass", 1
            )
        )
    )
    found = [tensors[info.id] for info in graph.of_role("constant")]
    assert any(torch.equal(tensor, torch.tensor(CONSTANTS[text])) for tensor in found)


def test_plain_attribute_is_a_constant_with_its_name() -> None:
    text = net("return self.conv(x).mean((2, 3)) * self.plain").replace(
        "        self.conv", "        self.plain = torch.full((10,), 3.0)\n        self.conv", 1
    )
    graph, tensors, _ = wire.decode(capture_text(text))
    (info,) = graph.of_role("constant")
    assert (info.name, tensors[info.id].tolist()) == ("plain", [3.0] * 10)


def test_both_modes_are_recorded() -> None:
    graph, _ = traced("return x.relu() if self.training else x.tanh()")
    assert [program.nodes[-1].op for program in (graph.eval, graph.train)] == ["torch.Tensor.tanh", "torch.Tensor.relu"]


def test_modules_are_named_by_their_path() -> None:
    text = net("return self.body(x).mean((2, 3))").replace(
        "        self.conv",
        "        self.body = nn.Sequential(nn.Conv2d(1, 10, 3), nn.Sequential(nn.ReLU()))\n        self.conv",
        1,
    )
    graph = wire.decode(capture_text(text))[0]
    assert [node.module for node in graph.eval.nodes] == ["body.0", "body.1.0", ""]
    assert {module.path: module.calls > 0 for module in graph.modules}["conv"] is False


READ = "forward reads the value of an activation in Python: {}"


@pytest.mark.parametrize(
    ("forward", "shown"),
    [
        ("return x * x.sum().item()", ".item()"),
        ("return x if x.sum() > 0 else -x", "if/and/or/not on a tensor"),
        ("return x * float(x.detach().max())", "float()"),
        ("return x * int(x.detach().max())", "int()"),
        ("return x + torch.tensor(x.tolist())", ".tolist()"),
        ("return torch.from_numpy(x.detach().numpy()) + x", ".numpy()"),
        ("assert not torch.isnan(x).any()\nreturn x", "if/and/or/not on a tensor"),
        ("return x if torch.equal(x, x) else -x", ".equal()"),
        ("return x[:, torch.nonzero(x[0])[:, 0]]", ".nonzero()"),
    ],
)
def test_reading_an_activation_is_refused(forward: str, shown: str) -> None:
    found = refusal(forward)
    assert (found.code, found.message) == ("data-dependent", READ.format(shown))
    assert found.span is not None
    assert found.span.line == FIRST + 1


@pytest.mark.parametrize("keep", ["keep = y.detach().numpy()", "keep = y.numpy()"])
def test_a_hook_that_reads_an_activation_is_told_as_such(keep: str) -> None:
    hook = f"def look(m, x, y):\n    {keep}\n    keep[:] = 0\n"
    text = net("return self.conv(x).mean((2, 3))") + hook + "model = Net()\nmodel.conv.register_forward_hook(look)\n"
    with pytest.raises(Refused) as caught:
        capture_text(text)
    found = caught.value.refusal
    assert found.span is not None
    assert text.split("\n")[found.span.line - 1].strip() == keep
    assert found.fix.startswith("Remove the hook when it has done its work")
    assert found.message.startswith("a hook reads the value of an activation" if "detach" in keep else "RuntimeError")


def test_refusal_survives_a_catch_all() -> None:
    found = refusal("try:\n    x = x * x.sum().item()\nexcept BaseException:\n    pass\nreturn x")
    assert found.message == READ.format(".item()")


@pytest.mark.parametrize(
    ("forward", "name"),
    [
        ("return torch.take(x, torch.zeros(len(x), 10, dtype=torch.long))", "take"),
        ("return x.as_strided((x.size(0), 10), (10, 1))", "as_strided"),
        ("return torch.fft.fft(x).real", "fft_fft"),
        ("x.detach().resize_(3, 10)\nreturn x", "resize_"),
        ("return x * self.scale.data_ptr()", "data_ptr"),
    ],
)
def test_unknown_operator_is_refused_with_its_line(forward: str, name: str) -> None:
    found = refusal(forward)
    assert (found.code, found.message) == (
        "unsupported",
        f"the torch function '{name}' is not in the grader's operator table",
    )
    assert found.span is not None
    assert found.span.line == FIRST + 1


def test_one_hot_needs_the_number_of_classes() -> None:
    found = refusal("return F.one_hot(x.flatten(1).argmax(1)).float()")
    assert (found.code, found.message) == ("unsupported", "one_hot is not told how many classes there are")
    assert found.span is not None
    assert found.span.line == FIRST + 1


def test_new_numbers_in_data_are_refused() -> None:
    found = refusal("self.scale.data *= 2\nreturn x * self.scale")
    assert (found.code, found.message) == ("unsupported", "forward puts other numbers into a tensor's data")
    assert found.fix == "Compute with a changed copy: F.conv2d(x, self.conv.weight * self.mask, self.conv.bias)."
    assert found.span is not None
    assert found.span.line == FIRST + 1


@pytest.mark.parametrize("made", ["torch.Tensor(x.size(0), 10)", "torch.FloatTensor(len(x), 10)"])
def test_uninitialised_memory_that_is_filled_is_followed(made: str) -> None:
    found = nodes(f"noise = {made}.uniform_(0, 1)\nreturn x + noise")
    assert [node.op.rpartition(".")[2] for node in found] == ["zeros", "uniform_", "add"]
    assert found[0].args == (Items((Size(1, 0), 10)),)
    assert found[1].outputs == found[0].outputs


def test_a_mask_made_in_uninitialised_memory_is_followed() -> None:
    found = nodes("mask = torch.cuda.FloatTensor(x.size(0), 1).bernoulli_(0.9)\nreturn x * mask")
    assert [node.op.rpartition(".")[2] for node in found] == ["zeros", "bernoulli_", "mul"]


def test_a_type_is_named_by_its_tensors_class() -> None:
    (node,) = nodes("return x.type(torch.DoubleTensor)")
    assert (node.op, node.args[1]) == ("torch.Tensor.type", Symbol("float64"))


def test_uninitialised_memory_that_is_read_is_refused() -> None:
    assert refusal("y = torch.Tensor(10)\ny[:5].uniform_()\nreturn x + y").code == "data-dependent"


@pytest.mark.parametrize(
    "forward",
    [
        "with torch._C.DisableTorchFunction():\n    x = x * 2\nreturn x",
        "with torch._C.DisableTorchFunctionSubclass():\n    with torch._C.DisableTorchFunction():\n        y = self.scale * 2\nreturn x * y",
        "with torch._C.DisableTorchFunction():\n    w = self.scale.exp()\nreturn x * w",
    ],
)
def test_work_behind_the_tape_is_refused(forward: str) -> None:
    found = refusal(forward)
    assert found.code == "capture"
    assert found.message.endswith("ran outside of what can be recorded")
    assert found.span is not None


def test_vectorised_map_is_refused() -> None:
    assert refusal("return torch.vmap(lambda row: row * 2)(x)").code in ("capture", "unsupported", "data-dependent")


def test_view_of_a_parameter_made_outside_forward_is_refused() -> None:
    text = net("return self.conv(x).mean((2, 3)) * self.part[0]")
    text = text.replace("torch.ones(10))", "torch.ones(10))\n        self.part = [self.scale[:1]]", 1)
    with pytest.raises(Refused) as caught:
        capture_text(text)
    assert caught.value.refusal.code == "capture"
    assert caught.value.refusal.message == "a view of a parameter or buffer is used that was made outside forward"


def test_too_many_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.worker.tape.MAX_RECORDS", 20)
    found = refusal("for _ in range(30): x = x + 1\nreturn x")
    assert (found.code, found.message) == ("limit", "one forward makes more than 20 torch calls")


def test_new_tensor_is_a_constant() -> None:
    assert ops("return (x - x.new_tensor([0.1])) / x.new_tensor(2.0)") == ["sub", "div"]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "self.w = nn.Parameter(torch.empty(1 << 25))",
            "limit",
            "the model has 33,554,432 numbers in 1 tensors, the limits are 16,777,216 and 5,000",
        ),
        (
            "self.w = torch.zeros(1).expand(1 << 40)",
            "limit",
            "the model has 1,099,511,627,776 numbers in 1 tensors, the limits are 16,777,216 and 5,000",
        ),
        (
            "self.w = nn.ParameterList([nn.Parameter(torch.zeros(1)) for _ in range(5001)])",
            "limit",
            "the model has 5,001 numbers in 5,001 tensors, the limits are 16,777,216 and 5,000",
        ),
        (
            "self.w = nn.Parameter(torch.empty(9, device='meta'))",
            "capture",
            "w is on the meta device: it has a shape, but no numbers",
        ),
    ],
)
def test_tensors_that_cannot_be_graded(line: str, code: str, message: str) -> None:
    text = HEADER + (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        {line}\n    def forward(self, x):\n        return x.mean((2, 3))\n"
    )
    with pytest.raises(Refused) as refused:
        capture_text(text)
    assert (refused.value.refusal.code, refused.value.refusal.message) == (code, message)
