"""Objectives: the value by hand, the diff as the value's slope."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import ArgumentError
from oneiro.objective import (
    Objective,
    alpha_norm,
    channel,
    direction,
    each,
    feature,
    gram,
    guide,
    l2,
    neuron,
    total_variation,
    weighted,
)
from oracle import notebook


def normal(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape)


GUIDE = normal(1, 4, 3, 6, seed=1)
MASK = np.random.default_rng(2).integers(0, 2, (1, 4, 5, 7)).astype(float)

OBJECTIVES = {
    "l2": l2,
    "channel": channel(2),
    "neuron": neuron(3, 0, 6),
    "middle": neuron(1),
    "guide": guide(GUIDE),
    "weighted": weighted([(2.0, l2), (-0.5, channel(0)), (3.0, neuron(2)), (0.7, guide(GUIDE))]),
    "feature": feature(normal(1, 4, 5, 7, seed=1)),
    "masked feature": feature(normal(1, 4, 5, 7, seed=1), MASK),
    "gram": gram(normal(1, 4, 4, seed=1)),
    "masked gram": gram(normal(1, 4, 4, seed=1), np.abs(normal(5, 7, seed=3))),
    **{f"total variation {beta}": total_variation(beta) for beta in (0.8, 1, 1.5, 2, 3, 6)},
    **{f"alpha norm {alpha}": alpha_norm(alpha) for alpha in (1, 1.5, 2, 3, 6)},
    **{f"elementwise {alpha}": alpha_norm(alpha, joint=False) for alpha in (1, 2, 3, 6)},
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


# Objectives that are reckoned with.


def test_objectives_add_up() -> None:
    data = normal(1, 4, 5, 7)
    parts = [l2(data), channel(2)(data), neuron(3, 0, 6)(data)]
    value, diff = (2 * l2 - channel(2) * 0.5 + -neuron(3, 0, 6))(data)
    weights = (2.0, -0.5, -1.0)
    assert value == pytest.approx(sum(w * part[0] for w, part in zip(weights, parts, strict=True)))
    expected = sum(w * part[1] for w, part in zip(weights, parts, strict=True))
    np.testing.assert_allclose(diff, expected)


def test_any_function_may_be_added() -> None:
    def total(data: Any) -> tuple[Any, Any]:
        return data.sum(), 1 + np.zeros_like(data)

    data = normal(1, 4, 5, 7)
    value, diff = (channel(1) - total)(data)
    assert value == pytest.approx(data[:, 1].sum() - data.sum())
    np.testing.assert_allclose(diff, channel(1)(data)[1] - 1)


def test_sums_leave_their_terms_alone() -> None:
    data, one = normal(1, 4, 5, 7), channel(1)
    before = one(data)[0]
    _ = 3 * (one + l2) - one
    assert one(data)[0] == before


def test_a_direction_is_a_sum_of_channels() -> None:
    data = normal(2, 4, 5, 7)
    value, diff = direction([1.0, 0.0, -2.0, 0.0])(data)
    assert value == pytest.approx((data[:, 0] - 2 * data[:, 2]).sum())
    np.testing.assert_array_equal(diff, np.broadcast_to(diff[:1, :, :1, :1], data.shape))
    assert diff[1, :, 3, 3].tolist() == [1, 0, -2, 0]


@pytest.mark.parametrize("vector", [[1.0, 2.0], [[1.0] * 4], 1.0])
def test_a_direction_has_a_number_for_each_channel(vector: Any) -> None:
    with pytest.raises(ArgumentError, match="direction"):
        direction(vector)(normal(1, 4, 5, 7))


def test_each_picture_has_its_objective() -> None:
    data = normal(3, 4, 5, 7)
    value, diff = each([channel(1), None, l2])(data)
    np.testing.assert_allclose(value, [data[0, 1].sum(), 0, 0.5 * (data[2] ** 2).sum()])
    np.testing.assert_array_equal(diff[0], channel(1)(data[:1])[1][0])
    assert not diff[1].any()
    np.testing.assert_array_equal(diff[2], data[2])


# What inversion is made of.


def test_distance_and_priors_by_hand() -> None:
    data = normal(2, 3, 5, 7)
    features = normal(1, 3, 5, 7, seed=1)
    mask = MASK[:, :3]
    value, diff = feature(features, mask)(data)
    assert value == pytest.approx((mask * (data - features) ** 2).sum())
    assert not diff[np.broadcast_to(mask, data.shape) == 0].any()
    assert feature(data)(data)[0] == 0
    lengths = np.sqrt((data**2).sum(1))
    assert alpha_norm()(data)[0] == pytest.approx((lengths**6).sum())
    assert alpha_norm(6, joint=False)(data)[0] == pytest.approx((data**6).sum())
    assert alpha_norm(3, joint=False)(data)[0] == pytest.approx((np.abs(data) ** 3).sum())
    rows, columns = np.diff(data, axis=2), np.diff(data, axis=3)
    assert total_variation()(data)[0] == pytest.approx((rows**2).sum() + (columns**2).sum())


@pytest.mark.parametrize("alpha", [1, 1.5, 2, 6])
def test_black_pixels_have_no_slope(alpha: float) -> None:
    for joint in (True, False):
        value, diff = alpha_norm(alpha, joint)(np.zeros((1, 3, 2, 4), np.float32))
        assert value == 0
        assert not diff.any()


@pytest.mark.parametrize("make", [lambda: alpha_norm(0.5), lambda: total_variation(0)])
def test_powers_that_make_no_sense(make: Callable[[], Objective]) -> None:
    with pytest.raises(ArgumentError, match=r"alpha|beta"):
        make()


# Style.


def test_a_gram_matrix_is_the_mean_of_products() -> None:
    data, target = normal(1, 4, 5, 7), normal(1, 4, 4, seed=1)
    rows = data[0].reshape(4, 35)
    value, _ = gram(target)(data)
    assert value == pytest.approx(((rows @ rows.T / 35 - target[0]) ** 2).sum())
    assert gram((rows @ rows.T / 35)[None])(data)[0] == pytest.approx(0)


def test_a_mask_says_which_places_make_a_gram_matrix() -> None:
    data, mask = normal(1, 4, 5, 7), np.zeros((5, 7))
    mask[1:3, 2:6] = 0.5
    part = data[:, :, 1:3, 2:6]
    target = normal(1, 4, 4, seed=1)
    value, diff = gram(target, mask)(data)
    assert value == pytest.approx(gram(target)(part)[0])
    assert not diff[:, :, mask == 0].any()
    assert diff[:, :, mask > 0].all()
