"""A graph as PyTorch source computes what the model computes, reads well, and holds nothing of a submission that acts."""

# ruff: noqa: E501 - a submission is written in one string

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import corpus
import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from support import HEADER, capture_text
from test_corpus import REQUESTS
from test_replay import MODELS, model
from torch import Tensor, nn

from grader import cli, executor, kernels, ops, wire
from grader.export import TITLE, export, expressions
from grader.export import weights as safetensors
from grader.export.names import RESERVED, Names, identifier
from grader.finding import Span
from grader.graph import Arg, Graph, Items, Node, Program, Ref, Size, Slice, Symbol, TensorInfo
from grader.pictures import noise, probe_images
from grader.protocol import CaptureJob, Exported, GradeJob
from grader.replay import Replay, tensors_in
from grader.sandbox import Captured, Template, capture

CASES = [case for case in corpus.load() if case.expectations and not case.refusals]
QUICK = "pass_"
REFERENCE = Path(__file__).resolve().parents[1] / "reference_model" / "model.py"


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    with Template.start() as started:
        yield started


def built(text: str, numbers: bytes) -> nn.Module:
    """Return the model of generated source, with its weights."""
    namespace: dict[str, Any] = {"__name__": "net"}
    exec(compile(text, "net.py", "exec"), namespace)
    (made,) = (item for item in namespace.values() if isinstance(item, type) and issubclass(item, nn.Module))
    net: nn.Module = made()
    with torch.no_grad():
        for key, tensor in load_safetensors(numbers).items():
            place: Any = net
            for name in key.split("."):
                place = getattr(place, name)
            place.copy_(tensor)
    return net


def outputs(net: nn.Module, mode: str, images: Tensor, seed: int) -> list[Tensor]:
    net.train(mode == "train")
    torch.default_generator.manual_seed(seed)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = net(images)
    return list(tensors_in(tuple(found.values()) if isinstance(found, dict) else found))


def captured(path: Path, template: Template) -> Captured:
    job = CaptureJob({path.name: path.read_bytes()}, path.name, None, {}, (1, 28, 28), 10, 1)
    outcome = capture(template, job, (4, 36), 60.0)
    assert isinstance(outcome, Captured), outcome
    return outcome


def of_speed(case: corpus.Case) -> Any:
    return pytest.param(case.path, id=case.name, marks=[] if case.name.startswith(QUICK) else pytest.mark.slow)


@pytest.mark.parametrize("path", [pytest.param(REFERENCE, id="reference"), *map(of_speed, CASES)])
def test_source_computes_what_the_model_computes(path: Path, template: Template) -> None:
    """The model itself, which nothing records, is the oracle: it ran in a worker, on inputs drawn after it was loaded."""
    outcome = captured(path, template)
    exported = executor.exported(outcome.graph)
    source = export(exported)
    kernels.suit(info.shape for info in exported.graph.of_role("parameter"))  # as the worker did: both round alike
    untraced = wire.decode_tensors(outcome.untraced)
    for mode in ("eval", "train"):
        for place, batch in enumerate(outcome.probe.batches):
            net = built(source.text, source.weights)
            found = outputs(net, mode, probe_images(outcome.probe, place, (1, 28, 28)), outcome.probe.seed)
            expected = [untraced[f"{mode}.{batch}.{number}"] for number in range(len(found))]
            assert [executor.same(one, other) for one, other in zip(found, expected, strict=True)] == [True] * len(
                found
            )


@pytest.mark.parametrize("name", MODELS)
def test_state_is_kept_as_the_graded_graph_keeps_it(name: str) -> None:
    """Three training steps, then a prediction, equal to the bit."""
    data = capture_text(MODELS[name])
    source = export(executor.exported(data))
    net = built(source.text, source.weights)
    replay = Replay(*wire.decode(data)[:2])
    state = replay.state()
    for step, mode in enumerate(["train", "train", "train", "eval"]):
        images = noise(4, (1, 28, 28), step)
        torch.default_generator.manual_seed(step)
        with torch.no_grad():
            expected = replay.run(mode, images, state)  # type: ignore[arg-type]
        (found,) = outputs(net, mode, images, step)
        assert torch.equal(found, expected)


GRADED_AGAIN = ("pass_residual", "drop_path", "linear_in_squeeze_excitation", "param_int8_packed", "gap_max_pool")


