"""Devices that kernels run on: the emulator in its ways, and a GPU where there is one.

The bodies of tests are the same. What a kernel does not write is NaN on all of them.
"""

import functools
from typing import Any

import pytest

from oneiro.kernels.dispatch import Cuda, Device, Emulator

SCHEDULES = ("order", "reverse", "random")
CUDA = pytest.param("cuda", marks=pytest.mark.gpu)


def on(*runs: str) -> list[Any]:
    """The emulator, each as "MODE-SCHEDULE", and the GPU."""
    return [*(pytest.param(run, marks=pytest.mark.emulator) for run in runs), CUDA]


class PoisonedCuda(Cuda):
    """A GPU whose memory is full of NaN, as the emulator's."""

    def allocate(self, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
        raw = super().allocate(shape, dtype, strides)
        if raw.nbytes:
            raw.data.memset_async(0xFF, raw.nbytes)
        return raw


@functools.cache
def gpu() -> Cuda:
    """One for all tests: it loads each kernel once."""
    return PoisonedCuda()


def named(run: str) -> Device:
    if run == "cuda":
        return gpu()
    mode, schedule = run.split("-")
    return Emulator(mode=mode, schedule=schedule)


@pytest.fixture(params=on("check-order"))
def device(request: pytest.FixtureRequest) -> Device:
    """The emulator, which sees mistakes, and the GPU."""
    return named(request.param)


@pytest.fixture(params=on("check-order", *(f"fast-{schedule}" for schedule in SCHEDULES)))
def any_device(request: pytest.FixtureRequest) -> Device:
    """The emulator in each of its ways, and the GPU."""
    return named(request.param)


@pytest.fixture(params=on("fast"))
def devices(request: pytest.FixtureRequest) -> list[Device]:
    """Several whose threads take other turns each, and the GPU several times."""
    if request.param == "cuda":
        return [gpu()] * len(SCHEDULES)
    return [Emulator(schedule=schedule) for schedule in SCHEDULES]
