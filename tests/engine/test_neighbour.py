"""Nearest neighbours: by another program's distances, ties by index, odd vectors."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from oneiro import ArgumentError, neighbour
from oneiro.neighbour import nearest


def vectors(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize(("metric", "other"), [("l2", "euclidean"), ("cosine", "cosine")])
@pytest.mark.parametrize("block", [1, 100, 2**24])
def test_they_are_those_of_all_distances(
    monkeypatch: pytest.MonkeyPatch, metric: str, other: str, block: int
) -> None:
    monkeypatch.setattr(neighbour, "BLOCK", block)
    held, asked = vectors(53, 7), vectors(11, 7, seed=1)
    apart = cdist(asked.astype(float), held.astype(float), other)
    index, distance = nearest(held, 5, metric, asked)
    np.testing.assert_array_equal(index, np.argsort(apart, axis=1)[:, :5])
    np.testing.assert_allclose(distance, np.sort(apart, axis=1)[:, :5])


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_nobody_is_a_neighbour_of_itself(metric: str) -> None:
    held = vectors(9, 4)
    index, distance = nearest(held, 100, metric)
    assert index.shape == (9, 8)
    for k, row in enumerate(index):
        assert sorted(row) == [other for other in range(9) if other != k]
    assert (np.diff(distance) >= 0).all()


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_of_equally_near_ones_the_first_comes_first(metric: str) -> None:
    # far from zero, where a product of matrices cannot tell who is nearer
    one, two = 1e4 + vectors(2, 31)
    held = np.stack([two, one, two, one, one, two])
    index, distance = nearest(held, 4, metric)
    np.testing.assert_array_equal(index[1], [3, 4, 0, 2])
    np.testing.assert_array_equal(index[4], [1, 3, 0, 2])
    assert (distance[:, :2] == 0).all()
    assert (distance[:, 2] > 0).all()


def test_close_ones_far_from_zero_are_told_apart() -> None:
    held = np.zeros((300, 3))
    held[:, 0] = 1e7
    held[:, 1] = np.random.default_rng(0).permutation(300) * 1e-3
    index, _ = nearest(held, 3, "l2", held[:1] * [1, 0, 0])
    np.testing.assert_array_equal(held[index[0], 1], [0, 1e-3, 2e-3])


def test_the_cosine_does_not_see_lengths() -> None:
    held = np.array([[3e-30, 0], [1, 1], [0, 5], [0, 0], [-2e30, 0]])
    index, distance = nearest(held, 5, "cosine", np.array([[1e30, 0], [0, 0]]))
    np.testing.assert_array_equal(index, [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]])
    np.testing.assert_allclose(distance, [[0, 1 - 0.5**0.5, 1, 1, 2], [1] * 5], atol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((np.zeros(3), 1), r"vectors are \(3,\)"),
        ((np.zeros((0, 3)), 1), r"\(0, 3\)"),
        ((np.array([[np.nan]]), 1), "NaN"),
        ((np.zeros((2, 3)), 0), "k is 0"),
        ((np.zeros((2, 3)), 1, "l3"), "metric 'l3' is not one of"),
        ((np.zeros((2, 3)), 1, "l2", np.zeros((2, 4))), "queries have 4 numbers each"),
    ],
)
def test_what_makes_no_sense(arguments: tuple, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        nearest(*arguments)


def test_one_alone_has_none() -> None:
    assert nearest(np.ones((1, 2)), 3).indices.shape == (1, 0)
