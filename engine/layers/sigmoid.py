"""Smooth activations."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Activation, layer


@layer
class Sigmoid(Activation):
    """1 / (1 + exp(-x))"""

    def forward(self, x: Array) -> Array:
        # exp of what is never positive: no overflow for any x
        e = np.exp(-np.abs(x))
        self.y = np.where(x < 0, e, np.ones((), x.dtype)) / (1 + e)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * (1 - self.y)
