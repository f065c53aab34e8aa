"""Total variation by hand, and its gradient by difference quotients."""

import numpy as np
import pytest

from oneiro.kernels.variation import total_variation


def test_total_variation_by_hand() -> None:
    x = np.float64([[[[0, 3, 3], [4, 3, 1]]]])
    # the differences (4, 3), (0, 0), (-2, 0); (0, -1), (0, -2), (0, 0) to the next row and column
    value, _ = total_variation(x, 2.0)
    assert value == 25 + 0 + 4 + 1 + 4
    value, _ = total_variation(x, 1.0)
    assert value == 5 + 0 + 2 + 1 + 2


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 6.0])
def test_the_gradient_is_that_of_the_value(beta: float) -> None:
    random = np.random.default_rng(0)
    x, towards = random.normal(size=(2, 2, 3, 5, 7))
    _, dx = total_variation(x, beta)
    step = 1e-6
    high, _ = total_variation(x + step * towards, beta)
    low, _ = total_variation(x - step * towards, beta)
    np.testing.assert_allclose((dx * towards).sum(), (high - low) / (2 * step), rtol=1e-6)


def test_a_flat_picture_has_no_gradient() -> None:
    value, dx = total_variation(np.full((1, 3, 4, 5), 7.0), 1.0)
    assert value == 0
    np.testing.assert_array_equal(dx, 0)
