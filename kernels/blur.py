"""Gaussian smoothing of pictures and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.ndimage

from .dispatch import Array, Case, kernel
from .symbol import known, node

TRUNCATE = 4.0  # standard deviations that the filter reaches, scipy's default


@kernel
def gaussian_blur(x: Array, sigma: float) -> Array:
    """x (n, c, h, w) smoothed over its rows and columns; it wraps at the border, as jitter does."""
    return scipy.ndimage.gaussian_filter(x, (0, 0, sigma, sigma), mode="wrap", truncate=TRUNCATE)


@gaussian_blur.onnx
def _(x: Array, sigma: float) -> Array:
    radius = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    weights /= weights.sum()
    channels = x.shape[1]
    for axis in (2, 3):
        leading = [slice(None)] * axis
        last, first = x[(*leading, slice(-radius, None))], x[(*leading, slice(radius))]
        wide = np.concatenate([last, x, first], axis)
        shape = (-1, 1) if axis == 2 else (1, -1)
        filters = np.stack([weights.reshape(1, *shape)] * channels).astype(x.dtype)
        x = node("Conv", wide, filters, group=channels, dims=known(x.shape))
    return x


@gaussian_blur.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 11, 14)), 0.8
