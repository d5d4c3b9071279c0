"""The operator table fits the installed torch, and what the checks believe of signatures is what torch says."""

from __future__ import annotations

import inspect
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grader import kinds, ops

# Older releases of torch lack these.
RECENT = frozenset(("rms_norm",))


def test_every_short_name_is_known_to_torch() -> None:
    known = {op.short for op in ops.table().values()}
    missing = {short for names in ops.TABLE.values() for short in names.split()} - known - RECENT
    assert missing == set()


def test_no_short_name_stands_twice() -> None:
    shorts = [short for names in ops.TABLE.values() for short in names.split()]
    assert sorted(short for short in set(shorts) if shorts.count(short) > 1) == []


def test_every_kind_is_declared() -> None:
    assert set(ops.TABLE) == set(get_args(kinds.Kind))
    assert {op.kind for op in ops.table().values()} == set(get_args(kinds.Kind))


def test_every_row_resolves() -> None:
    namespaces = dict(ops.NAMESPACES)
    for name, op in ops.table().items():
        assert op.name == name
        assert callable(op.run)
        namespace, _, short = name.rpartition(".")
        assert hasattr(namespaces[namespace], short)


def test_vocabulary_names_are_unique_and_in_the_table() -> None:
    """Several names may mean one function (torch.conv2d is F.conv2d), never one name several functions."""
    names = list(ops.vocabulary().values())
    assert len(set(names)) == len(names)
    assert set(names) <= set(ops.table())


def test_names_of_one_function_are_of_one_kind() -> None:
    namespaces = dict(ops.NAMESPACES)
    kinds_of: dict[Any, set[str]] = {}
    for name, op in ops.table().items():
        namespace, _, short = name.rpartition(".")
        kinds_of.setdefault(getattr(namespaces[namespace], short), set()).add(op.kind)
    assert [found for found in kinds_of.values() if len(found) > 1] == []


def test_every_in_place_spelling_is_there() -> None:
    """What torch.Tensor offers as `name_` for a name of the table is in the table too."""
    methods = {name.rstrip("_") for name in dir(Tensor) if name.endswith("_") and not name.startswith("_")}
    shorts = {op.short for op in ops.table().values()}
    table = set(ops.table())
    absent = {f"torch.Tensor.{short}_" for short in shorts & methods} - table
    assert absent == set()


def test_in_place_functions_are_there() -> None:
    found = {name for name in dir(F) if name.endswith("_") and not name.startswith("_")}
    assert {f"torch.nn.functional.{name}" for name in found} - set(ops.table()) <= {
        "torch.nn.functional.embedding_renorm_"
    }


@pytest.mark.parametrize(
    "name",
    "set_ as_strided as_strided_ resize_ resize_as_ data_ptr untyped_storage storage map_ apply_ numpy "
    "item nonzero masked_select unique bincount fft_rfft2 put_ index_put_ register_hook".split(),
)
def test_left_out_on_purpose(name: str) -> None:
    assert [found for found in ops.table() if found.rpartition(".")[2] == name] == []


