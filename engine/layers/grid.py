"""Pictures read at the places that a grid names."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import gather_nd, gather_nd_backward

from ..layer import Layer, layer
from .arithmetic import is_one
from .resize import cubic, triangle

# How far from its place a mode reads; before opset 20 two of them were called otherwise.
REACHES = {"nearest": 0, "linear": 1, "bilinear": 1, "cubic": 2, "bicubic": 2}
PADDINGS = ("zeros", "border", "reflection")

Tap = tuple[Array, Array]  # places that are read, and how much they count


@layer
class GridSample(Layer):
    """x (n, c, h, w) read at a grid (n, rows, columns, 2) of places (column, row) from -1 to 1.

    Those ends are the middles of the outermost elements with align_corners, else their far edges.
    What lies outside is 0 or, by padding_mode, like the border, or x mirrored there.
    """

    mode: str = "linear"
    padding_mode: str = "zeros"
    align_corners: int = 0

    def forward(self, x: Array, grid: Array) -> Array:
        self.check(x, grid)
        n, c, *sizes = self.shape = x.shape
        rank = len(sizes)
        places = grid.reshape(n, -1, rank)
        # the last column belongs to the first axis of x
        columns = [places[:, :, rank - 1 - k : rank - k] for k in range(rank)]
        lines = [self.taps(place, size) for place, size in zip(columns, sizes)]
        self.found = [flat(taps, sizes) for taps in itertools.product(*lines)]
        pixels = np.transpose(x.reshape(n, c, -1), (0, 2, 1))
        parts = [gather_nd(pixels, at, 1) * weight.astype(x.dtype) for at, weight in self.found]
        y = functools.reduce(np.add, parts)
        return np.transpose(y, (0, 2, 1)).reshape(n, c, *grid.shape[1:-1])

    def backward(self, dy: Array) -> tuple[Array, None]:
        if len(self.needs) > 1 and self.needs[1]:
            raise ValueError("a grid that depends on the picture has no gradient here")
        n, c, *sizes = self.shape
        dy = np.transpose(dy.reshape(n, c, -1), (0, 2, 1))
        shape = n, math.prod(sizes), c
        parts = [gather_nd_backward(dy * weight, at, shape, 1) for at, weight in self.found]
        return np.transpose(functools.reduce(np.add, parts), (0, 2, 1)).reshape(self.shape), None

    def check(self, x: Array, grid: Array) -> None:
        """Refuse what does not fit together."""
        if self.mode not in REACHES or self.padding_mode not in PADDINGS:
            names = f"{', '.join(REACHES)}, padding_mode one of {', '.join(PADDINGS)}"
            raise ValueError(f"{self.mode!r} with {self.padding_mode!r}: mode is one of {names}")
        if x.ndim < 3 or grid.ndim != x.ndim or grid.shape[-1] != x.ndim - 2:
            raise ValueError(f"a grid of {grid.shape} does not fit a bottom of {x.ndim} axes")
        if x.dtype.kind != "f" and self.mode != "nearest":
            raise ValueError(f"{x.dtype} is read by mode 'nearest' alone")

    def taps(self, place: Array, size: Any) -> list[Tap]:
        """What is read along one axis for a column of the grid, (n, places, 1)."""
        place = (place + 1) / 2 * (size - 1) if self.align_corners else ((place + 1) * size - 1) / 2
        reach = REACHES[self.mode]
        if not reach:
            return [self.tap(np.rint(place), np.zeros_like(place) + 1, size)]
        first = np.floor(place)
        weight = triangle if reach == 1 else cubic
        return [
            self.tap(first + k, weight(place - first - k), size)
            for k in range(1 - reach, reach + 1)
        ]

    def tap(self, index: Array, weight: Array, size: Any) -> Tap:
        """The elements at these indices, which may lie outside."""
        if self.padding_mode == "zeros":
            weight = np.where((index >= 0) & (index < size), weight, 0)
        elif self.padding_mode == "reflection" and not is_one(size):
            # a wave that runs up and down between the ends
            start, length = (0, size - 1) if self.align_corners else (-0.5, size)
            index = start + length - np.abs((index - start) % (2 * length) - length)
        return np.minimum(np.maximum(index, 0), size - 1).astype(np.int64), weight


def flat(taps: Sequence[Tap], sizes: Sequence[Any]) -> Tap:
    """Taps along each axis as places among all pixels."""
    (index, weight), *others = taps
    for (place, factor), size in zip(others, sizes[1:]):
        index = index * size + place
        weight = weight * factor
    return index, weight
