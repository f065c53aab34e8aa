"""What is done to a picture so that a net must recognise it more than once: moves, turns, crops.

Each is a Transform: drawn anew for every iteration, with its exact adjoint.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import slice_backward
from oneiro.kernels.roll import unroll

from .climb import Back
from .layers.grid import GridSample
from .trace import Input


@dataclass(frozen=True)
class Jitter:
    """The picture as a ring, rolled by up to `reach` pixels each way."""

    reach: int

    def inputs(self) -> Mapping[str, Input]:
        return {"shift": (np.int64, (2,))}

    def draw(self, random: np.random.Generator) -> Mapping[str, Array]:
        return {"shift": random.integers(-self.reach, self.reach + 1, 2)}

    def apply(self, x: Array, *, shift: Array) -> tuple[Array, Back]:
        return np.roll(x, shift, (2, 3)), lambda dx: unroll(dx, shift, (2, 3))


@dataclass(frozen=True)
class Crop:
    """A piece of h x w of a picture that is `rows` x `columns`, anywhere in it."""

    h: int
    w: int
    rows: int
    columns: int

    def inputs(self) -> Mapping[str, Input]:
        return {"shift": (np.int64, (2,))}

    def draw(self, random: np.random.Generator) -> Mapping[str, Array]:
        most = np.array([self.rows - self.h, self.columns - self.w])
        return {"shift": -random.integers(0, most + 1)}

    def apply(self, x: Array, *, shift: Array) -> tuple[Array, Back]:
        piece = (slice(None), slice(None), slice(0, self.h), slice(0, self.w))
        turned = np.roll(x, shift, (2, 3))

        def back(dx: Array) -> Array:
            return unroll(slice_backward(dx, piece, x.shape), shift, (2, 3))

        return turned[piece], back


@dataclass(frozen=True)
class Affine:
    """The picture moved by up to `shift` pixels, scaled, and turned by up to `degrees`.

    The scale is drawn from `scales` (smallest, largest), evenly by its logarithm; above 1 the net
    sees a part, below 1 it sees the picture mirrored at its edges. Bilinear.
    """

    shift: float = 0.0
    scales: tuple[float, float] = (1.0, 1.0)
    degrees: float = 0.0

    def inputs(self) -> Mapping[str, Input]:
        return {"matrix": (np.float32, (3, 2))}

    def draw(self, random: np.random.Generator) -> Mapping[str, Array]:
        down, across = random.uniform(-self.shift, self.shift, 2)
        scale = math.exp(random.uniform(*np.log(self.scales)))
        angle = math.radians(random.uniform(-self.degrees, self.degrees))
        cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
        # (column, row, 1) of what the net sees @ matrix = (column, row) in the picture
        rows = [[cos, sin], [-sin, cos], [across, down]]
        return {"matrix": np.array(rows, np.float32)}

    def apply(self, x: Array, *, matrix: Array) -> tuple[Array, Back]:
        n, _, h, w = x.shape
        half = np.array([w / 2, h / 2], np.float32)
        grid = (np.matmul(places(h, w), matrix) / half).reshape(1, h, w, 2)
        sampling = GridSample(padding_mode="reflection")
        y = sampling.forward(x, grid if n == 1 else np.concatenate([grid] * n))
        return y, lambda dy: sampling.backward(dy)[0]


@functools.cache
def places(h: int, w: int) -> NDArray[np.float32]:
    """The pixels' middles from the picture's, in pixels: (h * w, 3), of column, row, 1."""
    rows, columns = np.mgrid[0:h, 0:w].astype(np.float32)
    listed = columns + 0.5 - w / 2, rows + 0.5 - h / 2, np.ones_like(rows)
    return np.stack(listed, -1).reshape(-1, 3).astype(np.float32)
