"""Arithmetic where equals, zeros and integers meet."""

import numpy as np
import pytest

from oneiro.layers.arithmetic import Div, Max, Min, Mod, Pow


def test_equal_operands_share_the_diff() -> None:
    a, b, c = np.array([1.0, 5, 2]), np.array([1.0, 3, 2]), np.array([0.0, 5, 2])
    for layer, sign in ((Max(), 1), (Min(), -1)):
        layer.forward(sign * a, sign * b, sign * c)
        diffs = layer.backward(np.full(3, 6.0))
        np.testing.assert_array_equal(diffs, [[3, 3, 2], [3, 0, 2], [0, 3, 2]])


def test_a_constant_operand_gets_no_diff() -> None:
    layer = Max()
    layer.needs = (True, False)
    layer.forward(np.array([1.0, -1]), np.array(0.0))
    dx, none = layer.backward(np.ones(2))
    np.testing.assert_array_equal(dx, [1, 0])
    assert none is None


def test_integers_divide_towards_zero() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])
    np.testing.assert_array_equal(Div().forward(a, b), [3, -3, -3, 3])


def test_remainders_have_the_sign_of_one_operand() -> None:
    a, b = np.array([7, -7, 7, -7]), np.array([4, 4, -4, -4])
    np.testing.assert_array_equal(Mod().forward(a, b), [3, 1, -1, -3])
    np.testing.assert_array_equal(Mod(fmod=1).forward(a, b), [3, -3, 3, -3])
    with pytest.raises(ValueError, match="fmod"):
        Mod(fmod=2).forward(a, b)


def test_powers_of_zero_have_finite_slopes() -> None:
    layer = Pow()
    layer.forward(np.zeros(3), np.array([0.0, 1, 2]))
    np.testing.assert_array_equal(layer.backward(np.ones(3)), [[0, 1, 0], [0, 0, 0]])
