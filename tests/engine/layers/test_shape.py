"""Sizes as values."""

import numpy as np
import pytest

from oneiro.kernels.symbol import Graph, Symbol
from oneiro.layers.shape import Reshape, Shape


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, None, [2, 3, 5]), (1, 2, [3]), (-2, None, [3, 5])]
)
def test_shape_is_an_array(start: int, end: int | None, expected: list[int]) -> None:
    np.testing.assert_array_equal(
        Shape(start=start, end=end).forward(np.zeros((2, 3, 5))), expected
    )
    assert Shape().backward(None) is None


def test_shape_of_an_unknown_size_is_a_symbol_that_reshape_takes() -> None:
    x = Graph().input("x", np.float32, (2, None, 5))
    shape = Shape().forward(x)
    assert isinstance(shape, Symbol)
    assert shape.dims == (3,)
    assert Reshape().forward(x, shape).ndim == 3
