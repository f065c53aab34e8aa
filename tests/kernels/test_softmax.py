"""Softmax: its adjoint, and on a device its edges and where in memory it leaves the result."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.array import memory_order
from oneiro.kernels.dispatch import Device
from oneiro.kernels.softmax import softmax, softmax_backward

RANDOM = np.random.default_rng(0)


def test_the_adjoint_is_the_slope() -> None:
    x, dx, dy = RANDOM.normal(size=(3, 2, 7, 5))
    for axis in (0, 1, -1):
        step = 1e-6 * dx
        slope = (softmax(x + step, axis) - softmax(x - step, axis)) / 2e-6
        back = softmax_backward(softmax(x, axis), dy, axis)
        np.testing.assert_allclose((slope * dy).sum(), (back * dx).sum(), rtol=1e-6)


def test_extreme_scores(device: Device) -> None:
    x = RANDOM.normal(size=(6, 67)).astype(np.float32)
    x[0] += 1e4
    x[1, 5:] = -np.inf
    x[2, 3] = np.inf
    x[3, 8] = np.nan
    x[4] = -np.inf
    with np.errstate(invalid="ignore"):
        wanted = softmax(x, 1)
    found = np.asarray(softmax(device.place(x), 1))
    assert np.isnan(wanted[2:5]).all()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_the_result_lies_as_what_was_read(device: Device, axis: int) -> None:
    """So that matrix products before and after it need no copies."""
    x = RANDOM.normal(size=(2, 3, 5, 7)).astype(np.float32)
    dy = RANDOM.normal(size=(2, 3, 5, 7)).astype(np.float32)
    wanted = softmax(x, axis)
    for order in ((0, 2, 3, 1), (0, 1, 2, 3), (3, 1, 0, 2)):
        back = np.argsort(order)
        moved = device.place(x.transpose(order).reshape(-1)).reshape([x.shape[a] for a in order])
        moved = moved.transpose(tuple(back))
        assert memory_order(moved) == order
        y = softmax(moved, axis)
        assert memory_order(y) == order
        check(y, wanted)
        check(softmax_backward(y, device.place(dy), axis), softmax_backward(wanted, dy, axis))
    check(softmax(device.place(x)[:, :, ::-1], axis), softmax(x[:, :, ::-1], axis))


def check(found: Any, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-7)
