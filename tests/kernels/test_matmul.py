"""Matrix products on a device are NumPy's, by each version, for matrices of any strides."""

from typing import Any

import numpy as np
import pytest

from oneiro.kernels.array import memory_order
from oneiro.kernels.dispatch import Device
from oneiro.kernels.matmul import VERSIONS, matmul
from oneiro.kernels.pointwise import Epilogue, Value, step

RANDOM = np.random.default_rng(0)


@pytest.fixture
def device(any_device: Device) -> Device:
    return any_device


def normal(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def flipped(x: Any) -> Any:
    return x.transpose((*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def check(found: Any, a: np.ndarray, b: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):  # OpenBLAS looks beyond the end, where NaN may be
        wanted = a.astype(np.float64) @ b.astype(np.float64)
        scale = (np.abs(a) @ np.abs(b)).max(initial=0)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=0, atol=1e-6 * scale)


NARROW = [(1, 33, 7), (3, 257, 5), (8, 40, 65), (6, 1025, 2), (1, 20, 300), (2, 11, 1000)]
WIDE = [(33, 17, 65), (67, 33, 129), (12, 600, 70), (130, 21, 9)]


@pytest.mark.parametrize("version", VERSIONS["matmul"])
def test_every_version_reads_any_strides(device: Device, version: str) -> None:
    product = VERSIONS["matmul"][version]
    for m, k, n in NARROW if version == "narrow" else NARROW + WIDE:
        a, b = normal(m, k), normal(k, n)
        x, y = device.place(a), device.place(b)
        check(product(x, y), a, b)
        check(product(y.T, x.T), b.T, a.T)
        across, down = device.place(a.T.copy()), device.place(b.T.copy())
        check(product(across.T, down.T), a, b)
        check(product(down, across), b.T, a.T)
        check(product(x[::-1, 1:], y[1:, ::-1]), a[::-1, 1:], b[1:, ::-1])


SHAPES = [
    ((5,), (5,)),
    ((5,), (5, 4)),
    ((3, 5), (5,)),
    ((2, 3, 4, 5), (5,)),
    ((5,), (2, 3, 5, 4)),
    ((2, 3, 40), (40, 7)),
    ((3, 2, 4, 50, 6), (2, 1, 6, 37)),
    ((2, 3, 2, 3, 2, 4, 5), (2, 1, 2, 1, 2, 5, 3)),
    ((0, 5), (5, 3)),
    ((3, 0), (0, 4)),
]


@pytest.mark.parametrize(("left", "right"), SHAPES, ids=str)
def test_vectors_and_leading_axes(
    device: Device, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    a, b = normal(*left), normal(*right)
    check(device.place(a) @ device.place(b), a, b)
    check(a @ device.place(b), a, b)


def test_more_leading_axes_than_a_kernel_walks_through(device: Device) -> None:
    a, b = normal(2, 3, 2, 3, 2, 3, 4, 5), normal(2, 1, 2, 1, 2, 1, 5, 3)
    x, y = device.place(a)[:, ::-1, :, ::-1], device.place(b)
    check(x @ y, a[:, ::-1, :, ::-1], b)


def test_matrices_that_do_not_multiply(device: Device) -> None:
    with pytest.raises(ValueError, match="do not multiply"):
        device.place(normal(2, 3)) @ device.place(normal(4, 3))


def test_integers_are_multiplied_on_the_host(device: Device) -> None:
    a, b = RANDOM.integers(9, size=(2, 3, 5)), RANDOM.integers(9, size=(5, 4))
    np.testing.assert_array_equal(np.asarray(device.place(a) @ device.place(b)), a @ b)


def test_the_order_of_a_sum_is_fixed(devices: list[Device]) -> None:
    a, b = normal(20, 1100), normal(1100, 33)
    found = [np.asarray(device.place(a) @ device.place(b)) for device in devices]
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


# the last sum is split
@pytest.mark.parametrize("k", [9, 40, 1100])
@pytest.mark.parametrize("version", VERSIONS["matmul"])
@pytest.mark.parametrize("shape", [(7, 36), (2, 3, 5, 4)], ids=str)
def test_epilogues(device: Device, shape: tuple[int, ...], version: str, k: int) -> None:
    """They see the element of the house's layout, and its channel."""
    a, b, branch = normal(*shape[:-1], k), normal(k, shape[-1]), normal(*shape)
    bias = normal(shape[-1]) if len(shape) < 4 else normal(1, shape[1], 1, 1)
    float32 = np.dtype(np.float32)
    v, by_channel, other = (Value(f"v{n}", float32) for n in range(3))
    steps = step(np.add, [v, by_channel]), step(np.multiply, [Value("t0", float32), other])
    values = device.place(bias), device.place(branch)
    epilogue = Epilogue(steps, values, shape)  # type: ignore[arg-type]
    found = matmul(device.place(a), device.place(b), epilogue, version)
    if len(shape) > 3:
        assert memory_order(found) == (0, 2, 3, 1)
    np.testing.assert_allclose(np.asarray(found), (a @ b + bias) * branch, rtol=1e-4, atol=1e-4)


EQUATIONS = [
    ("ij,jk->ik", [(3, 4), (4, 5)]),
    ("ij,kj->ki", [(3, 4), (5, 4)]),
    ("i,j->ij", [(3,), (4,)]),
    ("ij,ij->", [(3, 4), (3, 4)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("bqhd,bkhd->bhqk", [(2, 4, 3, 5), (2, 6, 3, 5)]),
    ("abc,cbd->da", [(2, 3, 4), (4, 3, 5)]),
    ("abc,bd->ac", [(2, 3, 4), (3, 5)]),  # an axis that only one has
    ("nchw,kc->nkhw", [(2, 3, 4, 5), (6, 3)]),
    ("ab,ab->ab", [(3, 1), (3, 4)]),  # axes of one element are repeated
    ("ab,bc->ac", [(3, 1), (4, 5)]),
    ("ab,bc->abc", [(3, 4), (1, 5)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ij->ji", [(3, 4)]),
    ("ij->i", [(3, 4)]),
    ("ij->", [(3, 4)]),
    ("ii->i", [(3, 3)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=lambda value: str(value))
def test_einsum(device: Device, equation: str, shapes: list[tuple[int, ...]]) -> None:
    arrays = [normal(*shape) for shape in shapes]
    found = np.einsum(equation, *map(device.place, arrays), optimize=True)
    wanted = np.einsum(equation, *arrays, optimize=True)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-5)


def test_an_axis_of_two_sizes(device: Device) -> None:
    with pytest.raises(ValueError, match="axis 'j' has 4 and 3 elements"):
        np.einsum("ij,jk->ik", device.place(normal(2, 4)), device.place(normal(3, 5)))
