"""Every kernel's CUDA says what its specification says, on a GPU and in the emulator."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from oneiro.kernels.dispatch import KERNELS, Device, Kernel, is_device

TWINS = [kernel for kernel in KERNELS.values() if "device" in kernel.twins]


def drawn(kernel: Kernel[..., Any]) -> Iterator[list[Any]]:
    """The kernel's cases in float32."""
    assert kernel.draw, f"{kernel} has no cases"
    for case in kernel.draw(np.random.default_rng(0)):
        yield [
            a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
            for a in case
        ]


def check(found: Any, wanted: Any) -> None:
    """The same values, kinds of types and shapes."""
    assert is_device(found)
    found = np.asarray(found)
    assert (found.shape, found.dtype.kind) == (wanted.shape, wanted.dtype.kind)
    if wanted.dtype.kind == "f":
        scale = math.sqrt(float((wanted**2).mean())) if wanted.size else 1.0
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=3e-6 * scale)
    else:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("kernel", TWINS, ids=str)
def test_cuda_twin(kernel: Kernel[..., Any], any_device: Device) -> None:
    """Results start as NaN, so what a kernel forgets to write shows."""
    for case in drawn(kernel):
        exact = [
            a.astype(np.float64) if getattr(a, "dtype", None) == np.float32 else a for a in case
        ]
        wanted = kernel.specification(*exact)
        moved = [any_device.place(a) if isinstance(a, np.ndarray) else a for a in case]
        found = kernel(*moved)
        pairs = zip(found, wanted) if isinstance(wanted, tuple) else [(found, wanted)]
        for one, other in pairs:
            check(one, other)
