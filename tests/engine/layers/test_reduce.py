"""Reductions where equals, zeros and empty sets meet."""

import numpy as np
import pytest

from oneiro.layers.reduce import (
    ReduceL2,
    ReduceLogSum,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    ReduceSumSquare,
)

COLUMNS = np.array([1])


def test_equal_extremes_share_the_diff() -> None:
    x = np.array([[3.0, 1, 3], [2, 2, 2], [0, 5, 4]])
    dy = np.array([[6.0], [6], [6]])
    for layer, sign in ((ReduceMax(), 1), (ReduceMin(), -1)):
        layer.forward(sign * x, COLUMNS)
        np.testing.assert_array_equal(layer.backward(dy)[0], [[3, 0, 3], [2, 2, 2], [0, 6, 0]])


def test_a_product_with_zeros_has_a_slope_where_one_factor_is_zero() -> None:
    layer = ReduceProd(keepdims=0)
    layer.forward(np.array([[2.0, 3, 5], [2, 0, 5], [0, 0, 5]]), COLUMNS)
    dx, _ = layer.backward(np.ones(3))
    np.testing.assert_allclose(dx, [[15, 10, 6], [0, 10, 0], [0, 0, 0]])


def test_the_length_of_nothing_has_no_slope() -> None:
    layer = ReduceL2()
    layer.forward(np.zeros((2, 3)), COLUMNS)
    np.testing.assert_array_equal(layer.backward(np.ones((2, 1)))[0], np.zeros((2, 3)))


def test_sums_of_exponentials_do_not_overflow() -> None:
    layer = ReduceLogSumExp(keepdims=0)
    x = np.array([[1000.0, 1000], [-1000, -1000], [np.inf, 1]])
    np.testing.assert_allclose(
        layer.forward(x, COLUMNS), [1000 + np.log(2), np.log(2) - 1000, np.inf]
    )


@pytest.mark.parametrize("layer", [ReduceLogSum(), ReduceLogSumExp()])
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_logarithm_of_an_empty_sum(layer: ReduceLogSum) -> None:
    np.testing.assert_array_equal(layer.forward(np.zeros((2, 0)), COLUMNS), [[-np.inf], [-np.inf]])


def test_no_axes_leave_what_is_done_to_each_element() -> None:
    x = np.array([[1.0, -2], [3, 4]])
    layer = ReduceSumSquare(noop_with_empty_axes=1)
    np.testing.assert_array_equal(layer.forward(x, np.array([], int)), x * x)
    np.testing.assert_array_equal(layer.backward(np.ones((2, 2)))[0], 2 * x)


@pytest.mark.parametrize("axes", [[2], [-3], [0, -2]])
def test_axes_that_are_none(axes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"out of bounds|repeated"):
        ReduceSum().forward(np.ones((2, 3)), np.array(axes))
