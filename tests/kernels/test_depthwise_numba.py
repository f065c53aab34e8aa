"""Depthwise convolutions on the CPU's fast executor, whatever the geometry."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.depthwise import depthwise, depthwise_backward
from oneiro.kernels.tail import NOTHING, Tail
from oneiro.kernels.window import Window, sliding_window

pytest.importorskip("numba", reason="the kernels are compiled by it")
from oneiro.kernels import depthwise_numba

PADS = (1, 1, 1, 1)
CASES = [
    ((1, 5, 14, 28), sliding_window((3, 3), (1, 1), PADS)),
    ((2, 3, 13, 17), sliding_window((3, 3), (2, 2), (0, 0, 1, 1))),
    ((2, 3, 13, 18), sliding_window((3, 3), (2, 2), PADS)),
    ((1, 3, 9, 16), sliding_window((3, 3), (1, 1), (1, 0, 2, 3))),  # more behind than in front
    ((1, 3, 19, 22), sliding_window((3, 3), (1, 1), (9, 8, 7, 10))),  # more than the filter sees
    ((1, 3, 19, 22), sliding_window((5, 5), (1, 1), (2, 2, 2, 2))),
    ((1, 3, 19, 22), sliding_window((5, 2), (2, 1), (2, 1, 2, 0))),
    ((1, 2, 20, 23), sliding_window((2, 3), (3, 4), (1, 0, 0, 1))),  # phases without a tap
    ((1, 2, 20, 23), sliding_window((3, 2), (1, 2), (2, 1, 1, 1), (2, 3))),
    ((1, 2, 17, 12), sliding_window((3, 3), (2, 2), (2, 2, 2, 2), (2, 2))),
    ((1, 3, 6, 9), sliding_window((1, 1), (2, 3))),  # most are in no window
    ((1, 3, 7, 10), sliding_window((3, 3), (2, 2), ceil=True)),
    ((1, 3, 1, 2), sliding_window((3, 3), (1, 1), PADS)),  # larger than the picture
    ((1, 2, 97, 83), sliding_window((3, 3), (1, 1), PADS)),  # several times as large as a LINE
    ((1, 2, 181, 90), sliding_window((3, 3), (2, 2), (0, 0, 1, 1))),
    ((1, 2, 4, 2500), sliding_window((3, 3), (2, 1), PADS)),
    ((2, 700, 3, 2), sliding_window((3, 3), (1, 1), PADS)),  # many at a time
    ((0, 3, 4, 5), sliding_window((3, 3), (1, 1), PADS)),
]


def drawn(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def check(kernel: Any, wanted: np.ndarray, *args: Any, tail: Tail = NOTHING) -> None:
    """The fast twin fills an array that holds NaN, and nothing beside it."""
    room = np.full(wanted.size + 64, np.nan, np.float32)
    out = room[: wanted.size].reshape(wanted.shape)
    kernel.twins["fast"](out, *args, tail=tail)
    np.testing.assert_allclose(out, tail.of(wanted), rtol=1e-4, atol=2e-5)
    assert np.isnan(room[wanted.size :]).all()


@pytest.mark.parametrize(("shape", "window"), CASES)
@pytest.mark.parametrize("with_tail", [False, True])
def test_both_ways(shape: tuple[int, ...], window: Window, with_tail: bool) -> None:
    channels = shape[1]
    x, w, b = drawn(*shape), drawn(channels, 1, *window.kernel), drawn(channels)
    wanted = conv.specification(x, w, b, window, channels)
    for kernel, result, args in (
        (depthwise, wanted, (x, w, b, window)),
        (depthwise_backward, None, (np.cos(wanted), w, shape, window)),
    ):
        if result is None:
            result = conv_backward.specification(*args, channels)
        tail = NOTHING
        if with_tail:
            tail = Tail(np.sin(result), np.cos(3 * result), (-0.2, 0.9), (-1.5, 1.0))
        check(kernel, result, *args, tail=tail)


def test_filters_without_a_bias() -> None:
    window = sliding_window((3, 3), (1, 1), PADS)
    x, w = drawn(1, 4, 6, 9), drawn(4, 1, 3, 3)
    check(depthwise, conv.specification(x, w, None, window, 4), x, w, None, window)


def test_infinities_stay_where_they_are() -> None:
    window = sliding_window((3, 3), (1, 1), PADS)
    x, w = drawn(1, 2, 6, 9), np.ones((2, 1, 3, 3), np.float32)
    x[0, 0, 2, 4] = np.inf
    out = np.empty_like(x)
    depthwise.twins["fast"](out, x, w, None, window)
    assert np.isinf(out).sum() == 9
    assert not np.isnan(out).any()


def test_geometry_is_worked_out_once() -> None:
    window = sliding_window((3, 3), (1, 1), PADS)
    numbers = depthwise_numba.geometry((6, 9), window, False)
    assert depthwise_numba.geometry((6, 9), window, False) is numbers
