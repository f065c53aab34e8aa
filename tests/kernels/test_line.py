"""What a value stands for is copied to a device once, for as long as the value lives."""

import gc

import numpy as np
import pytest

from oneiro.kernels import line
from oneiro.kernels.dispatch import Device
from oneiro.kernels.index import gather
from oneiro.kernels.line import kept, lines
from oneiro.kernels.resample import resample, selection


def test_lines_are_those_of_the_memory() -> None:
    assert lines((2, 3, 5, 7), 1) == (2 * 5 * 7, 3, 1)
    assert lines((2, 3, 5, 7), 2) == (2, 5, 7 * 3)
    assert lines((2, 3, 5, 7), -1) == (2 * 5, 7, 3)
    assert lines((2, 3, 5), 1) == (2, 3, 5)


def test_tables_of_a_map_are_copied_once(device: Device) -> None:
    x = device.place(np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32))
    matrix = selection(np.array([4, 0, 0]), 5)
    before = len(line.COPIES)
    first = np.asarray(resample(x, matrix, 2))
    np.testing.assert_array_equal(first, np.asarray(x)[:, :, [4, 0, 0]])
    assert len(line.COPIES) == before + 1
    tables = kept(matrix, device, lambda _: pytest.fail("copied again"))
    assert tables[0] is kept(matrix, device, lambda _: [])[0]
    resample(x, matrix, 2)
    assert len(line.COPIES) == before + 1
    del matrix, tables
    gc.collect()
    assert len(line.COPIES) == before


def test_indices_of_the_host_meet_arrays_of_the_device(device: Device) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)
    indices = np.array([3, -1])
    for _ in range(2):
        found = gather(device.place(x), indices, 2)
        np.testing.assert_array_equal(np.asarray(found), x[:, :, indices])
        indices[0] = 1  # they may be written to
