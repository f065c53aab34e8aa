"""Smooth steps, and what is bent like them."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.element import softplus
from oneiro.kernels.relu import gate

from ..layer import Activation, layer


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x))"""
    # exp of what is never positive: no overflow for any x
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, np.ones((), x.dtype)) / (1 + e)


@layer
class Sigmoid(Activation):
    """1 / (1 + exp(-x))"""

    def forward(self, x: Array) -> Array:
        self.y = sigmoid(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y * (1 - self.y)


@layer
class HardSigmoid(Activation):
    """alpha * x + beta, held between 0 and 1."""

    alpha: float = 0.2
    beta: float = 0.5

    def forward(self, x: Array) -> Array:
        self.y = np.clip(self.alpha * x + self.beta, 0, 1)
        return self.y

    def backward(self, dy: Array) -> Array:
        return gate(self.alpha * dy, (self.y > 0) & (self.y < 1))


@layer
class Tanh(Activation):
    """The hyperbolic tangent."""

    def forward(self, x: Array) -> Array:
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * (1 - self.y * self.y)


@layer
class Softsign(Activation):
    """x / (1 + |x|)"""

    def forward(self, x: Array) -> Array:
        self.reach = 1 + np.abs(x)
        return x / self.reach

    def backward(self, dy: Array) -> Array:
        return dy / (self.reach * self.reach)


@layer
class Softplus(Activation):
    """log(1 + exp(x))"""

    def forward(self, x: Array) -> Array:
        self.x = x
        return softplus(x)

    def backward(self, dy: Array) -> Array:
        return dy * sigmoid(self.x)
