"""Octaves, zooms, borders and the camera."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from oneiro.transform import edge_cropped, edge_padded, moved_closer, octaves, zoomed


def normal(*shape: int) -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("scale", [1.1, 1.4, 1.5, 2.0, 2.7])
@pytest.mark.parametrize("size", [(31, 37), (100, 45), (33, 97), (65, 91), (64, 30)])
def test_octaves_are_scipy_s(size: tuple[int, int], scale: float) -> None:
    x = normal(1, 3, *size)
    first, *smaller = octaves(x, 4, scale)
    np.testing.assert_array_equal(first, x)
    expected = x[0]
    for octave in smaller:
        expected = ndimage.zoom(expected, (1, 1 / scale, 1 / scale), order=1, mode="nearest")
        np.testing.assert_allclose(octave[0], expected, atol=1e-12)


def test_sizes_of_octaves_are_rounded_one_by_one() -> None:
    sizes = [octave.shape[2:] for octave in octaves(normal(1, 3, 50, 71), 4, 1.4)]
    assert sizes == [(50, 71), (36, 51), (26, 36), (19, 26)]


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 3)])
def test_octaves_never_vanish(size: tuple[int, int]) -> None:
    for octave in octaves(normal(1, 3, *size), 9, 1.7):
        assert min(octave.shape) >= 1
        assert np.isfinite(octave).all()


def test_one_octave_is_the_picture() -> None:
    x = normal(1, 3, 5, 7)
    (only,) = octaves(x, 1, 1.4)
    np.testing.assert_array_equal(only, x)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (4, 3), (5, 7), (16, 23)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zoomed_keeps_corners_and_type(size: tuple[int, int], dtype: type) -> None:
    x = normal(1, 3, 5, 7).astype(dtype)
    big = zoomed(x, *size)
    assert big.shape == (1, 3, *size)
    assert big.dtype == dtype
    np.testing.assert_allclose(big[..., 0, 0], x[..., 0, 0])
    if min(size) > 1:
        np.testing.assert_allclose(big[..., -1, -1], x[..., -1, -1], rtol=1e-6)


def test_zoomed_is_linear_between_the_corners() -> None:
    rows, columns = np.mgrid[0:3, 0:4]
    ramp = np.float64([[rows + 10 * columns]])
    rows, columns = np.mgrid[0:2:9j, 0:3:13j]
    np.testing.assert_allclose(zoomed(ramp, 9, 13)[0, 0], rows + 10 * columns, atol=1e-12)


@pytest.mark.parametrize("size", [(5, 7), (6, 7), (5, 8), (8, 12), (15, 7)])
def test_what_was_padded_is_cropped_back(size: tuple[int, int]) -> None:
    x = normal(1, 3, 5, 7)
    padded = edge_padded(x, *size)
    assert padded.shape == (1, 3, *size)
    np.testing.assert_array_equal(edge_cropped(padded, 5, 7), x)


def test_padding_repeats_the_edges_on_both_sides() -> None:
    x = np.float64([[[[1, 2], [3, 4]]]])
    assert edge_padded(x, 4, 5)[0, 0].tolist() == [
        [1, 1, 2, 2, 2],
        [1, 1, 2, 2, 2],
        [3, 3, 4, 4, 4],
        [3, 3, 4, 4, 4],
    ]


def test_the_camera_is_the_notebook_s() -> None:
    img = normal(9, 14, 3)
    h, w, s = 9, 14, 0.05
    expected = ndimage.affine_transform(img, [1 - s, 1 - s, 1], [h * s / 2, w * s / 2, 0], order=1)
    np.testing.assert_array_equal(moved_closer(img, s), expected)
    np.testing.assert_array_equal(moved_closer(img, 0.0), img)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_the_camera_keeps_size_and_plain_colours(channels: int) -> None:
    img = np.full((9, 14, channels), 77, np.float32)
    closer = moved_closer(img, 0.2)
    assert closer.dtype == np.float32
    np.testing.assert_array_equal(closer, img)
