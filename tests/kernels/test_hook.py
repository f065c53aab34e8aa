"""Expressions inside kernels: behind what they make, and in front of what they read."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels.array import FUNCTIONS
from oneiro.kernels.dispatch import KERNELS, Array, Device, Kernel
from oneiro.kernels.pointwise import Epilogue, Prologue, Value, step
from oneiro.kernels.pool import average_pool, average_pool_backward, max_pool, max_pool_backward
from oneiro.kernels.resample import resample, selection
from oneiro.kernels.roll import roll, unroll
from oneiro.kernels.window import sliding_window

FLOAT32 = np.dtype(np.float32)
APART = {"conv", "conv_backward"}  # they have tests of their own


def hooked(name: str) -> list[Kernel[..., Any]]:
    """The kernels whose twins take this."""
    twins = {kernel: kernel.twins.get("device") for kernel in KERNELS.values()}
    taking = [k for k, twin in twins.items() if twin and name in inspect.signature(twin).parameters]
    return [kernel for kernel in taking if kernel.name not in APART]


def expression(v: Any, by_channel: Any, branch: Any, number: Any) -> Any:
    return (v * by_channel + branch) * number


def as_hook(
    kind: type[Epilogue], device: Device, shape: tuple[int, ...]
) -> tuple[Epilogue, Callable[[Array], Array]]:
    """`expression` of random operands inside a kernel, and as NumPy has it."""
    random = np.random.default_rng(len(shape))
    branch = random.normal(size=shape).astype(np.float32)
    # in arrays of fewer than four axes the column takes the place of the channel
    size = (shape[1], *(1,) * (len(shape) - 2)) if len(shape) > 3 else shape[-1:]
    by_channel = random.normal(size=size).astype(np.float32)
    v = [Value(f"v{k}", FLOAT32) for k in range(3)]
    steps = (
        step(np.multiply, [v[0], v[1]]),
        step(np.add, [Value("t0", FLOAT32), v[2]]),
        step(np.multiply, [Value("t1", FLOAT32), Value("v3", float)]),
    )
    values = (device.place(by_channel), device.place(branch), 0.625)
    hook = kind(steps, values, shape)  # type: ignore[arg-type]
    return hook, lambda x: expression(x, by_channel, branch.astype(np.float64), 0.625)


def drawn(kernel: Kernel[..., Any], device: Device) -> Iterator[tuple[list[Any], list[Any]]]:
    """The kernel's cases on the host in float64, and on the device."""
    assert kernel.draw
    for case in kernel.draw(np.random.default_rng(0)):
        host = [
            a.astype(np.float32).astype(np.float64)
            if isinstance(a, np.ndarray) and a.dtype.kind == "f"
            else a
            for a in case
        ]
        yield (
            host,
            [
                device.place(a.astype(np.float32) if a.dtype.kind == "f" else a)
                if isinstance(a, np.ndarray)
                else a
                for a in host
            ],
        )


def check(found: Any, wanted: Array) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kernel", hooked("epilogue"), ids=str)
def test_an_epilogue_sees_each_result_and_its_channel(
    device: Device, kernel: Kernel[..., Any]
) -> None:
    for host, there in drawn(kernel, device):
        y = kernel.specification(*host)
        epilogue, function = as_hook(Epilogue, device, y.shape)
        check(kernel.twins["device"](*there, epilogue=epilogue), function(y))


@pytest.mark.parametrize("kernel", hooked("prologue"), ids=str)
def test_a_prologue_sees_each_element_and_its_channel(
    device: Device, kernel: Kernel[..., Any]
) -> None:
    for (x, *host), there in drawn(kernel, device):
        prologue, function = as_hook(Prologue, device, x.shape)
        check(kernel.twins["device"](*there, prologue=prologue), kernel(function(x), *host))


@pytest.mark.parametrize("axis", [(), (2, 3), (3, 1), (0, 2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("kernel", [roll, unroll], ids=str)
def test_both_are_there_once_however_many_launches(
    device: Device, kernel: Kernel[..., Any], axis: tuple[int, ...]
) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 5, 7)).astype(np.float32)
    shift = np.array([2, -3, 1][: len(axis)], np.int64)
    prologue, before = as_hook(Prologue, device, x.shape)
    epilogue, behind = as_hook(Epilogue, device, x.shape)
    hooks = {"prologue": prologue, "epilogue": epilogue}
    found = kernel.twins["device"](device.place(x), device.place(shift), axis, **hooks)
    check(found, behind(kernel(before(x), shift, axis)))


@pytest.mark.parametrize("function", [np.sum, np.mean, np.max, np.min, np.prod])
@pytest.mark.parametrize("axis", [None, 1, (2, 3), (0, 1, 3)], ids=str)
def test_reductions_of_an_expression(device: Device, function: Any, axis: Any) -> None:
    x = np.random.default_rng(2).normal(size=(2, 3, 5, 7)).astype(np.float32)
    placed = device.place(np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))))
    views = {"dense": device.place(x), "cut": placed[:, 1:, :-2], "turned": device.place(x).T}
    for name, view in views.items():
        prologue, changed = as_hook(Prologue, device, view.shape)
        wanted = function(changed(np.asarray(view)), axis)
        found = np.asarray(FUNCTIONS[function](view, axis, prologue=prologue))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4, err_msg=name)


def test_an_expression_before_more_pieces_than_a_reduction_walks_through(device: Device) -> None:
    x = np.random.default_rng(3).normal(size=(2, 3) * 5).astype(np.float32)
    prologue, changed = as_hook(Prologue, device, x.shape)
    for axes in ((0, 2, 4, 6, 8), (1, 3, 5, 7, 9)):
        found = FUNCTIONS[np.sum](device.place(x), axes, prologue=prologue)
        np.testing.assert_allclose(np.asarray(found), changed(x).sum(axes), rtol=1e-4, atol=1e-4)


def test_a_product_with_a_vector_has_no_column_of_its_own(device: Device) -> None:
    random = np.random.default_rng(5)
    for shape in ((2, 3, 5), (2, 4, 3, 5)):
        a, b = (random.normal(size=size).astype(np.float32) for size in (shape, (5,)))
        epilogue, function = as_hook(Epilogue, device, shape[:-1])
        found = FUNCTIONS[np.matmul](device.place(a), device.place(b), epilogue=epilogue)
        check(found, function(a @ b))


def test_what_runs_on_the_host_has_its_epilogue_too(device: Device) -> None:
    """Pooling over four axes, and another type."""
    random = np.random.default_rng(4)
    shape, window = (1, 2, 3, 4, 2, 3), sliding_window((2, 2, 1, 2), (1, 2, 1, 1))
    x = random.normal(size=shape)
    y, where = max_pool(x, window)
    matrix = selection(np.array([2, 0]), 3)
    for kernel, args in (
        (average_pool, (x, window, False)),
        (average_pool_backward, (y, shape, window, True)),
        (max_pool_backward, (y, where, shape, window)),
        (resample, (x, matrix, 2)),
    ):
        wanted = kernel(*args)  # type: ignore[operator]
        there = [
            device.place(a if kernel is resample or a.dtype.kind != "f" else a.astype(np.float32))
            if isinstance(a, np.ndarray)
            else a
            for a in args
        ]
        epilogue, function = as_hook(Epilogue, device, wanted.shape)
        check(kernel.twins["device"](*there, epilogue=epilogue), function(wanted))
