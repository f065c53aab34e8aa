"""The way back through pools on the CPU's fast executor: where its cases do not go."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels import crew
from oneiro.kernels.pool import average_pool_backward, max_pool_gradient
from oneiro.kernels.tail import NOTHING, RECTIFIER, Tail
from oneiro.kernels.window import Window, sliding_window

pytest.importorskip("numba", reason="the kernels are compiled by it")
from oneiro.kernels import pool_numba

PADS = (1, 1, 1, 1)
NEAR = [
    ((2, 3, 13, 10), sliding_window((3, 3), (1, 1), PADS)),
    ((1, 5, 14, 28), sliding_window((3, 3), (2, 2), (0, 0, 1, 1))),
    ((2, 3, 13, 10), sliding_window((3, 3), (2, 2), ceil=True)),
    ((1, 3, 12, 9), sliding_window((3, 3), (2, 2), PADS, ceil=True)),
    ((1, 2, 11, 8), sliding_window((2, 2), (2, 2))),
    ((1, 2, 11, 8), sliding_window((2, 2), (2, 2), ceil=True)),
    ((1, 3, 7, 5), sliding_window((3, 2), (2, 1), (1, 0, 0, 1))),
    ((1, 3, 6, 9), sliding_window((1, 3), (1, 2), (0, 2, 0, 1))),
    ((2, 3, 5, 4), sliding_window((1, 1), (2, 2))),  # most are in no window
    ((2, 3, 1, 1), sliding_window((3, 3), (2, 2), PADS)),
    ((1, 3, 1, 2), sliding_window((3, 3), (1, 1), PADS)),  # larger than the picture
    ((3, 2, 97, 83), sliding_window((3, 3), (1, 1), PADS)),  # several times as large as a LINE
    ((1, 2, 181, 90), sliding_window((3, 3), (2, 2), (0, 0, 1, 1))),
    ((1, 2, 4, 1500), sliding_window((3, 3), (2, 1), PADS)),
    ((2, 700, 3, 2), sliding_window((2, 2), (1, 1))),  # many at a time
]
FAR = [
    ((2, 3, 11, 13), sliding_window((5, 4), (1, 2), (2, 1, 2, 2))),
    ((1, 3, 12, 10), sliding_window((2, 3), (3, 4), (1, 1, 0, 1), ceil=True)),
    ((1, 2, 13, 11), sliding_window((3, 2), (1, 2), (2, 1, 1, 1), dilations=(2, 3))),
    ((2, 2, 7, 6), sliding_window((7, 6))),
    ((1, 2, 3, 2), sliding_window((5, 7), (1, 1), (2, 3, 2, 3))),
]
ALL = NEAR + FAR


def integers(*shape: int) -> np.ndarray:
    """Numbers that are added up without rounding."""
    return np.random.default_rng(len(shape)).integers(-8, 9, shape).astype(np.float32)


def pictures(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Values that all differ, few values, what a rectifier leaves, and none but one."""
    random = np.random.default_rng(0)
    yield random.normal(size=shape).astype(np.float32)
    yield random.integers(3, size=shape).astype(np.float32)
    yield np.maximum(random.normal(size=shape), 0).astype(np.float32)
    yield np.full(shape, -np.inf, np.float32)


def filled(kernel: Any, shape: tuple[int, ...], *args: Any, tail: Tail = NOTHING) -> np.ndarray:
    """What the fast twin writes."""
    out = np.full(shape, np.nan, np.float32)
    kernel.twins["fast"](out, *args, tail=tail)
    return out


def diffs(shape: tuple[int, ...], window: Window) -> np.ndarray:
    return integers(*shape[:2], *window.sizes(shape[2:]))


@pytest.mark.parametrize(("shape", "window"), ALL)
def test_the_first_of_equals_gets_the_diff(shape: tuple[int, ...], window: Window) -> None:
    dy = diffs(shape, window)
    for x in pictures(shape):
        found = filled(max_pool_gradient, shape, dy, x, window)
        np.testing.assert_array_equal(found, max_pool_gradient(dy, x, window))


