"""Local response normalisation on the CPU's fast executor, in float64 beside it."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels import crew
from oneiro.kernels.lrn import lrn_forward, lrn_gradient
from oneiro.kernels.tail import RECTIFIER, Tail

pytest.importorskip("numba", reason="the kernels are compiled by it")
from oneiro.kernels import lrn_numba

SHAPES = [
    (1, 64, 7, 5),
    (2, 9, 23, 17),  # more places than a block has
    (1, 2, 1, 1),
    (3, 1, 4, 5),
    (1, 2100, 3, 7),  # blocks of the fewest places
    (2, 7, 3),
]
SIZES = [1, 2, 4, 5, 11]
BETAS = [0.75, 0.5, 0.6]


def drawn(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    dy, x = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return dy, 3 * x


def filled(kernel: Any, *args: Any, **options: Any) -> np.ndarray:
    """What the fast twin writes."""
    out = np.full(args[0].shape, np.nan, np.float32)
    kernel.twins["fast"](out, *args, **options)
    return out


def exactly(kernel: Any, *args: Any) -> np.ndarray:
    """What the specification makes of the same numbers in float64."""
    return kernel(*(a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in args))


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways(shape: tuple[int, ...], size: int, beta: float) -> None:
    dy, x = drawn(shape)
    numbers = (size, 1.3, beta, 2.0)
    close(filled(lrn_forward, x, *numbers), exactly(lrn_forward, x, *numbers))
    close(filled(lrn_gradient, dy, x, *numbers), exactly(lrn_gradient, dy, x, *numbers))


@pytest.mark.parametrize("kernel", [lrn_forward, lrn_gradient], ids=str)
def test_cases(kernel: Any) -> None:
    for case in kernel.draw(np.random.default_rng(0)):
        args = [a.astype(np.float32) if isinstance(a, np.ndarray) else a for a in case]
        close(filled(kernel, *args), kernel(*case))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_tail_is_done_on_the_way_out(shape: tuple[int, ...]) -> None:
    dy, x = drawn(shape)
    add, gate = drawn(shape)[::-1]
    numbers = (5, 1.3, 0.75, 2.0)
    wanted = exactly(lrn_gradient, dy, x, *numbers)
    for tail in (Tail(add), Tail(None, gate), Tail(add, gate), Tail(bounds=RECTIFIER)):
        close(filled(lrn_gradient, dy, x, *numbers, tail=tail), tail.of(wanted))


def test_any_number_of_threads_makes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    dy, x = drawn((3, 40, 29, 31))
    numbers = (5, 1.3, 0.75, 2.0)
    kernels = [(lrn_forward, (x, *numbers)), (lrn_gradient, (dy, x, *numbers))]
    whole = [filled(kernel, *args) for kernel, args in kernels]
    monkeypatch.setattr(lrn_numba, "PIECE", 500)
    try:
        for threads in (1, 3):
            crew.use(threads)
            for (kernel, args), wanted in zip(kernels, whole, strict=True):
                np.testing.assert_array_equal(filled(kernel, *args), wanted)
    finally:
        crew.use(None)


def test_a_long_line_of_channels_does_not_drift() -> None:
    """Small values behind large ones are as exact as alone."""
    x = np.full((1, 600, 2, 3), 1e-3, np.float32)
    x[:, :300] = 1e4
    numbers = (5, 1.0, 0.75, 1e-6)
    wanted = exactly(lrn_forward, x, *numbers)
    np.testing.assert_allclose(filled(lrn_forward, x, *numbers), wanted, rtol=1e-6)


def test_nothing_in_nothing_out() -> None:
    x = np.empty((0, 3, 5, 4), np.float32)
    assert filled(lrn_forward, x, 5, 1.0, 0.75, 1.0).size == 0
    assert filled(lrn_gradient, x, x, 5, 1.0, 0.75, 1.0).size == 0
