"""Arrays made of numbers: of a shape, of bounds, of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array, home
from oneiro.kernels.shape import arange, expand
from oneiro.kernels.symbol import known

from ..layer import Layer, layer
from .expand import check_shape

LONGEST = 1 << 26  # elements that a number alone may ask for


@layer
class ConstantOfShape(Layer):
    """One value in each element of an array of that shape: a view that takes no memory."""

    numbers = (0,)
    differentiable = False
    value: Any = None

    def forward(self, shape: Any) -> Array:
        check_shape(shape)
        value = np.zeros((), np.float32) if self.value is None else np.reshape(self.value, ())
        return expand(value, shape)


@layer
class Range(Layer):
    """start, start + delta, start + 2 delta, ... before `limit`."""

    numbers = (0, 1, 2)
    differentiable = False
    stash_type: int = 1

    def forward(self, start: Any, limit: Any, delta: Any) -> Array:
        bounds = start, limit, delta = [np.reshape(bound, ()) for bound in (start, limit, delta)]
        if home(bounds) == "numpy":
            if delta == 0:
                raise ValueError("a range by steps of 0 has no end")
            count = max((limit.item() - start.item()) / delta.item(), 0)
            if not count <= LONGEST:
                raise ValueError(f"a range of {count:.0f} elements is longer than {LONGEST}")
        return arange(start, limit, delta)

    def backward(self, dy: Array) -> tuple[None, None, None]:
        return None, None, None


@layer
class OneHot(Layer):
    """For each index a vector along `axis` that is `on` there and `off` elsewhere."""

    numbers = (1,)
    differentiable = False
    axis: int = -1

    def forward(self, indices: Array, depth: Any, values: Array) -> Array:
        count = int(np.reshape(depth, ()))
        if not 0 < count <= LONGEST:
            raise ValueError(f"a depth of {count} is not between 1 and {LONGEST}")
        axis = normalize_axis_index(self.axis, indices.ndim + 1)
        places = np.expand_dims(indices.astype(np.int64), (axis,))
        classes = np.arange(count).reshape(-1, *(1,) * (indices.ndim - axis))
        off, on = values[:1], values[1:]
        return np.where(np.where(places < 0, places + count, places) == classes, on, off)

    def backward(self, dy: Array) -> tuple[None, None, None]:
        return None, None, None


@layer
class EyeLike(Layer):
    """Ones on the k-th diagonal of a matrix of the shape of x, zeros elsewhere."""

    reads_values = False
    differentiable = False
    dtype: Any = None
    k: int = 0

    def forward(self, x: Array) -> Array:
        if x.ndim != 2:
            raise ValueError(f"an array of {x.ndim} axes is no matrix")
        if None in known(x.shape):
            raise NotImplementedError("EyeLike of an unknown size: trace it for one size")
        rows, columns = x.shape
        return np.eye(rows, columns, self.k, self.dtype or x.dtype)
