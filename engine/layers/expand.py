"""Arrays repeated."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.shape import expand
from oneiro.kernels.symbol import as_sizes, known

from ..layer import Layer, layer
from .arithmetic import unbroadcast


@layer
class Expand(Layer):
    """x broadcast with an array of `shape`."""

    numbers = (1,)

    def forward(self, x: Array, shape: Any) -> Array:
        self.shape = x.shape
        check_shape(shape)
        return expand(x, shape)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return unbroadcast(dy, self.shape), None


@layer
class Tile(Layer):
    """x set side by side with itself, `repeats` times along each axis."""

    numbers = (1,)

    def forward(self, x: Array, repeats: Any) -> Array:
        self.shape, self.repeats = x.shape, as_sizes(repeats)
        if len(self.repeats) != x.ndim or any((n or 0) < 0 for n in known(self.repeats)):
            raise ValueError(f"{known(x.shape)} cannot be repeated {known(self.repeats)} times")
        return np.tile(x, self.repeats)

    def backward(self, dy: Array) -> tuple[Array, None]:
        # dy as (times, size, times, size, ...)
        pairs = [size for pair in zip(self.repeats, self.shape) for size in pair]
        return dy.reshape(pairs).sum(tuple(range(0, len(pairs), 2))), None


def check_shape(shape: Any) -> None:
    """Raise ValueError for negative sizes."""
    sizes = known(as_sizes(shape))
    if any((size or 0) < 0 for size in sizes):
        raise ValueError(f"{sizes} is no shape")
