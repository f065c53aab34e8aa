"""Reductions on a device are NumPy's, over arrays of any strides, in an order that is fixed."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oneiro.ascent import NORMS
from oneiro.kernels.dispatch import Device

RANDOM = np.random.default_rng(0)

VIEWS: list[Callable[[Any], Any]] = [
    lambda x: x,
    lambda x: x.T,
    lambda x: x[::-1, ..., 1:],
    lambda x: x[:, ::2],
]


@pytest.fixture
def device(any_device: Device) -> Device:
    return any_device


def subsets(rank: int) -> list[Any]:
    sizes = range(rank + 1)
    return [None, *(axes for n in sizes for axes in itertools.combinations(range(rank), n))]


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 7), (2, 3, 1, 5, 4)], ids=str)
def test_any_axes_of_any_view(device: Device, shape: tuple[int, ...]) -> None:
    x = RANDOM.normal(size=shape).astype(np.float32)
    for view, axes, keepdims in itertools.product(VIEWS, subsets(len(shape)), (False, True)):
        wanted = np.sum(view(x).astype(np.float64), axes, keepdims=keepdims)
        found = np.sum(view(device.place(x)), axes, keepdims=keepdims)
        assert found.shape == wanted.shape
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64, np.uint8, bool], ids=str)
@pytest.mark.parametrize("function", [np.sum, np.prod, np.max, np.min], ids=lambda f: f.__name__)
def test_types_are_those_of_numpy(device: Device, function: Any, dtype: Any) -> None:
    x = RANDOM.choice([0, 1, 1, 2, 3], (3, 5, 4)).astype(dtype)
    for axis in (None, 1, (0, 2)):
        wanted = function(x, axis)
        found = function(device.place(x), axis)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_a_type_may_be_asked_for(device: Device) -> None:
    x = RANDOM.integers(9, size=(3, 5)).astype(np.int32)
    for function, dtype in itertools.product((np.sum, np.prod), (np.int32, np.float32, bool)):
        wanted = function(x, 1, dtype=dtype)
        found = function(device.place(x), 1, dtype=dtype)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_means_are_float32(device: Device) -> None:
    x = RANDOM.integers(-5, 90, size=(3, 67, 4))
    for array, axis in itertools.product((x, x > 40, x.astype(np.float32)), (None, 1, (0, 2))):
        found = np.mean(device.place(array), axis)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.asarray(found), array.mean(axis), rtol=1e-6)


# each falls to threads in another way: rows and columns, of one block and of several
SIZES: list[tuple[tuple[int, ...], Any]] = [
    ((7, 1), 1),
    ((3, 33), 1),
    ((2, 257), 0),
    ((5, 1025), -1),
    ((40000,), None),
    ((2, 33001), 1),
    ((2, 67, 14, 13), (2, 3)),
    ((1, 3, 33, 257), (1, 2, 3)),
    ((2, 3, 41, 23), (0, 2, 3)),
    ((3, 2100, 2), 1),
    ((2, 300, 5), 0),
]


@pytest.mark.parametrize(("shape", "axis"), SIZES, ids=str)
def test_sums_are_as_exact_as_by_halves(device: Device, shape: tuple[int, ...], axis: Any) -> None:
    x = (RANDOM.normal(size=shape) + 0.3).astype(np.float32)
    exact = x.astype(np.float64)
    found = np.asarray(np.sum(device.place(x), axis))
    error = np.abs(found - exact.sum(axis)) / np.abs(exact).sum(axis)
    assert error.max() < 3e-7
    np.testing.assert_array_equal(np.asarray(np.max(device.place(x), axis)), x.max(axis))


def test_the_order_of_a_sum_is_fixed(devices: list[Device]) -> None:
    x = RANDOM.normal(size=(2, 5, 41, 37)).astype(np.float32)
    for axis in (None, (2, 3), 1, (0, 2, 3)):
        found = [np.asarray(np.sum(device.place(x), axis)) for device in devices]
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("function", [np.argmax, np.argmin], ids=lambda f: f.__name__)
def test_the_first_of_equals_is_found(device: Device, function: Any) -> None:
    x = RANDOM.integers(-3, 4, size=(2, 37, 3, 5)).astype(np.float32)
    for view, axis, keepdims in itertools.product(VIEWS, (None, 0, 1, -1), (False, True)):
        wanted = function(view(x), axis, keepdims=keepdims)
        found = function(view(device.place(x)), axis, keepdims=keepdims)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(np.asarray(found), wanted)


def test_nan_is_beyond_all(device: Device) -> None:
    x = RANDOM.normal(size=(4, 300)).astype(np.float32)
    x[1, [70, 31]] = np.nan
    x[2] = -np.inf
    x[3, 5] = np.inf
    for function, axis in itertools.product((np.max, np.min, np.argmax, np.argmin), (0, 1, None)):
        found = function(device.place(x), axis)
        np.testing.assert_array_equal(np.asarray(found), function(x, axis))


def test_sums_and_products_of_nothing(device: Device) -> None:
    x = np.zeros((0, 3, 4), np.float32)
    for function, axis in itertools.product((np.sum, np.prod), (None, 0, 1, (0, 2))):
        found = function(device.place(x), axis)
        np.testing.assert_array_equal(np.asarray(found), function(x, axis))
    assert np.isnan(np.asarray(np.mean(device.place(x), 0))).all()


def test_nothing_has_a_largest_only_beside_a_first(device: Device) -> None:
    x = np.zeros((0, 3), np.float32)
    assert np.asarray(np.max(device.place(x), 0, initial=-np.inf)).tolist() == [-np.inf] * 3
    assert np.asarray(np.min(device.place(x), 0, initial=2.5)).tolist() == [2.5] * 3
    for function in (np.max, np.min, np.argmax, np.argmin):
        with pytest.raises(ValueError, match="no elements"):
            function(device.place(x), 0)


def test_repeated_elements_count_each_time(device: Device) -> None:
    x = device.place(RANDOM.normal(size=(3, 1, 5)).astype(np.float32))
    wide = np.broadcast_to(x, (2, 3, 7, 5))
    np.testing.assert_allclose(
        np.asarray(wide.sum((0, 2))), 14 * np.asarray(x)[:, 0], rtol=1e-6, atol=1e-6
    )


def test_more_pieces_than_a_kernel_walks_through(device: Device) -> None:
    x = RANDOM.normal(size=(2, 3) * 5).astype(np.float32)[..., ::-1]
    for axes in ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)):
        found = np.sum(device.place(x), axes)
        np.testing.assert_allclose(np.asarray(found), x.sum(axes), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS.values(), ids=NORMS)
def test_norms_do_not_wait_for_the_host(device: Device, norm: Any) -> None:
    g = RANDOM.normal(size=(2, 3, 33, 47)).astype(np.float32)
    placed = device.place(g)
    crossings = device.crossings
    found = norm(placed)
    assert device.crossings == crossings
    np.testing.assert_allclose(np.asarray(found), norm(g.astype(np.float64)), rtol=1e-6)
