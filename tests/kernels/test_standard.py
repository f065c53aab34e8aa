"""Standardized values: their adjoint, and on a device their exactness and any view of them."""

import numpy as np
import pytest

from oneiro.kernels.array import memory_order
from oneiro.kernels.dispatch import Device
from oneiro.kernels.standard import standardized, standardized_backward

RANDOM = np.random.default_rng(0)


def test_the_adjoint_is_the_slope() -> None:
    x, dx, dy = RANDOM.normal(size=(3, 2, 7, 5))
    for axes in ((0,), (1, -1), (0, 1, 2)):
        step = 1e-6 * dx
        above, below = (standardized(x + change, axes, 0.1)[0] for change in (step, -step))
        y, _, gain = standardized(x, axes, 0.1)
        back = standardized_backward(dy, y, gain, axes)
        slope = (above - below) / 2e-6
        np.testing.assert_allclose((slope * dy).sum(), (back * dx).sum(), rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 700), (2, 34000)], ids=["one block", "segments"])
def test_a_mean_far_from_zero(any_device: Device, shape: tuple[int, ...]) -> None:
    """The squares of what is left beside the mean, not of what it was."""
    x = (RANDOM.normal(size=shape) + 1000).astype(np.float32)
    wanted = standardized(x.astype(np.float64), (1,), 1e-5)
    found = standardized(any_device.place(x), (1,), 1e-5)
    for one, other in zip(found, wanted):
        # a mean of 1000 may be off by some of its last digit, which is 6e-5
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-5, atol=3e-4)
    gain = np.asarray(found[2])
    np.testing.assert_allclose(gain, wanted[2], rtol=1e-6)


def test_groups_of_channels_are_views(device: Device) -> None:
    """Of channels innermost in memory, and so is the result: neither way copies."""
    x = RANDOM.normal(size=(2, 6, 5, 7)).astype(np.float32)
    shape, axes = (2, 3, 2, 5, 7), (2, 3, 4)
    placed = device.place(x)
    y, _, gain = standardized(placed.reshape(shape), axes, 0.1)
    assert memory_order(y.reshape(x.shape)) == memory_order(placed) == (0, 2, 3, 1)
    wanted, _, wanted_gain = standardized(x.reshape(shape), axes, 0.1)
    np.testing.assert_allclose(np.asarray(y), wanted, rtol=1e-5, atol=1e-6)
    dy = RANDOM.normal(size=shape).astype(np.float32)
    dx = standardized_backward(device.place(dy), y, gain, axes)
    wanted_dx = standardized_backward(dy, wanted, wanted_gain, axes)
    np.testing.assert_allclose(np.asarray(dx), wanted_dx, rtol=1e-4, atol=1e-5)


def test_any_view(device: Device) -> None:
    x = RANDOM.normal(size=(4, 6, 5, 7)).astype(np.float32)
    dy = RANDOM.normal(size=(7, 3, 4, 5)).astype(np.float32)
    for axes in ((1,), (0, 2), (0, 1, 2, 3)):
        cut = x[:, ::2, ::-1].transpose(3, 1, 0, 2)
        wanted = standardized(cut, axes, 0.1)
        found = standardized(device.place(x)[:, ::2, ::-1].transpose(3, 1, 0, 2), axes, 0.1)
        for one, other in zip(found, wanted):
            np.testing.assert_allclose(np.asarray(one), other, rtol=1e-5, atol=1e-6)
        y, _, gain = found
        dx = standardized_backward(device.place(dy), y, gain, axes)
        wanted_dx = standardized_backward(dy, wanted[0], wanted[2], axes)
        np.testing.assert_allclose(np.asarray(dx), wanted_dx, rtol=1e-4, atol=1e-5)
