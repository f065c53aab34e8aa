"""Colours moved from picture to picture."""

import numpy as np
import pytest
from numpy.typing import NDArray

from oneiro import ArgumentError
from oneiro.palette import matched, with_chroma

MATRIX = np.array([[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]])


def noise(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(80, 170, shape).astype(np.float32)


def test_brightness_of_one_and_colours_of_the_other() -> None:
    picture, photo = noise(5, 7, 3), noise(5, 7, 3, seed=1)
    found, of_picture, of_photo = (
        x @ MATRIX.T for x in (with_chroma(picture, photo), picture, photo)
    )
    np.testing.assert_allclose(found[..., 0], of_picture[..., 0], atol=1e-3)
    np.testing.assert_allclose(found[..., 1:], of_photo[..., 1:], atol=1e-2)


def test_mean_and_covariance_become_those_of_the_photo() -> None:
    photo = noise(9, 11, 3, seed=1) @ np.float32([[0.6, 0.2, 0], [0.3, 0.5, 0.1], [0, 0.2, 0.7]])
    found = np.asarray(matched(noise(50, 70, 3), photo), np.float64).reshape(-1, 3)
    wanted = photo.reshape(-1, 3).astype(np.float64)
    np.testing.assert_allclose(found.mean(0), wanted.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(found.T), np.cov(wanted.T, bias=True), atol=3)


def test_a_picture_of_one_colour_has_colours_too() -> None:
    assert np.isfinite(matched(np.full((4, 5, 3), 80.0), noise(3, 6, 3))).all()


@pytest.mark.parametrize("change", [with_chroma, matched])
def test_grey_has_no_colours(change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ArgumentError, match="three"):
        change(noise(5, 7, 1), noise(5, 7, 1))
