"""The total variation of pictures: how much neighbouring pixels differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import DeviceArray, dense, empty
from .dispatch import Array, Case, kernel
from .line import THREADS
from .source import Source

VARIATION = Source("variation.cu")


@kernel
def total_variation(x: Array, beta: float, least: float = 1e-5) -> tuple[Array, Array]:
    """The sum of v = (d_row**2 + d_column**2) ** (beta / 2) over x (n, c, h, w), and its gradient.

    d are the differences to the next row and the next column, 0 behind the last. Below beta = 2
    the gradient grows beyond all bounds where the picture is flat: it is taken at max(v, least).
    (Mahendran and Vedaldi 2015, deep-goggle's `tv`; it halves the value, their later code divides
    it by the pixels and has a `least` of 1e-6.)
    """
    rows = np.pad(x[:, :, 1:] - x[:, :, :-1], ((0, 0), (0, 0), (0, 1), (0, 0)))
    columns = np.pad(x[:, :, :, 1:] - x[:, :, :, :-1], ((0, 0), (0, 0), (0, 0), (0, 1)))
    v = (rows * rows + columns * columns) ** (beta / 2)
    gain = beta * np.maximum(v, least) ** (2 * (beta / 2 - 1) / beta)
    rows, columns = gain * rows, gain * columns
    above = np.pad(rows[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0)))
    left = np.pad(columns[:, :, :, :-1], ((0, 0), (0, 0), (0, 0), (1, 0)))
    return v.sum(), above + left - rows - columns


@total_variation.cuda
def _(x: Any, beta: float, least: float = 1e-5) -> tuple[DeviceArray, DeviceArray]:
    x = dense(x)
    n, c, h, w = x.shape
    dx = empty(x.shape, x)
    partial = empty((-(-x.size // THREADS),), x)
    args = (dx, partial, x, n, h, w, c, float(beta), float(least))
    VARIATION.launch("variation", partial.size, THREADS, args)
    return partial.sum(), dx


@total_variation.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 11, 7))
    for beta in (1.0, 2.0, 3.5):
        yield x, beta
    yield np.round(x), 1.5, 1e-2  # flat in places
