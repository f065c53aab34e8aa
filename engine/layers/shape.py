"""The same values in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.symbol import as_vector

from ..layer import Layer, layer


@layer
class Flatten(Layer):
    """A matrix: the axes before `axis` as rows, the others as columns."""

    axis: int = 1

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        if not -x.ndim <= self.axis <= x.ndim:
            raise ValueError(f"axis {self.axis} is not one of {x.ndim} axes")
        axis = self.axis + x.ndim if self.axis < 0 else self.axis
        return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)


@layer
class Shape(Layer):
    """The sizes of x as integers; nothing goes back."""

    differentiable = False
    start: int = 0
    end: int | None = None

    def forward(self, x: Array) -> Any:
        return as_vector(x.shape[self.start : self.end])

    def backward(self, dy: Array) -> None:
        return None


@layer
class Reshape(Layer):
    """Another shape: a 0 keeps the size of that axis (unless allowzero), a -1 takes the rest."""

    allowzero: int = 0

    def forward(self, x: Array, shape: Any) -> Array:
        self.shape = x.shape
        if is_symbol(shape):
            return np.reshape(x, shape)
        sizes = [int(size) for size in shape]
        if not self.allowzero:
            sizes = [x.shape[k] if size == 0 else size for k, size in enumerate(sizes)]
        return x.reshape(sizes)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return dy.reshape(self.shape), None


@layer
class Transpose(Layer):
    """The axes in another order, reversed by default."""

    perm: Sequence[int] = ()

    def forward(self, x: Array) -> Array:
        self.order = list(self.perm) or [*range(x.ndim)][::-1]
        return np.transpose(x, self.order)

    def backward(self, dy: Array) -> Array:
        return np.transpose(dy, [self.order.index(axis) for axis in range(len(self.order))])


@layer
class Squeeze(Layer):
    """Axes of one element left out; without `axes` all of them."""

    def forward(self, x: Array, axes: Any = None) -> Array:
        self.shape = x.shape
        if axes is None:
            gone = {a for a, size in enumerate(x.shape) if isinstance(size, int) and size == 1}
        else:
            gone = {int(axis) % x.ndim for axis in axes}
        return x.reshape(tuple(size for a, size in enumerate(x.shape) if a not in gone))

    def backward(self, dy: Array) -> tuple[Array, None]:
        return dy.reshape(self.shape), None


@layer
class Unsqueeze(Layer):
    """Axes of one element put in, at the places that they have in the result."""

    def forward(self, x: Array, axes: Any) -> Array:
        self.shape = x.shape
        rank = x.ndim + len(axes)
        new = {int(axis) % rank for axis in axes}
        sizes = iter(x.shape)
        return x.reshape(tuple(1 if a in new else next(sizes) for a in range(rank)))

    def backward(self, dy: Array) -> tuple[Array, None]:
        return dy.reshape(self.shape), None
