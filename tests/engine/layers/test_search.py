"""Orders of values: what does not fit, and diffs that nobody sent."""

import numpy as np
import pytest

from oneiro.layers.search import CumSum, TopK

X = np.random.default_rng(0).normal(size=(2, 5))


def test_the_largest_of_equals_are_the_first() -> None:
    values, places = TopK().forward(np.array([1, 3, 2, 3, 3, 2]), np.array([4]))
    np.testing.assert_array_equal(values, [3, 3, 3, 2])
    np.testing.assert_array_equal(places, [1, 3, 4, 2])


def test_places_send_nothing_back() -> None:
    layer = TopK()
    layer.forward(X, np.array([2]))
    assert layer.backward(None, np.ones((2, 2))) == (None, None)


@pytest.mark.parametrize("k", [-1, 6])
def test_more_than_there_is(k: int) -> None:
    with pytest.raises(ValueError, match=f"cannot take {k} of 5"):
        TopK().forward(X, np.array([k]))


def test_a_sum_along_an_axis_that_is_none() -> None:
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        CumSum().forward(X, np.array(2))
