"""Plain convolutions on the CPU's fast executor: sizes that fill vectors and strips, or not."""

import math

import numpy as np
import pytest

from oneiro.kernels.plain import in_blocks, plain
from oneiro.kernels.tail import NOTHING, RECTIFIER, Tail

pytest.importorskip("numba", reason="the kernels are compiled by it")


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def check(shape: tuple[int, ...], outputs: int, tail: Tail = NOTHING) -> None:
    x, w, b = drawn(*shape), drawn(outputs, shape[1]), drawn(outputs)
    result = (shape[0], outputs, *shape[2:])
    room = np.full(math.prod(result) + 64, np.nan, np.float32)
    out = room[: math.prod(result)].reshape(result)
    plain.twins["fast"](out, x, w, in_blocks(w), b, tail=tail)
    wanted = tail.of(plain.specification(x, w, None, b))
    np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-4)
    assert np.isnan(room[out.size :]).all()


@pytest.mark.parametrize(
    ("shape", "outputs"),
    [
        ((1, 16, 12, 8), 32),
        ((2, 7, 9, 13), 11),
        ((1, 3, 1, 1), 40),
        ((2, 5, 37), 6),
        ((1, 1280, 7, 6), 33),  # more channels than a strip has room for
        ((1, 300, 5, 3), 5),
        ((1, 6, 41, 50), 20),  # several strips
        ((1, 2, 2, 3, 5), 3),
        ((0, 3, 4, 5), 2),
    ],
)
def test_sizes(shape: tuple[int, ...], outputs: int) -> None:
    check(shape, outputs)


ADD, GATE = drawn(2, 18, 9, 5), drawn(2, 18, 9, 5)[::-1]


@pytest.mark.parametrize(
    "tail",
    [
        Tail(ADD),
        Tail(gate=GATE),
        Tail(gate=GATE, opened=(-0.5, 0.7)),
        Tail(gate=GATE, opened=(-math.inf, 0.7)),
        Tail(bounds=RECTIFIER),
        Tail(bounds=(-0.5, 2.0)),
        Tail(bounds=(-math.inf, 2.0)),
        Tail(ADD, bounds=(0.0, 6.0)),
        Tail(ADD, GATE, (-0.1, 0.9), (-0.5, 0.7)),
    ],
)
def test_tails(tail: Tail) -> None:
    check((2, 8, 9, 5), 18, tail)


def test_nan_stays_behind_bounds() -> None:
    x, w = drawn(1, 3, 4, 5), np.ones((2, 3), np.float32)
    x[0, 1, 2, 3] = np.nan
    out = np.empty((1, 2, 4, 5), np.float32)
    plain.twins["fast"](out, x, w, None, None, tail=Tail(bounds=(0.0, 6.0)))
    assert np.isnan(out).sum() == 2
