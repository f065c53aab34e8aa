"""Local response normalisation and rectifiers in blocks, shared by threads."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import crew, lrn_numpy
from oneiro.kernels.lrn import lrn, lrn_backward


@pytest.fixture(autouse=True, params=[1, 3])
def threads(monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[None]:
    monkeypatch.setattr(crew, "WAKING", 0)
    monkeypatch.setattr(lrn_numpy, "BLOCK", 100)
    monkeypatch.setattr(lrn_numpy, "CHANNELS", 2)
    crew.use(request.param)
    yield
    crew.use(None)


@pytest.mark.parametrize("size", [1, 2, 5, 40])
@pytest.mark.parametrize("shape", [(2, 17, 3, 5), (1, 3, 2, 4), (3, 18, 7), (0, 3, 2, 4)])
def test_blocks_are_as_the_whole(shape: tuple[int, ...], size: int) -> None:
    random = np.random.default_rng(0)
    x, dy = random.normal(size=(2, *shape))
    y, scale, shrink = lrn(x, size, 2.0, 0.75, 1.5)
    before, after = (size - 1) // 2, size // 2
    channels = np.arange(shape[1])
    distance = channels - channels[:, None]
    near = ((distance >= -before) & (distance <= after)).astype(float)
    sums = np.einsum("ij,nj...->ni...", near, x * x)
    np.testing.assert_allclose(scale, 1.5 + 2 / size * sums)
    np.testing.assert_allclose(shrink, scale**-0.75)
    np.testing.assert_allclose(y, x * shrink)
    shared = np.einsum("ij,ni...->nj...", near, dy * x * shrink / scale)
    found = lrn_backward(dy, x, scale, shrink, size, 2.0, 0.75)
    np.testing.assert_allclose(found, dy * shrink - 2 * 2 * 0.75 / size * x * shared, atol=1e-12)
