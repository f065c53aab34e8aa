"""Pooling where its cases do not go: equals, NaN, and arrays that begin anywhere in memory."""

import shutil
from typing import Any

import numpy as np
import pytest

from oneiro.kernels.dispatch import Emulator
from oneiro.kernels.pool import (
    average_pool,
    max_pool,
    max_pool_backward,
    unpool,
)
from oneiro.kernels.window import sliding_window

needs_emulator = pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")

WINDOW = sliding_window((3, 2), (2, 1), (1, 0, 1, 1))


def check(x: np.ndarray, window: Any = WINDOW) -> None:
    """The device's maxima, and where they are, are NumPy's."""
    y, where = max_pool(Emulator(mode="check").place(x), window)
    wanted, places = max_pool(x, window)
    np.testing.assert_array_equal(np.asarray(y), wanted)
    np.testing.assert_array_equal(np.asarray(where), places)


@needs_emulator
def test_the_first_of_equals_wins() -> None:
    check(np.random.default_rng(0).integers(2, size=(2, 4, 9, 7)).astype(np.float32))
    check(np.full((1, 3, 5, 7), -np.inf, np.float32))


@needs_emulator
def test_nan_is_the_largest_but_never_the_place() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 9, 7)).astype(np.float32)
    x[random.random(x.shape) < 0.2] = np.nan
    check(x)


@needs_emulator
def test_integers_are_pooled_too() -> None:
    check(np.random.default_rng(0).integers(-9, 9, size=(2, 3, 5, 7)).astype(np.int8))


@needs_emulator
def test_an_array_may_begin_anywhere_in_memory() -> None:
    random = np.random.default_rng(0)
    device = Emulator(mode="check")
    memory = device.place(random.normal(size=4 * 5 * 7 + 1).astype(np.float32))
    odd = memory[1:].reshape(1, 5, 7, 4).transpose(0, 3, 1, 2)  # dense, channels innermost
    check(np.asarray(odd))
    cut = device.place(random.normal(size=(2, 9, 5, 7)).astype(np.float32))[:, 1:9]
    for x in (odd, cut):
        found = average_pool(x, WINDOW, True)
        np.testing.assert_allclose(found, average_pool(np.asarray(x), WINDOW, True), rtol=1e-6)


@needs_emulator
def test_the_way_back_adds_up_as_numpy_does() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 8, 9, 7)).astype(np.float32)
    _, where = max_pool(x, WINDOW)
    dy = random.normal(size=where.shape).astype(np.float32)
    wanted = max_pool_backward(dy, where, x.shape, WINDOW)
    device = Emulator()
    for index in (where, where.astype(np.int32)):
        found = max_pool_backward(device.place(dy), device.place(index), x.shape, WINDOW)
        np.testing.assert_array_equal(np.asarray(found), wanted)


@needs_emulator
@pytest.mark.parametrize("schedule", ["order", "reverse", "random"])
def test_the_last_of_several_values_is_put_back(schedule: str) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    where = random.integers(20, size=x.shape)
    device = Emulator(mode="check", schedule=schedule)
    found = unpool(device.place(x), device.place(where), (2, 3, 2, 4))
    np.testing.assert_array_equal(np.asarray(found), unpool(x, where, (2, 3, 2, 4)))
