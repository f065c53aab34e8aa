"""Kernels one behind another in compiled code, by any number of threads."""

from collections.abc import Iterator

import numpy as np
import pytest

from oneiro.kernels import crew
from oneiro.kernels.depthwise import depthwise
from oneiro.kernels.link import Link
from oneiro.kernels.plain import plain
from oneiro.kernels.tail import Tail
from oneiro.kernels.window import sliding_window

pytest.importorskip("numba", reason="the kernels are compiled by it")
from oneiro.kernels.chain_numba import Chain

WINDOW = sliding_window((3, 3), (1, 1), (1, 1, 1, 1))
DEPTH = 12
RANDOM = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


X, W, FILTERS, B = normal(1, 24, 97, 110), normal(24, 24) / 6, normal(24, 1, 3, 3) / 2, normal(24)


@pytest.fixture
def all_cores() -> Iterator[None]:
    yield
    crew.use(None)


def links(arrays: list[np.ndarray]) -> list[Link]:
    """Each reads what the one before it makes."""
    made = []
    for k in range(0, 2 * DEPTH, 2):
        x, y, z = arrays[k : k + 3]
        made.append(plain.twins["link"](y, x, W, None, B, tail=Tail(bounds=(0.0, 6.0))))
        made.append(depthwise.twins["link"](z, y, FILTERS, None, WINDOW, tail=Tail(add=x)))
    return made


def test_each_finds_what_the_one_before_it_made(all_cores: None) -> None:
    wanted = [X]
    for _ in range(DEPTH):
        y = np.clip(plain(wanted[-1], W, None, B), 0, 6)
        wanted += [y, depthwise(y, FILTERS, None, WINDOW) + wanted[-1]]
    arrays = [X, *(np.empty_like(X) for _ in range(2 * DEPTH))]
    chain = Chain(links(arrays))
    bits = []
    for threads in (1, 2, 5, 2):
        crew.use(threads)
        for array in arrays[1:]:
            array.fill(np.nan)
        chain()
        bits.append(arrays[-1].copy())
    for array, result in zip(arrays, wanted, strict=True):
        np.testing.assert_allclose(array, result, rtol=1e-3, atol=1e-3 * abs(result).max())
    assert all(np.array_equal(bits[0], others) for others in bits)


def test_pieces_do_not_depend_on_threads(all_cores: None) -> None:
    arrays = [X] * (2 * DEPTH + 1)
    pieces = []
    for threads in (1, 7):
        crew.use(threads)
        pieces.append([link.pieces for link in links(arrays)])
    assert pieces[0] == pieces[1]
    assert min(pieces[0]) > 1
