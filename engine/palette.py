"""The colours of one picture on another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array

from .error import ArgumentError
from .image import Picture

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601)


def with_chroma(picture: Array, photo: Array) -> Picture:
    """The brightness of `picture` and the colours of `photo`, both (h, w, 3) in 0..255.

    Y of the one and UV of the other (BT.601), where such a colour exists.
    """
    picture, photo = checked(picture), checked(photo)
    brighter = (picture - photo) @ LUMA
    # blue - Y and red - Y are U and V but for a factor: they stay where all three move alike
    return Picture(np.clip(photo + brighter[..., None], 0, 255))


def matched(picture: Array, photo: Array) -> Picture:
    """`picture` with the mean and the covariance of the colours of `photo`, (., ., 3) in 0..255.

    By the symmetric roots of both covariances (Gatys, Bethge, Hertzmann and Shechtman 2016).
    """
    picture, photo = checked(picture), checked(photo)
    mean, spread = moments(picture)
    wanted_mean, wanted_spread = moments(photo)
    matrix = power(wanted_spread, 0.5) @ power(spread, -0.5)
    return Picture(np.clip((picture - mean) @ matrix.T + wanted_mean, 0, 255))


def moments(picture: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean colour (3,), and the covariance (3, 3), of which a grey picture has some too."""
    pixels = np.asarray(picture, np.float64).reshape(-1, 3)
    return pixels.mean(0), np.cov(pixels.T, bias=True) + np.eye(3)


def power(matrix: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """A power of a symmetric positive matrix."""
    values, vectors = np.linalg.eigh(matrix)
    result: NDArray[np.float64] = vectors * values**exponent @ vectors.T
    return result


def checked(picture: Array) -> NDArray[np.float32]:
    """A picture of three channels; raises ArgumentError for another."""
    values = np.asarray(picture, np.float32)
    if values.ndim != 3 or values.shape[2] != 3:
        raise ArgumentError(f"a picture of {values.shape} has no colours to keep: it takes three")
    return values
