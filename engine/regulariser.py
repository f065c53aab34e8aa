"""What keeps a climb at pictures: where they are taken after each step, and what they cost.

A Project maps z after the update, the gradient before it and the iteration to the next z. Each
picture of a batch has its own percentiles.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.sparse

from oneiro.kernels.dispatch import Array
from oneiro.kernels.resample import resample

from .ascent import EACH
from .climb import Project
from .objective import Objective

TRIES = 8


def in_order(*projects: Project) -> Project:
    """One after the other, all with the same gradient."""

    def project(z: Array, g: Array, iteration: int) -> Array:
        for part in projects:
            z = part(z, g, iteration)
        return z

    return project


def clipped(low: Array, high: Array) -> Project:
    """Held between black and white."""
    return lambda z, g, iteration: np.clip(z, low, high)


def decayed(decay: float) -> Project:
    """Shrunk towards zero, the mean picture, by this part of itself (Yosinski 2015)."""
    return lambda z, g, iteration: z * (1 - decay)


def blurred(sigma: Callable[[int], float], every: int = 1) -> Project:
    """Smoothed by a Gaussian of sigma(iteration) pixels, at iteration 0 and `every` so many."""

    def project(z: Array, g: Array, iteration: int) -> Array:
        if iteration % every:
            return z
        for axis in (2, 3):
            z = resample(z, gaussian(z.shape[axis], sigma(iteration)), axis)
        return z

    return project


@functools.lru_cache(8)
def gaussian(size: int, sigma: float) -> Any:
    """SciPy's Gaussian filter along an axis of this size, mirrored at its ends, as a matrix."""
    rows = scipy.ndimage.gaussian_filter1d(np.eye(size), sigma, axis=0, mode="reflect")
    return scipy.sparse.csr_array(rows)


def without_small_norms(percent: float) -> Project:
    """Zero where the length of a pixel's channels is below that percentile (Yosinski 2015)."""

    def project(z: Array, g: Array, iteration: int) -> Array:
        norms = np.sqrt((z * z).sum(1, keepdims=True))
        return np.where(norms < threshold(norms, percent), np.zeros_like(z), z)

    return project


def without_small_contributions(percent: float) -> Project:
    """Zero where |sum over channels of g * z| is below that percentile.

    That is how much the objective would change, to first order, if the pixel were zero (Yosinski
    2015).
    """

    def project(z: Array, g: Array, iteration: int) -> Array:
        share = np.abs((g * z).sum(1, keepdims=True))
        return np.where(share < threshold(share, percent), np.zeros_like(z), z)

    return project


def threshold(values: Array, percent: float) -> Array:
    """The percentile of each picture's values, (n, 1, 1, 1)."""
    return np.percentile(values, percent, axis=EACH, keepdims=True).astype(values.dtype)


def revived(noise: Callable[[int], Array], tell: Callable[[], None]) -> Project:
    """noise(iteration) for pictures that nothing moves: their gradient is zero from the start.

    It is told, and tried for TRIES iterations.
    """

    def project(z: Array, g: Array, iteration: int) -> Array:
        if iteration >= TRIES:
            return z
        steepest = np.abs(g).max(EACH, keepdims=True)
        if iteration == 0 and not np.asarray(steepest).all():
            tell()
        return np.where(steepest > 0, z, noise(iteration))

    return project


def l2_decay(weight: float, zero: Array, unit: Array) -> Objective:
    """-weight * the sum of squares of each picture, in grey values from `zero`: values (n,)."""

    def objective(x: Array) -> tuple[Any, Array]:
        grey = (x - zero) / unit
        return -weight * (grey * grey).sum(EACH), (-2 * weight) * grey / unit

    return objective
