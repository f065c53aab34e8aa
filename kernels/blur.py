"""Gaussian smoothing of pictures and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.ndimage

from .array import DeviceArray, dense, empty
from .dispatch import Array, Case, kernel
from .line import THREADS, lines
from .source import Source
from .symbol import known, node

BLUR = Source("blur.cu")
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
    for axis in (2, 3) if radius else ():
        shape = (-1, 1) if axis == 2 else (1, -1)
        filters = np.stack([weights.reshape(1, *shape)] * channels).astype(x.dtype)
        wide = wrapped(x, axis, radius)
        x = node("Conv", wide, filters, group=channels, dims=known(x.shape))
    return x


def wrapped(x: Array, axis: int, radius: int) -> Array:
    """x with `radius` elements more on both sides of an axis, as if it repeated for ever.

    An axis of unknown size must have that many at least.
    """
    size = x.shape[axis]
    around = np.concatenate([x] * (-(-radius // size) if isinstance(size, int) else 1), axis)
    leading = [slice(None)] * axis
    last, first = around[(*leading, slice(-radius, None))], around[(*leading, slice(radius))]
    return np.concatenate([last, x, first], axis)


@gaussian_blur.cuda
def _(x: Any, sigma: float) -> DeviceArray:
    radius = int(TRUNCATE * sigma + 0.5)
    x = dense(x)
    for axis in (2, 3) if radius else ():
        y = empty(x.shape, x)
        args = (y, x, lines(x.shape, axis), float(sigma), radius)
        grid = -(-x.size // THREADS)
        BLUR.launch("gaussian_blur", grid, THREADS, args, shared=4 * (radius + 1))
        x = y
    return x


@gaussian_blur.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 11, 14)), 0.8
    yield random.normal(size=(1, 2, 3, 5)), 0.1  # the filter reaches nowhere
