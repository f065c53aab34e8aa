"""Pictures of another size are those that scipy makes."""

import shutil

import numpy as np
import pytest
from scipy import ndimage

from oneiro.kernels.dispatch import Emulator
from oneiro.kernels.zoom import reached, zoom


@pytest.mark.skipif(shutil.which("g++") is None, reason="the emulator needs g++")
def test_every_size_is_scipy_s_on_devices() -> None:
    random = np.random.default_rng(0)
    device = Emulator()
    lost = 0
    for h, w in ((2, 9), (29, 32), (56, 1)):
        x = random.normal(size=(1, 3, h, w)).astype(np.float32)
        for rows, columns in ((1, 5), (26, 16), (40, 43), (14, 59)):
            factors = (1, 1, rows / h, columns / w)
            wanted = ndimage.zoom(x.astype(float), factors, order=1)
            found = zoom(device.place(x), rows, columns)
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-6)
            lost += (reached(rows, h), reached(columns, w)) != (rows, columns)
    assert lost


def test_what_scipy_does_not_reach_is_known() -> None:
    for old in range(1, 60):
        ones = np.ones(old)
        for new in range(1, 90):
            assert ndimage.zoom(ones, new / old, order=1).sum() == reached(new, old)


def test_each_picture_of_a_batch_is_zoomed_on_its_own() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 7))
    for whole, single in zip(zoom(x, 8, 4), x, strict=True):
        np.testing.assert_array_equal(whole, zoom(single[None], 8, 4)[0])