def test_any_geometry() -> None:
    random = np.random.default_rng(1)
    for _ in range(300):
        kernel, strides = random.integers(1, 5, (2, 2))
        pads = [random.integers(k) for k in (*kernel, *kernel)]
        dilations = random.choice([1, 1, 1, 2], 2)
        window = sliding_window(
            *(tuple(map(int, numbers)) for numbers in (kernel, strides, pads, dilations)),
            ceil=bool(random.integers(2)),
        )
        shape = (2, 3, *(int(span + random.integers(12)) for span in window.span))
        dy, x = diffs(shape, window), random.integers(4, size=shape).astype(np.float32)
        found = filled(max_pool_gradient, shape, dy, x, window)
        np.testing.assert_array_equal(found, max_pool_gradient(dy, x, window), str(window))


@pytest.mark.parametrize(("shape", "window"), ALL)
def test_diffs_of_overlapping_windows_add_up(shape: tuple[int, ...], window: Window) -> None:
    random = np.random.default_rng(0)
    x = np.maximum(random.normal(size=shape), 0).astype(np.float32)
    dy = random.normal(size=diffs(shape, window).shape).astype(np.float32)
    close(filled(max_pool_gradient, shape, dy, x, window), max_pool_gradient(dy * 1.0, x, window))


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


def test_no_diff_is_lost_to_nan() -> None:
    shape, window = NEAR[0]
    dy = diffs(shape, window)
    x = np.full(shape, np.nan, np.float32)
    assert filled(max_pool_gradient, shape, dy, x, window).sum() == dy.sum()


@pytest.mark.parametrize("include_pad", [False, True])
@pytest.mark.parametrize(("shape", "window"), ALL)
def test_averages_share(shape: tuple[int, ...], window: Window, include_pad: bool) -> None:
    dy = np.random.default_rng(0).normal(size=diffs(shape, window).shape)
    wanted = average_pool_backward(dy, shape, window, include_pad)
    args = (dy.astype(np.float32), shape, window, include_pad)
    close(filled(average_pool_backward, shape, *args), wanted)


@pytest.mark.parametrize("kernel", [max_pool_gradient, average_pool_backward], ids=str)
def test_cases_of_any_rank(kernel: Any) -> None:
    random = np.random.default_rng(0)
    for case in kernel.draw(random):
        args = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in case]
        wanted = kernel(*case)
        tail = Tail(*random.normal(size=(2, *wanted.shape)).astype(np.float32))
        close(filled(kernel, wanted.shape, *args, tail=tail), tail.of(wanted))


@pytest.mark.parametrize(("shape", "window"), [NEAR[0], NEAR[11], NEAR[12], FAR[0]])
def test_a_tail_is_done_on_the_way_out(shape: tuple[int, ...], window: Window) -> None:
    dy, x, add = diffs(shape, window), integers(*shape), integers(*shape)
    gate = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for tail in (Tail(add), Tail(None, gate), Tail(add, gate), Tail(bounds=RECTIFIER)):
        found = filled(max_pool_gradient, shape, dy, x, window, tail=tail)
        np.testing.assert_array_equal(found, tail.of(max_pool_gradient(dy, x, window)))


@pytest.mark.parametrize(("shape", "window"), [NEAR[0], NEAR[11], NEAR[14], FAR[0]])
def test_any_number_of_threads_makes_the_same(
    shape: tuple[int, ...], window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=shape).astype(np.float32)
    dy = random.normal(size=diffs(shape, window).shape).astype(np.float32)
    tail = Tail(add=x)
    whole = filled(max_pool_gradient, shape, dy, x, window, tail=tail)
    monkeypatch.setattr(pool_numba, "PIECE", 64)
    try:
        for threads in (1, 3):
            crew.use(threads)
            found = filled(max_pool_gradient, shape, dy, x, window, tail=tail)
            np.testing.assert_array_equal(found, whole)
    finally:
        crew.use(None)


def test_nothing_in_nothing_out() -> None:
    window = NEAR[0][1]
    shape = (0, 3, 5, 4)
    assert filled(max_pool_gradient, shape, np.empty(shape), np.empty(shape), window).size == 0
