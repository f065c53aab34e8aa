"""Principal components beside those of the covariance."""

import numpy as np
import pytest

from oneiro.principal import principal, reduced


@pytest.mark.parametrize("count", [500, 5])  # more rows than numbers in each, and fewer
def test_components_are_those_of_the_covariance(count: int) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(count, 6)) @ random.normal(size=(6, 6)) + 7
    components, shares = principal(rows)
    k = min(count, 6)
    assert components.shape == (k, 6)
    variances, vectors = np.linalg.eigh(np.cov(rows.T))
    np.testing.assert_allclose(shares, variances[::-1][:k] / variances.sum(), rtol=1e-9, atol=1e-12)
    there = min(count - 1, 6)  # centred rows spread in one direction less
    products = np.abs(components @ vectors[:, ::-1])[:there, :there]
    np.testing.assert_allclose(products, np.eye(there), atol=1e-7)
    largest = np.abs(components).argmax(1)
    assert (components[np.arange(k), largest] > 0).all()


def test_rows_in_their_components() -> None:
    rows = np.random.default_rng(1).normal(size=(7, 3)) * (1, 30, 5) + 2
    found = reduced(rows, 5)
    assert found.shape == (7, 5)
    assert not found[:, 3:].any()
    distances = [np.linalg.norm(x[:, None] - x, axis=2) for x in (rows, found)]
    np.testing.assert_allclose(*distances, atol=1e-12)  # it is turned, nothing more
    assert found[:, 0].var() > found[:, 1].var() > found[:, 2].var()


def test_rows_that_are_all_alike() -> None:
    components, shares = principal(np.full((4, 3), 2.0))
    assert components.shape == (3, 3)
    assert not shares.any()
    assert not reduced(np.full((1, 3), 2.0), 2).any()
