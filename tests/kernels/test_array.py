"""An array on a device does what NumPy's arrays do, in its own memory."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from oneiro.kernels.array import DeviceArray, is_dense, memory_order, place
from oneiro.kernels.dispatch import Device, Emulator
from oneiro.kernels.lrn import channel_sum
from oneiro.kernels.pointwise import KERNEL_FORMULAS, WHOLE
from oneiro.kernels.relu import relu_backward

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 6, 5, 7)).astype(np.float32)
W = RANDOM.normal(size=(1, 6, 1, 1)).astype(np.float32)
MASK = X > 0.3
N = RANDOM.integers(-9, 9, size=(4, 3))


def agree(found: Any, wanted: np.ndarray) -> None:
    assert isinstance(found, DeviceArray)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=2e-6, atol=1e-6)


def test_channels_are_innermost(device: Device) -> None:
    x = device.place(X)
    assert x.strides == (210, 1, 42, 6)
    assert memory_order(x) == (0, 2, 3, 1)
    assert is_dense(x)
    assert not is_dense(x[:, 1:])
    assert device.place(X[0]).strides == (35, 7, 1)
    assert x.raw.base is not None or x.raw.flags.owndata
    assert place(x, device) is x


EXPRESSIONS: list[Callable[..., Any]] = [
    lambda x, w, m, n: x + w,
    lambda x, w, m, n: 2.5 - x * x,
    lambda x, w, m, n: np.float32(3) * x / (1 + np.abs(w)),
    lambda x, w, m, n: np.where(m, x, 0.1 * x),
    lambda x, w, m, n: np.where(x > w, np.ones((), np.float32), x),
    lambda x, w, m, n: np.clip(x, -0.5, 0.75),
    lambda x, w, m, n: np.clip(x, None, 0.75),
    lambda x, w, m, n: (x > 0) & ~(x >= 1) | m,
    lambda x, w, m, n: x * m,
    lambda x, w, m, n: x[:, 1:5:2, ::-1] - 1,
    lambda x, w, m, n: x[0, :, 2] ** 2,
    lambda x, w, m, n: x.astype(np.int32) + 1,
    lambda x, w, m, n: n.astype(np.float32) / 3,
    lambda x, w, m, n: n % 5 + n // 4,
    lambda x, w, m, n: -n * 2 + n**3,
    lambda x, w, m, n: np.fmod(x, 0.3),
    lambda x, w, m, n: np.mod(x, 0.3),
    lambda x, w, m, n: x.T,
    lambda x, w, m, n: x.reshape(2, -1),
    lambda x, w, m, n: x.reshape(2, 3, 2, 5, 7).transpose(0, 2, 1, 3, 4).reshape(2, 6, 5, 7),
    lambda x, w, m, n: x[:, ::2].reshape(-1, 7),
    lambda x, w, m, n: np.concatenate([x, x[:, :1], w + x], 1),
    lambda x, w, m, n: np.stack([x, x + 1], 2),
    lambda x, w, m, n: np.pad(x, ((0, 0), (1, 0), (1, 2), (0, 3)), constant_values=2.0),
    lambda x, w, m, n: np.broadcast_to(w, (2, 6, 5, 7)),
    lambda x, w, m, n: np.tile(x, (1, 2, 3, 1)),
    lambda x, w, m, n: np.squeeze(w, (0, -1)),
    lambda x, w, m, n: np.expand_dims(x, (0, -1)),
    lambda x, w, m, n: np.flip(x, 2) + x,
    lambda x, w, m, n: np.moveaxis(x, 1, -1) * 2,
    lambda x, w, m, n: np.zeros_like(x),
    lambda x, w, m, n: x[np.int64(1), :, np.argmax(n[:, 0]) % 5],
    lambda x, w, m, n: x[1, 2, 3, 4] * 2,
    lambda x, w, m, n: (
        np.zeros((0, 3), np.float32) if isinstance(x, np.ndarray) else x[:0, :3, 0, 0]
    ),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=map(str, range(len(EXPRESSIONS))))
def test_expressions(device: Device, expression: Callable[..., Any]) -> None:
    agree(expression(*map(device.place, (X, W, MASK, N))), expression(X, W, MASK, N))


UNARY = {ufunc for ufunc in WHOLE if ufunc.nin == 1} - {np.invert}


@pytest.mark.parametrize("ufunc", sorted(UNARY, key=str), ids=lambda ufunc: ufunc.__name__)
def test_functions_of_one_element(device: Device, ufunc: np.ufunc) -> None:
    x = np.float32([[-2.5, -1.0, -0.5, 0.0, 0.5], [1.0, 1.5, 2.5, np.inf, np.nan]])
    with np.errstate(all="ignore"):
        wanted = ufunc(x)
    agree(ufunc(device.place(x)), wanted)


@pytest.mark.parametrize("ufunc", [np.maximum, np.minimum, np.power, np.fmod, np.mod, np.less])
def test_functions_of_two_elements(device: Device, ufunc: np.ufunc) -> None:
    values = np.float32([-3.5, -2, -0.5, 0, 1.25, 2, np.inf, np.nan])
    a, b = values[:, None], values
    with np.errstate(all="ignore"):
        wanted = ufunc(a, b)
    agree(ufunc(device.place(a), device.place(b)), wanted)


def test_writing(device: Device) -> None:
    x, wanted = device.place(X), X.copy()
    x[0, 1], wanted[0, 1] = 3, 3
    x[..., 2], wanted[..., 2] = wanted[..., 3], wanted[..., 3]
    x[1, 2, 3, 4], wanted[1, 2, 3, 4] = 7, 7
    x[:, :, 1:], wanted[:, :, 1:] = x[:, :, :-1], wanted[:, :, :-1].copy()
    x[:, 1:] = x.reshape(2, 6, 5, 7)[:, :-1]
    wanted[:, 1:] = wanted[:, :-1].copy()
    x += 1
    wanted += 1
    agree(x, wanted)


def test_one_element_is_a_number(device: Device) -> None:
    one = device.place(np.float32([[2.5]]))
    assert float(one) == 2.5
    assert int(one) == 2
    assert bool(one > 2)


def test_the_copy_on_the_host_is_a_copy(device: Device) -> None:
    x = device.place(X)
    np.asarray(x)[...] = 0
    agree(x, X)
    with pytest.raises(ValueError, match="is copied"):
        np.array(x, copy=False)


def test_what_has_no_kernel_runs_on_the_host(
    device: Device, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "oneiro")
    x = device.place(X)
    agree(np.median(x, 1), np.median(X, 1))
    agree(np.arctan2(x, W), np.arctan2(X, W))
    assert np.array_equal(x, X)
    assert f"median has no kernel on {device}" in caplog.text


OPTIONS: list[Callable[..., Any]] = [
    lambda x: np.mean(x, 1, np.float64),
    lambda x: np.sum(x, 1, where=x > 0),
    lambda x: np.max(x, 1, None, True),
    lambda x: np.clip(x, a_min=0, a_max=0.5),
    lambda x: np.exp(x, dtype=np.float64),
    lambda x: np.add.reduce(x, 2),
    lambda x: np.roll(x, 3),
    lambda x: np.pad(x, 1, "edge"),
    lambda x: np.pad(x, 1, constant_values=(2, 3)),
    lambda x: np.einsum("nchw,ncvw", x, x),
    lambda x: np.einsum("nchw, ncvw -> nhv", x, x),
    lambda x: np.einsum(x, [0, 1, 2, 3], [3, 1]),
    lambda x: np.linalg.svd(x[0, 0]).U,
]


@pytest.mark.parametrize("function", OPTIONS, ids=map(str, range(len(OPTIONS))))
def test_options_without_a_kernel(device: Device, function: Callable[..., Any]) -> None:
    agree(function(device.place(X)), function(X))


def test_results_go_where_they_are_wanted(device: Device) -> None:
    x, y = device.place(X), device.place(np.zeros_like(X[0]))
    assert np.sum(x, 0, out=y) is y
    agree(y, X.sum(0))
    assert np.median(x, 0, out=y) is y
    agree(y, np.median(X, 0))
    assert np.negative(y, out=y) is y
    agree(y, -np.median(X, 0))


IN_PLACE: list[Callable[..., Any]] = [
    lambda x: np.add.at(x, 0, 1),
    lambda x: np.put_along_axis(x, np.array([[0]]), 1, 1),
    lambda x: np.fill_diagonal(x, 1),
    lambda x: np.putmask(x, x > 0, 1),
    lambda x: np.copyto(x, 1, where=x > 0),
]


@pytest.mark.parametrize("function", IN_PLACE, ids=map(str, range(len(IN_PLACE))))
def test_what_would_write_to_a_copy_is_refused(
    device: Device, function: Callable[..., Any]
) -> None:
    x = device.place(X[0, 0])
    with pytest.raises(TypeError, match=r"does not write to an array on a device"):
        function(x)
    agree(x, X[0, 0])


def test_arrays_are_cut_by_slices_and_numbers(device: Device) -> None:
    x = device.place(X)
    best = np.argmax(device.place(N[:, 0]))
    x[0, best] = 5
    assert (np.asarray(x)[0, int(best)] == 5).all()
    for key in (np.array([0, 1]), X > 0, True, np.bool_(True), 1.0, device.place(N), [0, 1]):
        with pytest.raises(TypeError, match="slices and numbers"):
            x[key]


def test_copies_and_pickles_are_of_their_own(device: Device) -> None:
    for wanted in (X, X[:, 1:5:2, ::-1], X[0, 1, 2, 3]):
        x = device.place(wanted)
        for twin in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
            agree(twin, wanted)
            twin[...] = 0
        agree(x, wanted)
    agree(copy.deepcopy(device.place(X)[:, 1:5:2, ::-1]), X[:, 1:5:2, ::-1])


def test_the_device_that_is_asked_for_decides() -> None:
    """It says how convolutions multiply; the memory may be that of another of its kind."""
    exact, half = Emulator(), Emulator("half")
    x = place(X, half)
    assert place(x, exact).device is exact
    assert place(x, exact).address == x.address


def test_kernels_of_each_element_have_their_formula() -> None:
    assert {str(kernel) for kernel in KERNEL_FORMULAS} >= {"relu", "gate", "relu_backward", "erf"}


def test_kernels_of_float32_take_float64_by_the_host(device: Device) -> None:
    x = RANDOM.normal(size=(1, 3, 5, 7))
    found = relu_backward(device.place(x), device.place(-x))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(found), relu_backward(x, -x))
    np.testing.assert_allclose(
        np.asarray(channel_sum(device.place(x), 1, 2)), channel_sum(x, 1, 2), rtol=1e-14
    )


def test_integers_may_be_divided_by_zero(device: Device) -> None:
    """As NumPy has it: 0, not the end of the process."""
    a, b = np.array([7, -7, 0, 5]), np.array([0, 0, 0, -1])
    for function in (np.mod, np.fmod, np.floor_divide):
        with np.errstate(all="ignore"):
            wanted = function(a, b)
        np.testing.assert_array_equal(
            np.asarray(function(device.place(a), device.place(b))), wanted
        )
