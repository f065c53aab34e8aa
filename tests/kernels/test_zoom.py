"""Pictures of another size are those that scipy makes, and keep their corners."""

import itertools

import numpy as np
from scipy import ndimage

from oneiro.kernels.dispatch import Device
from oneiro.kernels.zoom import zoom


def test_every_size_is_scipy_s_on_devices(device: Device) -> None:
    random = np.random.default_rng(0)
    for h, w in ((2, 9), (29, 32), (56, 1)):
        x = random.normal(size=(1, 3, h, w)).astype(np.float32)
        for rows, columns in ((1, 5), (26, 16), (40, 43), (14, 59)):
            factors = (1, 1, rows / h, columns / w)
            wanted = ndimage.zoom(x.astype(float), factors, order=1, mode="nearest")
            found = zoom(device.place(x), rows, columns)
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-5, atol=1e-6)


def test_no_row_or_column_is_lost() -> None:
    """Rounding may put the last just outside, where scipy by itself finds zeros: 22 -> 20."""
    lost = 0
    for old, new in itertools.product(range(2, 60), range(2, 90)):
        x = np.linspace(1, 2, old).reshape(1, 1, old, 1)
        for found in (zoom(x, new, 1), zoom(x.transpose(0, 1, 3, 2), 1, new)):
            np.testing.assert_allclose(found.reshape(-1), np.linspace(1, 2, new), atol=1e-12)
        lost += ndimage.zoom(x[0, 0, :, 0], new / old, order=1)[-1] == 0
    assert lost


def test_each_picture_of_a_batch_is_zoomed_on_its_own() -> None:
    x = np.random.default_rng(0).normal(size=(3, 2, 5, 7))
    for whole, single in zip(zoom(x, 8, 4), x, strict=True):
        np.testing.assert_array_equal(whole, zoom(single[None], 8, 4)[0])