def verdicts(outcome: Any) -> list[tuple[str, str, Any]]:
    normalise = ((0.1307,), (0.3081,))
    job = GradeJob(outcome.graph, outcome.untraced, outcome.probe, (1, 28, 28), 10, normalise, REQUESTS)
    return [(one.check, one.status, one.measured) for one in executor.grade(job, lambda progress: None).results]


@pytest.mark.parametrize("name", GRADED_AGAIN)
def test_source_gets_the_same_verdicts(name: str, template: Template, tmp_path: Path) -> None:
    original = captured(corpus.MODELS / f"{name}.py", template)
    net = tmp_path / "net.py"
    net.write_text(export(executor.exported(original.graph)).text, "utf-8")
    assert verdicts(captured(net, template)) == verdicts(original)


def class_of(text: str) -> str:
    """Return the class of generated source without its last method."""
    return text[text.index("class ") : text.index("    def load(")]


def exported_text(init: str, forward: str) -> str:
    return class_of(export(executor.exported(capture_text(model(init, forward)))).text)


def test_source_of_layers() -> None:
    text = exported_text(
        "self.conv = nn.Conv2d(1, 6, (3, 5), stride=2, padding=1)\nself.norm = nn.BatchNorm2d(6, momentum=0.2)\n"
        "self.head = nn.Conv2d(6, 10, 1, bias=False)\nself.head.requires_grad_(False)",
        "x = F.dropout(F.relu(self.norm(self.conv(x))), 0.2, self.training)\nx = F.max_pool2d(x, 2)\n"
        "return self.head(x + self.norm(x)).mean((2, 3)).view(x.size(0), -1)",
    )
    assert text == (
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = nn.Conv2d(1, 6, (3, 5), stride=2, padding=1)\n"
        "        self.norm = nn.BatchNorm2d(6, momentum=0.2)\n"
        "        self.head = nn.Conv2d(6, 10, 1, bias=False).requires_grad_(False)\n"
        "\n"
        "    def forward(self, x):\n"
        "        n = x.size(0)\n"
        "        x = self.conv(x)  # model.py:12\n"
        "        x = self.norm(x)  # model.py:12\n"
        "        x = F.relu(x)  # model.py:12\n"
        "        x = F.dropout(x, p=0.2, training=self.training)  # model.py:12\n"
        "        x = F.max_pool2d(x, 2)  # model.py:13\n"
        "        y = self.norm(x)  # model.py:14\n"
        "        x = x + y  # model.py:14\n"
        "        x = self.head(x)  # model.py:14\n"
        "        x = x.mean((2, 3))  # model.py:14\n"
        "        x = x.view(n, -1)  # model.py:14\n"
        "        return x\n"
        "\n"
    )


def test_source_of_what_is_no_layer() -> None:
    """Tensors that something else uses too, constants, state, steps of training alone, and code without gradients."""
    text = exported_text(
        "self.conv = nn.Conv2d(1, 10, 3, bias=False)\nnn.init.ones_(self.conv.weight)\nself.kernel = torch.tensor([[[[0.1, 0.2], [0.3, 0.4]]]])\n"
        "self.register_buffer('steps', torch.zeros((), dtype=torch.int64))",
        "x = x + self.steps\nif self.training:\n    x = x + torch.randn_like(x)\n    self.steps = self.steps + 1\n"
        "with torch.no_grad():\n    x = F.conv2d(x, self.kernel)\n"
        "a, b = self.conv(x).chunk(2, 1)\na = a.clone()\na *= self.conv.weight.sum()\na[:, 0, ::2] = 0.0\n"
        "return torch.cat([a, 1 - b], 1)[..., 1:].mean((2, 3))",
    )
    assert text == (
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv_weight = nn.Parameter(torch.ones((10, 1, 3, 3)))\n"
        '        self.register_buffer("steps", torch.ones((), dtype=torch.int64))\n'
        "        self.kernel = torch.tensor([0.1, 0.2, 0.3, 0.4]).reshape((1, 1, 2, 2))\n"
        "\n"
        "    def forward(self, x):\n"
        "        x = x + self.steps  # model.py:12\n"
        "        if self.training:\n"
        "            y = torch.randn_like(x)  # model.py:14\n"
        "            x = x + y  # model.py:14\n"
        "            y = self.steps + 1  # model.py:15\n"
        "        with torch.no_grad():\n"
        "            x = F.conv2d(x, self.kernel)  # model.py:17\n"
        "        x = F.conv2d(x, self.conv_weight)  # model.py:18\n"
        "        x, z = x.chunk(2, 1)  # model.py:18\n"
        "        x = x.clone()  # model.py:19\n"
        "        x1 = self.conv_weight.sum()  # model.py:20\n"
        "        x *= x1  # model.py:20\n"
        "        x[:, 0, ::2] = 0.0  # model.py:21\n"
        "        z = 1 - z  # model.py:22\n"
        "        x = torch.cat((x, z), 1)  # model.py:22\n"
        "        x = x[..., 1:]  # model.py:22\n"
        "        x = x.mean((2, 3))  # model.py:22\n"
        "        if self.training:\n"
        "            self.steps = y.detach()\n"
        "        return x\n"
        "\n"
    )


