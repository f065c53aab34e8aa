"""Objectives: the value by hand, the diff as the value's slope."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import ArgumentError
from oneiro.objective import Objective, channel, guide, l2, neuron, weighted
from oracle import notebook


def normal(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape)


GUIDE = normal(1, 4, 3, 6, seed=1)

OBJECTIVES = {
    "l2": l2,
    "channel": channel(2),
    "neuron": neuron(3, 0, 6),
    "middle": neuron(1),
    "guide": guide(GUIDE),
    "weighted": weighted([(2.0, l2), (-0.5, channel(0)), (3.0, neuron(2)), (0.7, guide(GUIDE))]),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_diff_is_the_slope_of_the_value(name: str) -> None:
    objective, data = OBJECTIVES[name], normal(1, 4, 5, 7)
    _, diff = objective(data)
    assert diff.shape == data.shape
    for seed in (2, 3, 4):
        way = normal(*data.shape, seed=seed)
        up, down = (objective(data + step * way)[0] for step in (1e-6, -1e-6))
        assert np.sum(diff * way) == pytest.approx((up - down) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("objective", "value"),
    [
        (l2, lambda a: 0.5 * (a**2).sum()),
        (channel(2), lambda a: a[:, 2].sum()),
        (neuron(3, 0, 6), lambda a: a[:, 3, 0, 6].sum()),
        (neuron(1), lambda a: a[:, 1, 2, 3].sum()),
        (neuron(1, column=0), lambda a: a[:, 1, 2, 0].sum()),
        (
            weighted([(2.0, channel(0)), (-1.0, channel(3))]),
            lambda a: (2 * a[:, 0] - a[:, 3]).sum(),
        ),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_by_hand(objective: Objective, value: Callable[[Any], float], dtype: type) -> None:
    data = normal(2, 4, 5, 7).astype(dtype)
    found, diff = objective(data)
    assert found == pytest.approx(value(data), rel=1e-5)
    assert diff.shape == data.shape
    assert diff.dtype == dtype


@pytest.mark.parametrize("objective", [channel(3), neuron(3)], ids=["channel", "neuron"])
def test_a_class_is_a_channel_of_a_vector(objective: Objective) -> None:
    scores = normal(1, 6)
    value, diff = objective(scores)
    assert value == scores[0, 3]
    assert diff.tolist() == [[0, 0, 0, 1, 0, 0]]


@pytest.mark.parametrize(
    ("objective", "said"),
    [
        (channel(4), "channel 4.*3"),
        (channel(-1), "channel -1.*3"),
        (neuron(4), "4.*4, 5, 7"),
        (neuron(0, 5, 0), "5.*4, 5, 7"),
        (neuron(0, 0, 7), "7.*4, 5, 7"),
        (neuron(0, -1, 0), "-1.*4, 5, 7"),
    ],
)
def test_places_outside_the_blob(objective: Objective, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        objective(normal(1, 4, 5, 7))


def test_objectives_leave_the_data_alone() -> None:
    data = normal(1, 4, 5, 7)
    before = data.copy()
    for objective in OBJECTIVES.values():
        objective(data)
    np.testing.assert_array_equal(data, before)


def test_a_guide_is_the_notebook_s() -> None:
    data = normal(1, 4, 5, 7)
    value, diff = guide(GUIDE)(data)
    np.testing.assert_array_equal(diff, notebook.guide_diff(data, GUIDE))
    products = np.einsum("cp,cq->pq", data[0].reshape(4, -1), GUIDE[0].reshape(4, -1))
    assert value == pytest.approx(products.max(1).sum())


def test_a_guide_with_more_products_than_fit_at_once() -> None:
    data, features = normal(1, 3, 47, 53), normal(1, 3, 43, 59, seed=1)  # 6.3 million products
    _, diff = guide(features)(data)
    np.testing.assert_array_equal(diff, notebook.guide_diff(data, features))


def test_each_picture_of_a_batch_is_guided() -> None:
    data = normal(2, 4, 5, 7)
    _, diff = guide(GUIDE)(data)
    for k in range(2):
        np.testing.assert_array_equal(diff[k : k + 1], notebook.guide_diff(data[k : k + 1], GUIDE))
