"""np.roll on devices, by numbers and by a shift that is there itself."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.dispatch import Device, is_device

X = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)


@pytest.mark.parametrize(
    ("shift", "axis"),
    [
        ((1, 2), (2, 3)),
        ((-3, 11), (2, 3)),
        ((0, -7), (2, 3)),
        ((4, -1), (3, 2)),
        ((1, 2), (1, 3)),
        ((1, 2, -2), (0, 2, 3)),
        (-2, 2),
        (2, (2, 3)),
        ((1, 2), (3, 3)),
    ],
)
def test_roll_is_numpy_s(device: Device, shift: Any, axis: Any) -> None:
    wanted = np.roll(X, shift, axis)
    np.testing.assert_array_equal(np.asarray(np.roll(device.place(X), shift, axis)), wanted)
    there = device.place(np.array(shift))
    found = np.roll(device.place(X), there, axis) if there.ndim else None
    assert found is None or is_device(found)
    if found is not None:
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_a_shift_on_the_device_turns_back_without_the_host(device: Device) -> None:
    x, shift = device.place(X), device.place(np.array([3, -2]))
    before = device.crossings
    x = np.roll(np.roll(x, shift, (2, 3)), -shift, (2, 3))
    assert device.crossings == before
    np.testing.assert_array_equal(np.asarray(x), X)


@pytest.mark.parametrize("dtype", [np.int64, np.bool])
def test_other_types_and_other_numbers_of_axes_roll_too(device: Device, dtype: Any) -> None:
    x = X[0, 0].astype(dtype)
    found = np.roll(device.place(x), (2, -3), (0, 1))
    np.testing.assert_array_equal(np.asarray(found), np.roll(x, (2, -3), (0, 1)))