def node(op: str, *args: Arg, outputs: tuple[int, ...] = (9,), **kwargs: Arg) -> Node:
    return Node(op, args, kwargs, outputs)


X, Y = Ref(1), Ref(2)
F_, T_ = "torch.nn.functional", "torch.Tensor"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (node(f"{F_}.conv2d", X, Y, None, Items((1, 1)), Items((0, 0)), Items((1, 1)), 1), "F.conv2d(x, y)"),
        (node(f"{F_}.conv2d", X, Y, None, Items((2, 1))), "F.conv2d(x, y, None, (2, 1))"),
        (node(f"{F_}.max_pool2d", X, 2, stride=2, padding=0, ceil_mode=False), "F.max_pool2d(x, 2, stride=2)"),
        (node(f"{F_}.max_pool2d", X, 2, padding=False), "F.max_pool2d(x, 2, padding=False)"),
        (node(f"{F_}.softmax", X, dim=1, dtype=Symbol("float64")), "F.softmax(x, dim=1, dtype=torch.float64)"),
        (node("torch.cat", Items((X, Y)), 1), "torch.cat((x, y), 1)"),
        (node("torch.stack", Items((X,))), "torch.stack((x,))"),
        (node("torch.linalg.inv", X), "torch.linalg.inv(x)"),
        (node("torch.zeros", Size(2, 0), Size(1, -3), Size(1, 0, 2), Size(3, 1, 2)), "torch.zeros(2 * n, n - 3, n // 2, (3 * n + 1) // 2)"),
        (node("torch.empty", 3), "torch.zeros(3)"),
        (node(f"{T_}.new_empty", X, Items((3,))), "x.new_zeros((3,))"),
        (node(f"{T_}.clamp", X, Symbol("-inf"), float("nan")), 'x.clamp(float("-inf"), float("nan"))'),
        (node(f"{T_}.T", X), "x.T"),
        (node(f"{T_}.add", X, Y), "x + y"),
        (node(f"{T_}.add", X, Y, alpha=2), "x.add(y, alpha=2)"),
        (node(f"{T_}.__pow__", X, -0.5), "x ** (-0.5)"),
        (node(f"{T_}.mul", X, Size(1, 1)), "x * (n + 1)"),
        (node(f"{T_}.__rsub__", X, 1), "1 - x"),
        (node(f"{T_}.add", 1, X), "torch.Tensor.add(1, x)"),
        (node(f"{T_}.__getitem__", X, Items((Symbol("..."), None, 0))), "x[..., None, 0]"),
        (node(f"{T_}.__getitem__", X, Items((Items((0, 2)),))), "x[[0, 2],]"),
        (node(f"{T_}.__getitem__", X, Slice(None, 3, None)), "x[:3]"),
        (node(f"{T_}.__getitem__", X, Items(())), "x[()]"),
        (node(f"{T_}.__getitem__", X, Items((Slice(1, None, 2), Y))), "x[1::2, y]"),
        (node(f"{T_}.__setitem__", X, Slice(None, None, None), 0.0), "x[:] = 0.0"),
        (node("torch.einsum", "bc,cd->bd", X, Y), "torch.einsum('bc,cd->bd', x, y)"),
        (node("torch.sum", X, **{"class": 1}), "torch.sum(x, **{'class': 1})"),
        (node(f"{F_}.pad", X, Items((1,) * 40)), "F.pad(\n    x,\n    (" + ", ".join("1" * 40) + "),\n)"),
    ],
)  # fmt: skip
def test_expressions(made: Node, expected: str) -> None:
    assert expressions.call(made, {1: "x", 2: "y"}.__getitem__) == expected
    ast.parse(expected)


