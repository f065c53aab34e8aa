"""Scores as probabilities."""

from __future__ import annotations

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array
from oneiro.kernels.softmax import softmax, softmax_backward

from ..layer import Layer, layer


@layer
class Softmax(Layer):
    """exp(x) / sum of exp(x) along one axis."""

    axis: int = -1

    def forward(self, x: Array) -> Array:
        self.y = softmax(x, normalize_axis_index(self.axis, x.ndim))
        return self.y

    def backward(self, dy: Array) -> Array:
        return softmax_backward(self.y, dy, self.axis)


@layer
class LogSoftmax(Layer):
    """x - log of the sum of exp(x) along one axis."""

    axis: int = -1

    def forward(self, x: Array) -> Array:
        axis = normalize_axis_index(self.axis, x.ndim)
        below = x - x.max(axis, keepdims=True)
        self.y = below - np.log(np.exp(below).sum(axis, keepdims=True))
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy - np.exp(self.y) * dy.sum(self.axis, keepdims=True)


@layer
class Hardmax(Layer):
    """1 at the largest element along one axis, the first of equals, 0 elsewhere."""

    differentiable = False
    axis: int = -1

    def forward(self, x: Array) -> Array:
        axis = normalize_axis_index(self.axis, x.ndim)
        size = x.shape[axis]
        if not isinstance(size, int):
            raise NotImplementedError("Hardmax along an unknown size: trace it for one size")
        places = np.arange(size).reshape(size, *(1,) * (x.ndim - 1 - axis))
        return (np.argmax(x, axis, keepdims=True) == places).astype(x.dtype)