def test_uninitialised_memory_is_zeroed() -> None:
    table = ops.table()
    assert table["torch.empty"].run((2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert table["torch.empty_like"].run(torch.ones(2)).tolist() == [0, 0]
    assert table["torch.Tensor.new_empty"].run(torch.ones(1), (2,)).tolist() == [0, 0]


def test_properties_run_their_getter() -> None:
    matrix = torch.arange(6).reshape(2, 3)
    assert torch.equal(ops.table()["torch.Tensor.T"].run(matrix), matrix.T)
    assert torch.equal(ops.table()["torch.Tensor.mT"].run(matrix), matrix.mT)


def test_vocabulary_knows_what_a_mode_is_given() -> None:
    names = ops.vocabulary()
    assert names[F.conv2d] in ("torch.nn.functional.conv2d", "torch.conv2d")
    assert names[F.dropout] == "torch.nn.functional.dropout"
    assert names[Tensor.add_] == "torch.Tensor.add_"
    assert names[Tensor.T.__get__] == "torch.Tensor.T"
    assert {names[F.max_pool2d], names[F.max_pool1d]} == {
        "torch.nn.functional.max_pool2d",
        "torch.nn.functional.max_pool1d",
    }


def test_kinds_of_spellings_that_mean_different_things() -> None:
    table = ops.table()
    assert table["torch.nn.functional.unfold"].kind == "unfold"
    assert table["torch.Tensor.unfold"].kind == "index"


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_alpha_dropout", "rrelu", "gumbel_softmax"])
def test_random_operators_are_marked(name: str) -> None:
    assert ops.table()[f"torch.nn.functional.{name}"].random


@pytest.mark.parametrize(
    "name",
    [
        "torch.rand",
        "torch.poisson",
        "torch.Tensor.geometric_",
        "torch.Tensor.bernoulli_",
        "torch.Tensor.uniform_",
        "torch.dropout",
    ],
)
def test_random_functions_are_marked(name: str) -> None:
    assert ops.table()[name].random


@pytest.mark.parametrize("name", ["torch.relu", "torch.nn.functional.conv2d", "torch.nn.functional.batch_norm"])
def test_others_are_not_random(name: str) -> None:
    assert not ops.table()[name].random


PYTHON = sorted(
    name
    for name, op in ops.table().items()
    if name.startswith("torch.nn.functional.")
    and kinds.signature(name)
    and inspect.isfunction(getattr(F, op.short))
    and "args" not in inspect.signature(getattr(F, op.short)).parameters
)


@pytest.mark.parametrize("name", PYTHON)
def test_signature_is_that_of_torch(name: str) -> None:
    real = tuple(inspect.signature(getattr(F, name.rpartition(".")[2])).parameters)
    believed = kinds.signature(name)
    assert believed == real[: len(believed)]


@pytest.mark.parametrize("name", sorted(kinds.DEFAULTS))
def test_defaults_are_those_of_torch(name: str) -> None:
    parameters = inspect.signature(getattr(F, name.rpartition(".")[2])).parameters
    assert {key: parameters[key].default for key in kinds.DEFAULTS[name]} == kinds.DEFAULTS[name]


def test_every_function_with_a_default_probability_has_it() -> None:
    """A dropout whose `p` or `training` is left out is otherwise taken for one that never acts."""
    functions = {name for name in PYTHON if ops.table()[name].kind == "dropout"}
    assert functions == {name for name in kinds.DEFAULTS if ops.table()[name].kind == "dropout"}


def test_signatures_name_operators_of_the_table() -> None:
    shorts = {op.short for op in ops.table().values()}
    assert set(kinds.SIGNATURES) - shorts - RECENT == set()
    assert (set(kinds.NAMED) | set(kinds.DEFAULTS)) - set(ops.table()) == set()


SCHEMAS = {"self": "input", "train": "training", "axis0": "dim0", "axis1": "dim1", "source": "dims"}
SECOND = frozenset(
    ("other", "mat2", "vec", "tensor", "vec2", "input2", "mat1", "mat", "batch1", "batch2", "vec1", "input1")
)
BUILT_IN = (
    "torch.conv2d torch.conv_transpose2d torch.batch_norm torch.native_batch_norm torch.dropout torch.alpha_dropout "
    "torch.mean torch.sum torch.amax torch.logsumexp torch.softmax torch.log_softmax torch.permute torch.transpose "
    "torch.swapaxes torch.movedim torch.mul torch.div torch.add torch.sub torch.feature_alpha_dropout "
    "torch.Tensor.mean torch.Tensor.sum torch.Tensor.softmax torch.Tensor.transpose"
).split()


def schemas(short: str) -> set[tuple[str, ...]]:
    """Return the parameter names of all overloads of a built-in operator, as the checks call them."""
    found = torch._C._jit_get_schemas_for_operator(f"aten::{short}")
    return {tuple(SCHEMAS.get(item.name, item.name) for item in each.arguments) for each in found}


@pytest.mark.parametrize("name", BUILT_IN)
def test_signature_of_a_built_in_is_that_of_its_schema(name: str) -> None:
    believed = kinds.signature(name)
    found = schemas(name.rpartition(".")[2])
    assert any(names[: len(believed)] == believed[: len(names)] for names in found)


@pytest.mark.parametrize(
    "name", ["torch.norm", "torch.Tensor.norm", "torch.Tensor.var", "torch.std", "torch.special.softmax"]
)
def test_signature_of_reductions_with_other_parameters(name: str) -> None:
    believed = kinds.signature(name)
    assert any(names[: len(believed)] == believed[: len(names)] for names in schemas(name.rpartition(".")[2]))


@pytest.mark.parametrize("name", ["addmm", "baddbmm", "addmv", "mm", "bmm"])
def test_keywords_of_products_are_known(name: str) -> None:
    from grader.facts import named_arguments
    from grader.graph import Node, Ref

    schema = torch._C._jit_get_schemas_for_operator(f"aten::{name}")[0]
    words = [item.name for item in schema.arguments if item.name in SECOND]
    node = Node(f"torch.{name}", (), {word: Ref(place) for place, word in enumerate(words)}, (9,))
    assert named_arguments(node)["other"] == Ref(len(words) - 1)


def t(*shape: int) -> Tensor:
    return torch.ones(shape)


def recurrent(
    gates: int, *, inputs: int = 5, hidden: int = 3, layers: int = 1, both: bool = False, states: Any = None
) -> Any:
    """Return the arguments of a recurrent layer with biases, whose input has 7 steps of 4 rows."""
    ways = 1 + both
    params = []
    for layer in range(layers * ways):
        width = inputs if layer < ways else hidden * ways
        params += [t(gates * hidden, width), t(gates * hidden, hidden), t(gates * hidden), t(gates * hidden)]
    state = t(layers * ways, 4, hidden) if states is None else states
    return (
        t(7, 4, inputs),
        (state, state) if gates == 4 else state,
        tuple(params),
        True,
        layers,
        0.0,
        False,
        both,
        False,
    )


def other(arguments: Any, place: int, value: Any) -> Any:
    """Return a recurrent layer's arguments with one of its weights, or its input's width, changed."""
    images, states, params, *rest = arguments
    return images, states, (*params[:place], value, *params[place + 1 :]), *rest


FITTING: list[tuple[str, Any]] = [
    ("torch.lstm", recurrent(4)),
    ("torch.lstm", recurrent(4, layers=2, both=True)),
    ("torch.gru", recurrent(3, layers=2)),
    ("torch.gru", recurrent(3, both=True)),
    ("torch.rnn_tanh", recurrent(1, layers=3)),
    ("torch.rnn_relu", recurrent(1)),
    ("torch._weight_norm", (t(8, 4, 3), t(8, 1, 1), 0)),
    ("torch._weight_norm", (t(8, 4, 3), t(1, 1, 3), 2)),
    ("torch._weight_norm", (t(8, 4, 3), t(1, 4, 1), 1)),
    ("torch._weight_norm", (t(8, 4, 3), t(), -1)),
    ("torch._weight_norm_interface", (t(8, 4), t(8, 1))),
    ("torch.native_batch_norm", (t(2, 3, 4, 4), t(3), None, t(3), t(3), False, 0.1, 1e-5)),
    ("torch.native_batch_norm", (t(2, 3, 4, 4), None, None, None, None, True, 0.1, 1e-5)),
]

# Without a look at the shapes, torch corrupts memory or crashes on most of these.
UNFIT: list[tuple[str, Any]] = [
    ("torch.lstm", recurrent(4, states=t(2, 5, 1))),
    ("torch.lstm", recurrent(4, states=t(1, 4, 1000))),
    ("torch.lstm", other(recurrent(4), 0, t(4, 5))),
    ("torch.lstm", other(recurrent(4), 3, t(1))),
    ("torch.gru", other(recurrent(3), 0, t(1, 5))),
    ("torch.gru", other(recurrent(3), 1, t(9, 1000))),
    ("torch.gru", (*recurrent(3)[:4], 1 << 53, *recurrent(3)[5:])),
    ("torch.gru", (t(7, 4, 1), *recurrent(3)[1:])),
    ("torch.rnn_tanh", (t(7, 4), *recurrent(1)[1:])),
    ("torch._weight_norm", (t(8, 4, 3), t(2, 1, 1), 0)),
    ("torch._weight_norm", (t(0, 0), t(3))),
    ("torch._weight_norm", (t(0, 4), t(0, 1))),
    ("torch._weight_norm_interface", (t(2, 2, 300), t(2, 0, 300))),
    ("torch.native_batch_norm", (t(4, 3, 3, 3), t(50), t(3), t(0), t(3), False, 0.1, 1e-5)),
    ("torch.native_batch_norm", (t(4, 300, 3, 3), t(300), t(300), None, None, False, 0.1, 1e-5)),
    ("torch.native_batch_norm", (t(4), t(4), t(4), t(4), t(4), True, 0.1, 1e-5)),
]


@pytest.mark.parametrize(("name", "arguments"), FITTING)
def test_operands_that_fit(name: str, arguments: Any) -> None:
    found, expected = ops.table()[name].run(*arguments), getattr(torch, name.removeprefix("torch."))(*arguments)
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(("name", "arguments"), UNFIT)
def test_operands_that_do_not_fit_are_refused(name: str, arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"^the shapes of its operands do not fit each other$"):
        ops.table()[name].run(*arguments)


OUTSIDE: list[tuple[str, Any]] = [
    ("torch.gather", (t(4, 6), 1, torch.tensor([[6]]))),
    ("torch.gather", (t(4, 6), 0, torch.tensor([[-5]]).expand(1, 6))),
    ("torch.scatter", (t(4, 6), 1, torch.tensor([[6]]), 1.0)),
    ("torch.scatter_add", (t(4, 6), 0, torch.tensor([[9]]).expand(1, 6), t(1, 6))),
    ("torch.scatter_reduce", (t(4, 6), 0, torch.tensor([[9]]).expand(1, 6), t(1, 6), "amax")),
    ("torch.nn.functional.one_hot", (torch.tensor([3]), 3)),
]


@pytest.mark.parametrize(("name", "arguments"), OUTSIDE)
def test_places_outside_a_tensor_are_refused(name: str, arguments: Any) -> None:
    with pytest.raises(RuntimeError, match=r"out of bounds|smaller than num_classes"):
        ops.table()[name].run(*arguments)


@pytest.mark.filterwarnings("ignore:LSTM with projections")  # news of torch about its own speed
def test_an_lstm_that_projects() -> None:
    module = torch.nn.LSTM(5, 4, num_layers=2, proj_size=3, bidirectional=True)
    params = tuple(module._flat_weights)
    states = (t(4, 4, 3), t(4, 4, 4))
    arguments = (t(7, 4, 5), states, params, True, 2, 0.0, False, True, False)
    found = ops.table()["torch.lstm"].run(*arguments)
    assert all(torch.equal(one, two) for one, two in zip(found, torch.lstm(*arguments), strict=True))
