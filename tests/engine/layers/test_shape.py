"""Sizes as values, and what arrays of other shapes are refused."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.symbol import Graph, Symbol
from oneiro.layer import Layer
from oneiro.layers.cast import Cast
from oneiro.layers.concat import Concat, Split
from oneiro.layers.expand import Expand, Tile
from oneiro.layers.gather import Gather
from oneiro.layers.gemm import Gemm, MatMul
from oneiro.layers.generator import ConstantOfShape, EyeLike, OneHot, Range
from oneiro.layers.shape import Flatten, Reshape, Shape, Squeeze, Transpose, Unsqueeze
from oneiro.layers.slice import Slice
from oneiro.layers.where import Trilu


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, None, [2, 3, 5]), (1, 2, [3]), (-2, None, [3, 5])]
)
def test_shape_is_an_array(start: int, end: int | None, expected: list[int]) -> None:
    np.testing.assert_array_equal(
        Shape(start=start, end=end).forward(np.zeros((2, 3, 5))), expected
    )
    assert Shape().backward(None) is None


def test_what_is_known_of_a_shape_stays_known() -> None:
    x = Graph().input("x", np.float32, (2, 12, None, None))
    shape = Shape().forward(x)
    assert isinstance(shape, Symbol)
    channels = Gather().forward(shape, np.array(1))
    np.testing.assert_array_equal(channels, 12)
    height = Unsqueeze().forward(Gather().forward(shape, np.array(-2)), np.array([0]))
    assert height is x.shape[2]
    half = shape * np.array([1, 1, 2, 1]) // np.array([2, 1, 1, 1])
    joint = Concat(axis=0).forward(half[:1], np.array([3, 4]), half[2:])
    assert Reshape().forward(x, joint).dims == (1, 3, 4, None, None)
    flags = np.equal(shape, np.array([2, 2, 2, 2]))
    assert Expand().forward(x[:1, :1], np.where(flags, 1, shape)).dims == (1, 12, None, None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [((0, -1), (None, 84)), ((0, 3, -1, 7), (None, 3, 4, 7)), ((-1, 7), (None, 7))],
)
def test_a_size_that_both_shapes_share_cancels(target: Any, expected: Any) -> None:
    x = Graph().input("x", np.float32, (None, 12, 7))
    assert Reshape().forward(x, np.array(target)).dims == expected


@pytest.mark.parametrize(
    ("layer", "operands", "message"),
    [
        (Reshape(), ([5, -1],), r"\(2, 3, 4\) cannot be reshaped to \(5, -1\)"),
        (Reshape(), ([7, 2],), r"\(2, 3, 4\) cannot be reshaped to \(7, 2\)"),
        (Reshape(), ([-1, -1],), "cannot be reshaped"),
        (Reshape(), ([-2, 12],), "cannot be reshaped"),
        (Reshape(), ([2, 3, 4, 0],), "cannot be reshaped"),
        (Reshape(allowzero=1), ([0, -1],), "cannot be reshaped"),
        (Squeeze(), ([1],), "size not equal to one|cannot be squeezed"),
        (Squeeze(), ([3],), "out of bounds"),
        (Unsqueeze(), ([0, -5],), "repeated axis"),
        (Unsqueeze(), ([5],), "out of bounds"),
        (Transpose(perm=[0, 2, 2]), (), r"\[0, 2, 2\] is no order of 3 axes"),
        (Flatten(axis=4), (), "axis 4 is not one of 3 axes"),
        (Expand(), ([5, 4],), "shape mismatch|do not match"),
        (Expand(), ([-1, 1],), r"\(-1, 1\) is no shape"),
        (Tile(), ([2, 2],), "cannot be repeated"),
        (Tile(), ([2, -2, 1],), "cannot be repeated"),
        (Concat(axis=3), (), "out of bounds"),
        (Split(), ([1, 2],), r"an axis of 2 cannot be split into \(1, 2\)"),
        (Split(), ([3, -1],), "cannot be split"),
        (Split(num_outputs=4), (), "an axis of 2 cannot be split into 4 pieces"),
        (Split(num_outputs=1 << 60), (), "cannot be split"),
        (Split(), (), "cannot be split into 0 pieces"),
        (Slice(), ([0], [1], [0], [0]), "a step of 0"),
        (Slice(), ([0], [1], [3]), "out of bounds"),
        (Slice(), ([0], [1, 2]), "differ in length"),
        (Trilu(), ([1, 2],), "reshape"),
    ],
)
@pytest.mark.parametrize("traced", [False, True], ids=["array", "symbol"])
def test_what_does_not_fit_is_refused(
    layer: Layer, operands: Any, message: str, traced: bool
) -> None:
    shape = (2, 3, 4)
    x = Graph().input("x", np.float32, shape) if traced else np.zeros(shape, np.float32)
    with pytest.raises(ValueError, match=message):
        layer.forward(x, *map(np.array, operands))


@pytest.mark.parametrize(
    ("layer", "operands", "message"),
    [
        (ConstantOfShape(), ([2, -1],), r"\(2, -1\) is no shape"),
        (ConstantOfShape(), ([1 << 40, 1 << 40],), "too big|too large"),
        (ConstantOfShape(value=np.zeros(2)), ([2],), "reshape"),
        (Range(), (0, 1 << 40, 1), "longer than"),
        (Range(), (0.0, np.inf, 1.0), "longer than"),
        (Range(), (0.0, np.nan, 1.0), "longer than"),
        (Range(), (0, 5, 0), "steps of 0"),
        (OneHot(), ([1, 2], 1 << 40, [0, 1]), "a depth of"),
        (OneHot(), ([1, 2], 0, [0, 1]), "a depth of 0"),
        (OneHot(axis=2), ([1, 2], 3, [0, 1]), "out of bounds"),
        (EyeLike(), ([1.0, 2.0],), "an array of 1 axes is no matrix"),
        (Cast(to=np.dtype(object)), ([1.0],), "no arrays of type object"),
        (Gemm(alpha=0.5), ([[1]], [[2]]), "Gemm of integers by a factor of 0.5"),
        (Gemm(), ([1.0], [[2.0]]), "Gemm of 1-D and 2-D"),
        (MatMul(), (1.0, [[2.0]]), "MatMul of a single number"),
        (Trilu(), ([1.0],), "1 axes"),
        (Concat(axis=0), ([1.0], [[2.0]]), "arrays of 1 and 2 axes"),
    ],
)
def test_numbers_that_make_no_array_are_refused(layer: Layer, operands: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.forward(*map(np.array, operands))


def test_constants_of_a_shape_take_no_memory() -> None:
    y = ConstantOfShape(value=np.array([7])).forward(np.array([1 << 20, 1 << 20]))
    assert y[5, 7] == 7
    assert not any(y.strides)


def test_parts_without_a_diff_count_as_zero() -> None:
    x = np.arange(6.0).reshape(2, 3)
    split = Split(axis=1)
    split.forward(x, np.array([1, 2]))
    dx, _ = split.backward(None, np.ones((2, 2)))
    np.testing.assert_array_equal(dx, [[0, 1, 1], [0, 1, 1]])
