"""The rules of the rectifiers."""

import numpy as np
import pytest

from oneiro.layers.elu import Elu
from oneiro.layers.gelu import Gelu, HardSwish
from oneiro.layers.relu import Clip, LeakyRelu, PRelu, Relu, Shrink, ThresholdedRelu
from oneiro.layers.sigmoid import Sigmoid
from oracle.adjoint import as_tuple

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
        (ThresholdedRelu(alpha=1.5), []),
    ],
)
def test_rectifiers_rectify_what_goes_back(layer: LeakyRelu, more: list[np.ndarray]) -> None:
    layer.forward(X, *more)
    gradient, *_ = as_tuple(layer.backward(DY))
    guided, *_ = as_tuple(layer.backward_guided(DY))
    np.testing.assert_array_equal(layer.backward_deconv(DY), np.maximum(DY, 0))
    np.testing.assert_array_equal(guided, np.maximum(gradient, 0))


@pytest.mark.parametrize(
    ("layer", "more"),
    [
        (Sigmoid(), []),
        (Elu(), []),
        (Gelu(), []),
        (HardSwish(), []),
        (Shrink(), []),
        (Clip(), [np.array(-1.0), np.array(1.0)]),
    ],
)
def test_others_keep_their_gradient(layer: Sigmoid, more: list[np.ndarray]) -> None:
    layer.forward(X, *more)
    gradient = as_tuple(layer.backward(DY))
    for rule in (layer.backward_guided, layer.backward_deconv):
        np.testing.assert_array_equal(as_tuple(rule(DY))[0], gradient[0])


def test_clip_is_flat_at_its_bounds() -> None:
    layer = Clip()
    layer.forward(np.array([0.0, 1, 6, 7]), np.array(0.0), np.array(6.0))
    dx, _, _ = layer.backward(np.ones(4))
    np.testing.assert_array_equal(dx, [0, 1, 0, 0])
