"""Exponential linear units: x where it is positive, a saturating curve elsewhere."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Activation, layer


@layer
class Elu(Activation):
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""

    alpha: float = 1.0

    def forward(self, x: Array) -> Array:
        self.x = x
        self.y = np.where(x > 0, x, self.alpha * (np.exp(np.minimum(x, 0)) - 1))
        return self.y

    def backward(self, dy: Array) -> Array:
        return np.where(self.x > 0, dy, dy * (self.y + self.alpha))


@layer
class Selu(Elu):
    """gamma * Elu(x)"""

    alpha: float = 1.6732631921768188
    gamma: float = 1.0507010221481323

    def forward(self, x: Array) -> Array:
        return self.gamma * super().forward(x)

    def backward(self, dy: Array) -> Array:
        return super().backward(self.gamma * dy)


@layer
class Celu(Activation):
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere."""

    alpha: float = 1.0

    def forward(self, x: Array) -> Array:
        if self.alpha == 0:
            raise ValueError("Celu divides by its alpha, which is 0")
        self.x = x
        self.y = np.where(x > 0, x, self.alpha * (np.exp(np.minimum(x, 0) / self.alpha) - 1))
        return self.y

    def backward(self, dy: Array) -> Array:
        return np.where(self.x > 0, dy, dy * (self.y / self.alpha + 1))
