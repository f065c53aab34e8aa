"""Pooling where its cases do not go: equals, NaN, and arrays that begin anywhere in memory."""

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Device
from oneiro.kernels.pool import (
    average_pool,
    max_pool,
    max_pool_backward,
    unpool,
)
from oneiro.kernels.window import sliding_window

WINDOW = sliding_window((3, 2), (2, 1), (1, 0, 1, 1))


def check(device: Device, x: np.ndarray, window: Any = WINDOW) -> None:
    """The device's maxima, and where they are, are NumPy's."""
    y, where = max_pool(device.place(x), window)
    wanted, places = max_pool(x, window)
    np.testing.assert_array_equal(np.asarray(y), wanted)
    np.testing.assert_array_equal(np.asarray(where), places)


def test_the_first_of_equals_wins(device: Device) -> None:
    check(device, np.random.default_rng(0).integers(2, size=(2, 4, 9, 7)).astype(np.float32))
    check(device, np.full((1, 3, 5, 7), -np.inf, np.float32))


def test_nan_is_the_largest_but_never_the_place(device: Device) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 9, 7)).astype(np.float32)
    x[random.random(x.shape) < 0.2] = np.nan
    check(device, x)


def test_integers_are_pooled_too(device: Device) -> None:
    check(device, np.random.default_rng(0).integers(-9, 9, size=(2, 3, 5, 7)).astype(np.int8))


def test_an_array_may_begin_anywhere_in_memory(device: Device) -> None:
    random = np.random.default_rng(0)
    memory = device.place(random.normal(size=4 * 5 * 7 + 1).astype(np.float32))
    odd = memory[1:].reshape(1, 5, 7, 4).transpose(0, 3, 1, 2)  # dense, channels innermost
    check(device, np.asarray(odd))
    cut = device.place(random.normal(size=(2, 9, 5, 7)).astype(np.float32))[:, 1:9]
    for x in (odd, cut):
        found = average_pool(x, WINDOW, True)
        np.testing.assert_allclose(found, average_pool(np.asarray(x), WINDOW, True), rtol=1e-6)


def test_the_way_back_adds_up_as_numpy_does(device: Device) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 8, 9, 7)).astype(np.float32)
    _, where = max_pool(x, WINDOW)
    dy = random.normal(size=where.shape).astype(np.float32)
    wanted = max_pool_backward(dy, where, x.shape, WINDOW)
    for index in (where, where.astype(np.int32)):
        found = max_pool_backward(device.place(dy), device.place(index), x.shape, WINDOW)
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_the_last_of_several_values_is_put_back(any_device: Device) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    where = random.integers(20, size=x.shape)
    found = unpool(any_device.place(x), any_device.place(where), (2, 3, 2, 4))
    np.testing.assert_array_equal(np.asarray(found), unpool(x, where, (2, 3, 2, 4)))
