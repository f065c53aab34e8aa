"""The rules of the rectifiers."""

import numpy as np
import pytest

from oneiro.layers.relu import Clip, LeakyRelu, PRelu, Relu
from oneiro.layers.sigmoid import Sigmoid

# Springenberg et al. 2014, Figure 1
X = np.array([[1.0, -1, 5], [2, -5, -7], [-3, 2, 4]])
DY = np.array([[-2.0, 3, -1], [6, -3, 1], [2, -1, 3]])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("backward", [[-2, 0, -1], [6, 0, 0], [0, -1, 3]]),
        ("backward_deconv", [[0, 3, 0], [6, 0, 1], [2, 0, 3]]),
        ("backward_guided", [[0, 0, 0], [6, 0, 0], [0, 0, 3]]),
    ],
)
def test_worked_example(rule: str, expected: list[list[float]]) -> None:
    layer = Relu()
    layer.forward(X)
    np.testing.assert_array_equal(getattr(layer, rule)(DY), expected)


def test_slope_at_zero_is_zero() -> None:
    layer = Relu()
    layer.forward(np.zeros((2, 3)))
    np.testing.assert_array_equal(layer.backward(np.ones((2, 3))), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("layer", "more"),
    [
        (LeakyRelu(alpha=0.3), []),
        (PRelu(), [np.array(0.3)]),
        (Clip(), [np.array(0.0), np.array(2.5)]),
        (Clip(), [np.array(0.0)]),
    ],
)
def test_rectifiers_rectify_what_goes_back(layer: LeakyRelu, more: list[np.ndarray]) -> None:
    layer.forward(X, *more)
    gradient = layer.backward(DY)
    gradient = gradient[0] if isinstance(gradient, tuple) else gradient
    guided = layer.backward_guided(DY)
    guided = guided[0] if isinstance(guided, tuple) else guided
    np.testing.assert_array_equal(layer.backward_deconv(DY), np.maximum(DY, 0))
    np.testing.assert_array_equal(guided, np.maximum(gradient, 0))


@pytest.mark.parametrize(
    ("layer", "more"), [(Sigmoid(), []), (Clip(), [np.array(-1.0), np.array(1.0)])]
)
def test_others_keep_their_gradient(layer: Sigmoid, more: list[np.ndarray]) -> None:
    layer.forward(X, *more)
    for rule in (layer.backward_guided, layer.backward_deconv):
        np.testing.assert_array_equal(rule(DY), layer.backward(DY))


def test_clip_is_flat_at_its_bounds() -> None:
    layer = Clip()
    layer.forward(np.array([0.0, 1, 6, 7]), np.array(0.0), np.array(6.0))
    np.testing.assert_array_equal(layer.backward(np.ones(4)), [0, 1, 0, 0])
