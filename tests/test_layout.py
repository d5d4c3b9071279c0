"""The axes of a map are followed through a program, operator by operator."""

from __future__ import annotations

import pytest

from grader.facts import Operand, Shape, integers
from grader.graph import Arg, Items, Node, Ref, Size
from grader.kinds import Kind
from grader.layout import leaves_single, mixes_positions, output_axes

MAP: Shape = (3, 8, 6, 5)


def operand(
    shape: Shape = MAP, axes: Shape = (2, 3), *, key: int = 0, from_input: bool = True, flattened: bool = False
) -> Operand:
    return Operand(key, shape, (), None, from_input, axes, flattened)


def axes(kind: Kind, op: str, shape: Shape, *args: Arg, source: Operand | None = None, **kwargs: Arg) -> Shape:
    node = Node(f"torch.Tensor.{op}", (Ref(0), *args), kwargs, (1,))
    return output_axes(kind, node, [source or operand()], shape)


@pytest.mark.parametrize(
    ("args", "shape", "expected"),
    [
        ((0, 2, 3, 1), (3, 6, 5, 8), (1, 2)),
        ((Items((0, 2, 3, 1)),), (3, 6, 5, 8), (1, 2)),
        ((0, -2, -1, 1), (3, 6, 5, 8), (1, 2)),
        ((2, 3, 0, 1), (6, 5, 3, 8), (0, 1)),
        ((0, 3, 1, 2), (3, 5, 8, 6), (1, 3)),
        ((0, 1, 2), (3, 8, 6, 5), ()),
        ((0, 1, 2, 2), (3, 8, 6, 5), ()),
    ],
)
def test_permute(args: tuple[Arg, ...], shape: Shape, expected: Shape) -> None:
    assert axes("permute", "permute", shape, *args) == expected


@pytest.mark.parametrize(
    ("op", "args", "shape", "expected"),
    [
        ("transpose", (1, 2), (3, 6, 8, 5), (1, 3)),
        ("transpose", (-1, -2), (3, 8, 5, 6), (2, 3)),
        ("swapaxes", (0, 3), (5, 8, 6, 3), (0, 2)),
        ("movedim", (1, -1), (3, 6, 5, 8), (1, 2)),
        ("moveaxis", (3, 1), (3, 5, 8, 6), (1, 3)),
        ("movedim", (Items((1, 2)), Items((2, 1))), (3, 6, 8, 5), ()),
        ("channel_shuffle", (2,), (3, 8, 6, 5), (2, 3)),
        ("mT", (), (3, 8, 5, 6), ()),
    ],
)
def test_other_orders(op: str, args: tuple[Arg, ...], shape: Shape, expected: Shape) -> None:
    assert axes("permute", op, shape, *args) == expected


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((3, 8, 30), (2,)),
        ((3, 8, 6, 5), (2, 3)),
        ((24, 6, 5), (1, 2)),
        ((24, 30), (1,)),
        ((3, 2, 4, 6, 5), (3, 4)),
        ((3, 8, 5, 6), (2, 3)),
        ((3, 8, 2, 15), (2, 3)),
        ((3, 240), ()),
        ((720,), ()),
        ((3, 6, 5, 8), ()),
        ((90, 8), ()),
    ],
)
def test_reshape(shape: Shape, expected: Shape) -> None:
    assert axes("reshape", "reshape", shape) == expected


def test_reshape_of_a_map_whose_axes_lie_apart() -> None:
    assert axes("reshape", "reshape", (3, 240), source=operand((3, 6, 8, 5), (1, 3))) == ()


@pytest.mark.parametrize(
    ("kwargs", "shape", "expected"),
    [
        ({"dim": 1}, (3, 6, 5), (1, 2)),
        ({"dim": 1, "keepdim": True}, (3, 1, 6, 5), (2, 3)),
        ({"dim": -3}, (3, 6, 5), (1, 2)),
        ({"dim": 0}, (8, 6, 5), (1, 2)),
        ({"axis": 1}, (3, 6, 5), (1, 2)),
        ({"dim": Items((2, 3))}, (3, 8), ()),
        ({"dim": 3}, (3, 8, 6), ()),
        ({"dim": Items((1, 2))}, (3, 5), ()),
        ({}, (), ()),
        ({"dim": 2}, MAP, (2, 3)),
    ],
)
def test_reduce(kwargs: dict[str, Arg], shape: Shape, expected: Shape) -> None:
    assert axes("reduce", "mean", shape, **kwargs) == expected


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("avg-pool", (3, 8, 3, 2), (2, 3)),
        ("avg-pool", (3, 8, 1, 1), (2, 3)),
        ("max-pool", (3, 8, 3, 2), (2, 3)),
        ("max-pool", (3, 8, 1, 2), ()),
        ("max-pool", (3, 8, 1, 1), ()),
    ],
)
def test_pool(kind: Kind, shape: Shape, expected: Shape) -> None:
    assert axes(kind, "pool", shape) == expected


