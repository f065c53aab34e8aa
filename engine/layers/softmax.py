"""Scores as probabilities."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class Softmax(Layer):
    """exp(x) / sum of exp(x) along one axis."""

    axis: int = -1

    def forward(self, x: Array) -> Array:
        e = np.exp(x - x.max(self.axis, keepdims=True))
        self.y = e / e.sum(self.axis, keepdims=True)
        return self.y

    def backward(self, dy: Array) -> Array:
        return self.y * (dy - (dy * self.y).sum(self.axis, keepdims=True))
