"""The PyTorch that student code meets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from grader.worker import environment
from grader.worker.environment import CPU, device_rewrite, to_cpu


@pytest.fixture(autouse=True)
def _prepared(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for owner, name, value in environment.replacements():
        monkeypatch.setattr(owner, name, value)
    yield


X = torch.ones(2, 3)
MOVES = {
    "tensor.cuda": lambda: X.cuda(),
    "tensor.to string": lambda: X.to("cuda"),
    "tensor.to device": lambda: X.to(torch.device("cuda:0")),
    "tensor.to number": lambda: X.to(0),
    "tensor.to device, dtype": lambda: X.to("cuda:1", torch.float32),
    "tensor.to keyword": lambda: X.to(device="mps", non_blocking=True),
    "tensor.type": lambda: X.type("torch.cuda.FloatTensor"),
    "tensor.type class": lambda: X.type(torch.cuda.FloatTensor),
    "pinned": lambda: X.pin_memory(),
    "zeros": lambda: torch.zeros(2, 3, device="cuda"),
    "ones": lambda: torch.ones((2, 3), device=torch.device("mps")),
    "tensor": lambda: torch.tensor([1.0], device="cuda:0"),
    "new_zeros": lambda: X.new_zeros((2, 3), device="cuda"),
    "empty_like": lambda: torch.empty_like(X, device="xpu"),
    "legacy": lambda: torch.cuda.FloatTensor(2, 3),
    "layer": lambda: nn.Linear(3, 2, device="cuda")(X),
    "layer.to": lambda: nn.Linear(3, 2).to("cuda", torch.float32)(X),
    "layer.cuda": lambda: nn.Linear(3, 2).cuda(0)(X),
    "parallel": lambda: nn.DataParallel(nn.Linear(3, 2), device_ids=[0]).cuda()(X),
    "lazily": lambda: nn.LazyLinear(2).to("cuda")(X),
}


@pytest.mark.parametrize("case", MOVES)
def test_every_device_is_the_cpu(case: str) -> None:
    with device_rewrite():
        found = MOVES[case]()
    assert (found.device, found.dtype) == (CPU, torch.float32)


def test_a_device_as_context_and_as_default() -> None:
    with device_rewrite():
        torch.set_default_device("cuda")
        torch.set_default_tensor_type("torch.cuda.FloatTensor")
        torch.cuda.set_device(0)
        with torch.device("cuda"), torch.cuda.device(0):
            found = torch.zeros(2), nn.Linear(2, 2).weight
    assert [tensor.device for tensor in found] == [CPU, CPU]


def test_nothing_is_copied_where_there_is_nothing_to_do() -> None:
    args, kwargs = (X, torch.float64), {"copy": True}
    found = [
        to_cpu(torch.Tensor.to, args, kwargs),
        to_cpu(torch.relu, args, {}),
        to_cpu(torch.zeros, args, {"device": "cpu"}),
    ]
    assert all(pair[0] is args for pair in found)
    assert found[0][1] is kwargs
    assert to_cpu(torch.Tensor.to, (X, "cpu"), None) == ((X, "cpu"), None)


def test_precision_is_not_mixed() -> None:
    @torch.autocast("cuda")
    def decorated(x: torch.Tensor) -> torch.Tensor:
        return x @ x.T

    with torch.autocast("cpu", dtype=torch.bfloat16), torch.cuda.amp.autocast(), torch.amp.autocast("cuda"):
        assert (X @ X.T).dtype == torch.float32
    assert decorated(X).dtype == torch.float32


def test_code_is_not_compiled() -> None:
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    layer = nn.Linear(3, 2)
    layer.compile()
    same = [
        torch.compile(double),
        torch.compile(mode="max-autotune")(double),
        torch.jit.script(double),
        torch.jit.ignore(double),
        torch.jit.ignore(drop=True)(double),
        torch.jit.unused(double),
        torch.jit.export(double),
        torch.jit.script_method(double),
        torch.compiler.disable(double),
        torch.compiler.disable()(double),
    ]
    assert same == [double] * 10
    assert torch.jit.trace(layer, X) is layer
    assert issubclass(torch.jit.ScriptModule, nn.Module)
    assert not isinstance(layer, torch.jit.ScriptModule)


def test_legacy_constructors_are_recorded_as_what_they_do() -> None:
    with Calls() as calls:
        made = [X.new(4, 5), X.new(X.size()), X.new(), X.new([0.5, 1.0])]
        kept = torch.autograd.Variable(X), torch.autograd.Variable(X, requires_grad=True)
    assert [tuple(item.shape) for item in made] == [(4, 5), (2, 3), (0,), (2,)]
    assert [name for name in calls.names if name.startswith(("new", "detach"))] == [
        *["new_empty"] * 3,
        "new_tensor",
        *["detach"] * 2,
    ]
    assert [item.requires_grad for item in kept] == [False, True]
    assert isinstance(X, torch.autograd.Variable)


def test_an_embedding_is_an_indexing() -> None:
    rows = torch.arange(6.0).view(3, 2)
    layers = nn.Embedding.from_pretrained(rows), nn.Embedding.from_pretrained(rows, padding_idx=1)
    places = torch.tensor([[2, 0]])
    with Calls() as calls:
        found = [layer(places) for layer in layers]
    assert [rows.tolist() for rows in found] == [[[[4.0, 5.0], [0.0, 1.0]]]] * 2
    assert calls.names == ["__getitem__", "embedding"]  # the second has a row that does not learn


class Calls(TorchFunctionMode):
    """Notes which functions of torch are called."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_checkpointing_runs_the_function() -> None:
    from torch.utils.checkpoint import checkpoint, checkpoint_sequential

    layers = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    assert torch.equal(checkpoint(layers, X, use_reentrant=False), layers(X))
    assert torch.equal(checkpoint_sequential(layers, 2, X, use_reentrant=True), layers(X))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: torch.load("x.pt"), "torch.load"),
        (lambda: torch.hub.load("a/b", "c"), "torch.hub.load"),
        (lambda: torch.hub.load_state_dict_from_url("https://x"), "torch.hub.load_state_dict_from_url"),
        (lambda: torch.jit.load("x"), "torch.jit.load"),
    ],
)
def test_files_are_not_read(call: object, name: str) -> None:
    with pytest.raises(OSError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == f"{name} reads a file: a submission is graded from its source alone"


def test_a_data_loader_is_harmless() -> None:
    loader = torch.utils.data.DataLoader(object(), batch_size=4, num_workers=8)
    assert not isinstance(X, torch.utils.data.DataLoader)
    with pytest.raises(ImportError):
        iter(loader)