def test_max_pool_along_an_axis_of_one() -> None:
    assert axes("max-pool", "pool", (3, 8, 1, 2), source=operand((3, 8, 1, 5))) == (2, 3)


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("conv", (3, 4, 4, 3), (2, 3)),
        ("activation", MAP, (2, 3)),
        ("pad", (3, 8, 8, 7), (2, 3)),
        ("resample", (3, 8, 12, 10), (2, 3)),
        ("index", (3, 2, 6, 5), (2, 3)),
        ("index", (3, 8, 6), ()),
        ("index", (3, 8, 6, 2), ()),
        ("join", (3, 16, 6, 5), (2, 3)),
        ("join", (3, 8, 12, 5), ()),
        ("dense", (3, 8, 6, 5), (2, 3)),
        ("unfold", (3, 72, 12), ()),
        ("attention", MAP, ()),
        ("factory", MAP, ()),
    ],
)
def test_kinds(kind: Kind, shape: Shape, expected: Shape) -> None:
    assert axes(kind, "op", shape) == expected


def test_what_does_not_come_from_the_image_is_no_map() -> None:
    assert axes("activation", "relu", MAP, source=operand(from_input=False)) == ()


def test_map_of_the_output_shape_comes_first() -> None:
    gate = operand((3, 8, 1, 1), (2, 3), key=1)
    image = operand(key=2)
    node = Node("torch.mul", (Ref(1), Ref(2)), {}, (3,))
    assert output_axes("arithmetic", node, [gate, image], MAP) == (2, 3)
    assert output_axes(
        "arithmetic", node, [operand((8,), (), key=1), operand((3, 6, 5, 8), (1, 2), key=2)], (3, 6, 5, 8)
    ) == (1, 2)


def test_product_of_two_activations_is_no_map() -> None:
    node = Node("torch.matmul", (Ref(1), Ref(2)), {}, (3,))
    assert output_axes("dense", node, [operand(key=1), operand(key=2)], MAP) == ()


FLAT = operand((3, 240), (), flattened=True)


@pytest.mark.parametrize(
    ("kind", "source", "shape", "is_map", "expected"),
    [
        ("reshape", operand(), (3, 240), False, True),
        ("reshape", operand(), (3, 8, 30), True, False),
        ("reshape", operand((3, 8, 1, 1)), (3, 8), False, False),
        ("index", operand(), (3, 8), False, True),
        ("unfold", operand(), (3, 72, 12), False, True),
        ("activation", operand(), (3, 240), False, False),
        ("activation", FLAT, (3, 240), False, True),
        ("reduce", FLAT, (3,), False, False),
        ("avg-pool", operand(), (3, 8, 1, 1), False, False),
    ],
)
def test_flattened(kind: Kind, source: Operand, shape: Shape, is_map: bool, expected: bool) -> None:
    assert mixes_positions(kind, [source], shape, is_map) is expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (3, (3,)),
        (True, ()),
        (None, ()),
        (Size(2, 1), (9,)),
        (Items((1, Size(1, 0))), (1, 4)),
        (Items((1, None)), ()),
        (Items(()), ()),
        ("same", ()),
        (1.5, ()),
    ],
)
def test_integers(argument: Arg, expected: tuple[int, ...]) -> None:
    assert integers(argument, 4) == expected


def test_convolution_of_a_flattened_map() -> None:
    row = operand((3, 1, 240), (), flattened=True)
    assert axes("conv", "conv1d", (3, 20, 2), source=row) == ()
    assert mixes_positions("conv", [row], (3, 20, 2), False) is True


def test_transpose_in_place() -> None:
    assert axes("permute", "transpose_", (3, 5, 6, 8), 1, 3) == (1, 2)


def test_norm_over_channels() -> None:
    assert axes("reduce", "norm", (3, 6, 5), 2, 1) == (1, 2)


POINT: Shape = (3, 8, 1, 1)


@pytest.mark.parametrize(
    ("kind", "source", "shape", "expected"),
    [
        ("reduce", operand(), (3, 8), True),
        ("reduce", operand(), POINT, True),
        ("max-pool", operand(), POINT, True),
        ("conv", operand(), POINT, True),
        ("index", operand(), (3, 8), True),
        ("reshape", operand(), (3, 240, 1, 1), True),
        ("reshape", operand(), (3, 240), False),
        ("conv", operand(), MAP, False),
        ("index", operand(), (3, 8, 2, 2), False),
        ("pad", Operand(0, POINT, (), None, True, single=True), (3, 8, 3, 3), True),
        ("expand", Operand(0, POINT, (), None, True, single=True), MAP, True),
    ],
)
def test_what_has_one_position_alone(kind: Kind, source: Operand, shape: Shape, expected: bool) -> None:
    assert leaves_single(kind, [source], shape, False) is expected


def test_a_convolution_makes_no_map_of_one_position() -> None:
    point = Operand(0, POINT, (), None, True, single=True)
    assert axes("conv", "conv2d", MAP, source=point) == ()


def test_a_convolution_uses_up_positions_that_are_its_channels() -> None:
    turned = operand((3, 6, 8, 5), (1, 3))
    assert axes("conv", "conv2d", (3, 20, 8, 5), source=turned) == (3,)


@pytest.mark.parametrize(("shape", "expected"), [((3, 24, 6, 5), (2, 3)), ((3, 8, 12, 5), ())])
def test_repeated_channels_keep_their_positions(shape: Shape, expected: Shape) -> None:
    assert axes("expand", "repeat", shape, 1, 3, 1, 1) == expected
