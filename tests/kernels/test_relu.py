"""The rectifier in blocks, shared by threads."""

from collections.abc import Iterator

import numpy as np
import pytest

from oneiro.kernels import crew
from oneiro.kernels.relu import relu, relu_backward


@pytest.fixture(autouse=True)
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(crew, "WAKING", 0)
    monkeypatch.setattr("oneiro.kernels.relu.BLOCK", 10)
    crew.use(3)
    yield
    crew.use(None)


def test_blocks_are_as_the_whole() -> None:
    x, dy = np.random.default_rng(0).normal(size=(2, 3, 5, 7, 9))
    x[0, 1] = np.nan
    for a, b in ((x, dy), (x[:, ::2], dy[:, ::2]), (x.T, dy.T), (x.T, dy.T.copy())):
        y = relu(a)
        np.testing.assert_array_equal(y, np.maximum(a, 0))
        np.testing.assert_array_equal(relu_backward(b, y), b * (y > 0))
    assert relu(x[:0]).shape == (0, 5, 7, 9)
