"""Pools of maxima in blocks of planes, shared by threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import crew, pool_numpy
from oneiro.kernels.pool import max_pool, max_pool_backward
from oneiro.kernels.window import Window, padded, sliding_window

WINDOWS = [
    sliding_window((3, 3), (2, 2), (0, 0, 1, 1)),
    sliding_window((3, 2), (1, 3), (1, 0, 2, 1), (2, 1)),
    sliding_window((1, 3), (1, 2), (0, 1, 0, 1)),
    sliding_window((2, 2), (2, 1), (1, 1, 0, 0), ceil=True),
    sliding_window((1, 1), (2, 1)),
    sliding_window((17, 16), (1, 2), (8, 9, 8, 9)),  # more places than a byte can count
]


@pytest.fixture(autouse=True, params=[1, 3])
def threads(monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[None]:
    monkeypatch.setattr(crew, "WAKING", 0)
    monkeypatch.setattr(pool_numpy, "BLOCK", 150)
    crew.use(request.param)
    yield
    crew.use(None)


def first_of_the_largest(x: Any, window: Window) -> tuple[Any, Any]:
    """What windows hold one beside the other, and the first that is as large as any."""
    counts = window.sizes(x.shape[2:])
    index = padded(np.arange(x.size).reshape(x.shape), window, -1)
    full = padded(x, window, np.nan)
    places = np.stack([index[sweep] for _, sweep in window.offsets(counts)])
    values = np.stack([full[sweep] for _, sweep in window.offsets(counts)])
    y = np.nanmax(values, 0)
    first = ((values == y) & (places >= 0)).argmax(0)[None]
    return y, np.take_along_axis(places, first, 0)[0]


@pytest.mark.parametrize("window", WINDOWS)
def test_the_first_of_the_largest(window: Window) -> None:
    random = np.random.default_rng(0)
    many_alike = random.integers(-2, 3, size=(2, 7, 10, 9)).astype(np.float32)
    for x in (many_alike, np.where(many_alike > 1, -np.inf, many_alike), many_alike.swapaxes(0, 1)):
        y, where = max_pool(x, window)
        wanted, places = first_of_the_largest(x, window)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(where, places)


@pytest.mark.parametrize("window", WINDOWS)
def test_the_way_back(window: Window) -> None:
    x = np.random.default_rng(0).normal(size=(2, 7, 10, 9))
    y, where = max_pool(x, window)
    dx = np.zeros(x.size)
    for place, value in zip(where.ravel(), y.ravel(), strict=True):
        dx[place] += value
    found = max_pool_backward(y, where, x.shape, window)
    np.testing.assert_array_equal(found, dx.reshape(x.shape))


def test_behind_a_nan_nothing_wins() -> None:
    x = np.array([3, 1, 4, 1, np.nan, 9, 2, 6, 5], np.float32).reshape(1, 1, 3, 3)
    y, where = max_pool(x, sliding_window((3, 3)))
    assert np.isnan(y).all()
    assert where.ravel() == [2]


def test_no_pictures_have_no_maxima() -> None:
    window = WINDOWS[0]
    y, where = max_pool(np.zeros((0, 3, 8, 9), np.float32), window)
    assert y.shape == where.shape == (0, 3, 4, 4)
    assert max_pool_backward(y, where, (0, 3, 8, 9), window).shape == (0, 3, 8, 9)
