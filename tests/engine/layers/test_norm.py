"""Norms: tops that nobody sent a diff to, and shapes that do not fit."""

import numpy as np
import pytest

from oneiro.kernels.symbol import Graph
from oneiro.layer import LAYERS, Layer
from oneiro.layers.norm import (
    BatchNormalization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    LpNormalization,
    MeanVarianceNormalization,
    RMSNormalization,
)

random = np.random.default_rng(0)
X = random.normal(size=(2, 6, 5, 7))


def test_a_missing_diff_of_a_statistic_counts_as_zero() -> None:
    layer = LayerNormalization(axis=2)
    tops = layer.forward(X, random.normal(size=7))
    diffs = [random.normal(size=top.shape) for top in tops]
    parts = [
        layer.backward(*(d if k == one else None for k, d in enumerate(diffs)))[0]
        for one in range(3)
    ]
    np.testing.assert_allclose(sum(parts), layer.backward(*diffs)[0])


def test_scales_of_groups_are_those_of_all_their_channels() -> None:
    scale, bias = random.normal(size=(2, 3))
    layer = GroupNormalization(num_groups=3)
    each = layer.forward(X, np.repeat(scale, 2), np.repeat(bias, 2))
    np.testing.assert_array_equal(layer.forward(X, scale, bias), each)
    dy = random.normal(size=X.shape)
    _, dscale, dbias = layer.backward(dy)
    layer.forward(X, np.repeat(scale, 2), np.repeat(bias, 2))
    _, dscales, dbiases = layer.backward(dy)
    np.testing.assert_allclose(dscale, dscales.reshape(3, 2).sum(1))
    np.testing.assert_allclose(dbias, dbiases.reshape(3, 2).sum(1))


@pytest.mark.parametrize("p", [1, 2])
def test_nothing_stays_nothing(p: int) -> None:
    x = np.zeros((2, 3))
    np.testing.assert_array_equal(LpNormalization(p=p).forward(x), x)
    np.testing.assert_array_equal(MeanVarianceNormalization(axes=[1]).forward(x), x)


@pytest.mark.parametrize(
    ("layer", "shapes", "message"),
    [
        (BatchNormalization(), [(3,)] * 4, r"each of 6 channels has shape \(3,\)"),
        (InstanceNormalization(), [(3,)] * 2, "no values for 6 channels"),
        (GroupNormalization(num_groups=4), [(6,)] * 2, "6 channels do not make 4 groups"),
        (GroupNormalization(num_groups=0), [(6,)] * 2, "6 channels do not make 0 groups"),
        (GroupNormalization(num_groups=2), [(6,), (2,)], "no values for 6 channels in 2 groups"),
        (LayerNormalization(), [(3, 2, 6, 5, 7)], "does not fit"),
        (LayerNormalization(axis=4), [(7,)], "axis 4 is out of bounds"),
        (RMSNormalization(), [(3,)], "do not match"),
        (LpNormalization(p=3), [], "p 1 and 2, not 3"),
        (LpNormalization(axis=-5), [], "axis -5 is out of bounds"),
    ],
)
def test_what_does_not_fit(layer: Layer, shapes: list[tuple[int, ...]], message: str) -> None:
    """Neither on arrays nor on symbols."""
    for x in (X, Graph().input("x", float, X.shape)):
        with pytest.raises(ValueError, match=message):
            layer.forward(x, *map(np.ones, shapes))


def test_statistics_that_depend_on_the_picture_have_no_gradient() -> None:
    layer = LAYERS["BatchNormalization"]()
    layer.needs = (True, True, False, False, False)
    layer.forward(X, *(np.ones(6),) * 4)
    with pytest.raises(ValueError, match="no gradient"):
        layer.backward(X)