@pytest.mark.parametrize("op", ["torch.add(evil)", "os.system", "torch.é", "torch.a\nb", "torch"])
def test_what_is_no_operator_is_refused(op: str) -> None:
    with pytest.raises(ValueError, match="is no operator"):
        expressions.call(node(op, X), {1: "x"}.__getitem__)


def test_what_is_no_symbol_is_refused() -> None:
    with pytest.raises(ValueError, match="is no symbol"):
        expressions.value(Symbol("float32+evil()"), {}.__getitem__)


def test_tables_are_those_of_the_operators() -> None:
    assert {
        **expressions.EMPTY,
        **{f"{T_}.{one}": f"{T_}.{other}" for one, other in expressions.EMPTY_METHODS.items()},
    } == {name: f"{name.rpartition('.')[0]}.{run.__name__}" for name, run in ops.EMPTY.items()}
    shorts = {name.rpartition(".")[2] for name in ops.table()}
    methods = {name.rpartition(".")[2] for name in ops.table() if name.startswith(f"{T_}.")}
    assert shorts >= expressions.SEQUENCES | expressions.PAIRS
    assert {*expressions.PROPERTIES, *expressions.INFIX, *expressions.REFLECTED, *expressions.IN_PLACE} <= methods
    properties = {name for name in methods if not callable(getattr(torch.Tensor, name))}
    assert properties == expressions.PROPERTIES


def graph_of(span: Span | None = None, name: str = "Net", **changes: Any) -> tuple[Graph, bytes]:
    """Return a small graph of one convolution and what else is asked for, with its weights."""
    fields: dict[str, Any] = {"tensor": "conv.weight", "module": "conv", "text": "same", "keyword": "padding"}
    fields.update(changes)
    first = Node(
        f"{F_}.conv2d", (Ref(0), Ref(1)), {fields["keyword"]: fields["text"]}, (9,), fields["module"], True, span
    )
    infos = (TensorInfo(0, "input"), TensorInfo(1, "parameter", fields["tensor"], (2, 1, 3, 3), True))
    program = Program((first,), Ref(9))
    graph = Graph(name, infos, program, program, custom_gradient=(span,) if span else ())
    return graph, save_safetensors({"1": torch.ones(2, 1, 3, 3)})


EVIL = (
    "x\nevil()",
    "x\r\nevil()",
    "x\x0cevil()",
    "x\u2028evil()",
    'x"""\nevil()\n"""',
    "x'); evil(); ('",
    "x\\",
    "x\x1b]0;evil\x07",
    "x\u202eevil()",
    "{evil()}",
    "%s{0}",
    "é\0",
    "-*- coding: utf-7 -*-",
    "import",
    "__init__",
    "super",
    "forward",
    "",
)


