"""Where values are, values by their order, and sums in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.cumulative import cumulative_sum
from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import gather_elements_backward
from oneiro.kernels.top_k import top_k

from ..layer import Layer, layer


@dataclass
class Place(Layer):
    """Where along an axis a value is; of equal values the first, or the last on demand."""

    differentiable = False
    find: ClassVar[Any]
    axis: int = 0
    keepdims: int = 1
    select_last_index: int = 0

    def forward(self, x: Array) -> Array:
        axis = normalize_axis_index(self.axis, x.ndim)
        find = type(self).find
        if self.select_last_index:
            backwards = (slice(None),) * axis + (slice(None, None, -1),)
            where = x.shape[axis] - 1 - find(x[backwards], axis, keepdims=True)
        else:
            where = find(x, axis, keepdims=True)
        left = tuple(size for a, size in enumerate(x.shape) if a != axis)
        return where if self.keepdims else where.reshape(left)


@layer
class ArgMax(Place):
    """Where along an axis the largest value is."""

    find = np.argmax


@layer
class ArgMin(Place):
    """Where along an axis the smallest value is."""

    find = np.argmin


@layer
class TopK(Layer):
    """The k largest (or smallest) values along an axis and their places, always in order."""

    numbers = (1,)
    axis: int = -1
    largest: int = 1
    sorted: int = 1

    def forward(self, x: Array, k: Any) -> tuple[Array, Array]:
        self.place = normalize_axis_index(self.axis, x.ndim)
        self.shape = x.shape
        count, size = int(k.reshape(())), x.shape[self.place]
        if count < 0 or (isinstance(size, int) and count > size):
            raise ValueError(f"TopK cannot take {count} of {size} values")
        y, self.where = top_k(x, count, self.place, bool(self.largest))
        return y, self.where

    def backward(self, dy: Array | None, _: Any = None) -> tuple[Array | None, None]:
        if dy is None:
            return None, None
        return gather_elements_backward(dy, self.where, self.shape, self.place), None


@layer
class CumSum(Layer):
    """Each element plus all before it along an axis."""

    numbers = (1,)
    exclusive: int = 0
    reverse: int = 0

    def forward(self, x: Array, axis: Any) -> Array:
        self.axis = normalize_axis_index(int(axis.reshape(())), x.ndim)
        return cumulative_sum(x, self.axis, bool(self.exclusive), bool(self.reverse))

    def backward(self, dy: Array) -> tuple[Array, None]:
        return cumulative_sum(dy, self.axis, bool(self.exclusive), not self.reverse), None
