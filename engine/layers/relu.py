"""The rectifiers, whose way back the papers on saliency differ about."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.relu import gate, relu, relu_backward

from ..layer import Rectifier, layer
from .arithmetic import unbroadcast


@layer
class Relu(Rectifier):
    """max(x, 0)"""

    def forward(self, x: Array) -> Array:
        self.y = relu(x)  # says as much as x, and lets runtimes fuse Conv and Relu
        return self.y

    def backward(self, dy: Array) -> Array:
        return relu_backward(dy, self.y)


@layer
class LeakyRelu(Rectifier):
    """x where it is positive, alpha * x elsewhere."""

    alpha: float = 0.01

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, dy: Array) -> Array:
        return np.where(self.x > 0, dy, self.alpha * dy)


@layer
class PRelu(Rectifier):
    """x where it is positive, slope * x elsewhere, with a slope that was learnt."""

    def forward(self, x: Array, slope: Array) -> Array:
        self.x, self.slope = x, slope
        return np.where(x > 0, x, slope * x)

    def backward(self, dy: Array) -> Any:
        dx = np.where(self.x > 0, dy, self.slope * dy)
        if not self.needs_diff(1):
            return dx, None
        steep = np.where(self.x > 0, np.zeros((), dy.dtype), self.x * dy)
        return dx, unbroadcast(steep, self.slope.shape)


@layer
class Clip(Rectifier):
    """Values held between two bounds; one that starts at 0 (ReLU6) is a rectifier."""

    numbers = (1, 2)

    def forward(self, x: Array, low: Any = None, high: Any = None) -> Array:
        self.rectifies = low is not None and not is_symbol(low) and float(low) == 0
        self.low, self.high = low, high
        self.y = np.clip(x, low, high)
        return self.y

    def backward(self, dy: Array) -> Any:
        """The slope is 1 strictly between the bounds, 0 elsewhere."""
        dx = dy if self.low is None else gate(dy, self.y > self.low)
        return dx if self.high is None else gate(dx, self.y < self.high)