class Shape(ast.NodeTransformer):
    """Makes names and constants alike, so that what remains is what the program does."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for field in ("id", "attr", "name", "arg", "value"):
            if isinstance(getattr(node, field, None), str):
                setattr(node, field, "")
        return super().generic_visit(node)


def shape_of(text: str) -> str:
    return ast.dump(Shape().visit(ast.parse(text)))


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize("place", ["tensor", "module", "text", "name", "file", "about"])
def test_text_of_a_submission_is_inert(evil: str, place: str) -> None:
    about = (evil,) if place == "about" else ("x",)
    span = Span(evil if place == "file" else "model.py", 7)
    changes = {place: evil} if place not in ("file", "about") else {}
    plain = export(Exported(*graph_of(Span("model.py", 7))), ("x",)).text
    text = export(Exported(*graph_of(span, **changes)), about).text
    assert shape_of(text) == shape_of(plain)
    assert text.count("\n") == plain.count("\n")
    assert [char for char in text if not char.isprintable() and char != "\n"] == []


@pytest.mark.parametrize("evil", [evil for evil in EVIL if evil != "forward"])
def test_odd_keywords_are_inert(evil: str) -> None:
    text = export(Exported(*graph_of(keyword=evil))).text
    assert [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Name) and one.id == "evil"] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("conv1.weight", "conv1_weight"),
        ("0.weight", "tensor_0_weight"),
        ("", "tensor"),
        ("__class__", "class_"),
        ("_parameters", "parameters_"),
        ("half", "half_"),
        ("слой.вес", "tensor"),
        ("a" * 100, "a" * 60),
    ],
)
def test_identifiers(text: str, name: str) -> None:
    assert identifier(text, "tensor") == name


def test_names_are_given_once() -> None:
    names = Names()
    assert [names.take(text, "x") for text in ("a.b", "a_b", "a-b", "a_b_2")] == ["a_b", "a_b_2", "a_b_3", "a_b_2_2"]


def test_no_attribute_hides_what_a_module_has() -> None:
    assert {name for name in dir(nn.Module()) if not name.startswith("_")} - RESERVED == set()


DTYPES = [getattr(torch, name) for name in ops.DTYPES]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_read_as_they_are(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[0, 1, 3], [2, 100, 7]]).to(dtype) / (1 if not dtype.is_floating_point else 8)
    tensor = tensor.to(dtype)
    found = safetensors.read(save_safetensors({"a": tensor, "b": torch.zeros(())}))
    assert found.numbers("a", 100) == tuple(tensor.flatten().tolist())
    assert found.numbers("a", 2) == tuple(tensor.flatten().tolist()[:2])
    assert (found.dtype("a"), found.shape("a"), found.size("a")) == (str(dtype).removeprefix("torch."), (2, 3), 6)


def test_renamed_tensors_are_the_same() -> None:
    tensors = {"1": torch.randn(3, 2), "2": torch.tensor(7), "3": torch.zeros(0, 4)}
    found = load_safetensors(
        safetensors.renamed(safetensors.read(save_safetensors(tensors)), {"1": "a.b", "2": "é", "3": "c"})
    )
    expected: Mapping[str, Tensor] = {"a.b": tensors["1"], "é": tensors["2"], "c": tensors["3"]}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def header(**entries: Any) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"\xff" * 40, "cut short"),
        (struct.pack("<Q", 2) + b"[]", "out of form"),
        (struct.pack("<Q", 4) + b"\xff\xff\xff\xff", "out of form"),
        (header(a={"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "more": 1}) + b"1234", "out of form"),
        (header(a={"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}) + b"1234", "not supported"),
        (header(a={"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}) + b"1234", "not supported"),
        (header(a={"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}) + b"1234", "not where they should be"),
        (header(a={"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}) + b"12341234", "not where they should be"),
        (header(a={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}) + b"12345", "something follows"),
        (header(a={"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}) + b"123", "cut short"),
    ],
)
def test_malformed_weights(data: bytes, message: str) -> None:
    with pytest.raises(safetensors.WeightsError, match=message):
        safetensors.read(data)


def test_weights_of_another_graph_are_refused() -> None:
    graph, _ = graph_of()
    with pytest.raises(safetensors.WeightsError, match="not those of the graph"):
        export(Exported(graph, save_safetensors({"2": torch.ones(2)})))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_bytes(REFERENCE.read_bytes())
    return tmp_path


def test_command_writes_source_that_runs_by_itself(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", "model.py"]) == 0
    assert capsys.readouterr().out == "wrote net.py and net.safetensors\n"
    program = "import net, torch; m = net.Net().load().eval(); print(m(torch.zeros(2, 1, 28, 28)).shape, sum(p.numel() for p in m.parameters()))"
    done = subprocess.run([sys.executable, "-c", program], cwd=here, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("torch.Size([2, 10]) 8932\n", "")
    keys = set(load_safetensors((here / "net.safetensors").read_bytes()))
    assert {"conv1_0.weight", "conv1_1.running_mean", "conv9.weight"} <= keys
    assert cli.run(["export", "model.py"]) == 0  # an export takes another's place


def test_command_writes_over_nobodys_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "net.py").write_text("mine\n")
    assert cli.run(["export", "model.py"]) == 2
    assert "net.py is there already, and not an export; name another with --output" in capsys.readouterr().err
    (here / "out").mkdir()
    assert cli.run(["export", "model.py", "--output", "out"]) == 0
    assert sorted(path.name for path in (here / "out").iterdir()) == ["net.py", "net.safetensors"]
    assert (here / "net.py").read_text() == "mine\n"
    assert (here / "out" / "net.py").read_text().startswith(TITLE)


@pytest.mark.parametrize("output", ["net.txt", "absent/net.py"])
def test_command_refuses_odd_outputs_before_it_grades(
    here: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["export", "model.py", "--output", output]) == 2
    assert re.search(r"expected a \.py file|there is no folder", capsys.readouterr().err)


def test_command_reports_what_has_no_graph(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "model.py").write_text(HEADER + "class Net(nn.Module):\n    def forward(self, x):\n        return 1 / 0\n")
    assert cli.run(["export", "model.py"]) == 3
    assert "ZeroDivisionError" in capsys.readouterr().out
    assert not (here / "net.py").exists()
