"""Activations of straight pieces: the rectifiers, about whose way back the papers differ."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array, is_symbol
from oneiro.kernels.relu import gate, relu, relu_backward

from ..layer import Activation, Rectifier, layer
from .arithmetic import check_fit, unbroadcast


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
        check_fit(x, slope)
        self.x, self.slope = x, slope
        return np.where(x > 0, x, slope * x)

    def backward(self, dy: Array) -> Any:
        dx = np.where(self.x > 0, dy, self.slope * dy)
        if not self.needs_diff(1):
            return dx, None
        steep = np.where(self.x > 0, np.zeros((), dy.dtype), self.x * dy)
        return dx, unbroadcast(steep, self.slope.shape)


@layer
class ThresholdedRelu(Rectifier):
    """x where it is larger than alpha, 0 elsewhere."""

    alpha: float = 1.0

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.where(x > self.alpha, x, np.zeros((), x.dtype))

    def backward(self, dy: Array) -> Array:
        return gate(dy, self.x > self.alpha)


@layer
class Clip(Rectifier):
    """Values held between two bounds; one that is known to start at 0 (ReLU6) is a rectifier."""

    numbers = (1, 2)

    def forward(self, x: Array, low: Any = None, high: Any = None) -> Array:
        known = low is not None and not is_symbol(low)
        self.rectifies = known and float(low.reshape(())) == 0
        self.low, self.high = low, high
        self.y = x if low is None and high is None else np.clip(x, low, high)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array | None, Array | None]:
        """The slope is 1 strictly between the bounds; elsewhere the diff is the bound's."""
        dx, dlow, dhigh = dy, None, None
        if self.low is not None:
            dx = gate(dx, self.y > self.low)
            if self.needs_diff(1):
                dlow = unbroadcast(gate(dy, self.y <= self.low), self.low.shape)
        if self.high is not None:
            dx = gate(dx, self.y < self.high)
            if self.needs_diff(2):
                dhigh = unbroadcast(gate(dy, self.y >= self.high), self.high.shape)
        return dx, dlow, dhigh


@layer
class Shrink(Activation):
    """x drawn towards 0 by bias where |x| is larger than lambd, 0 elsewhere."""

    bias: float = 0.0
    lambd: float = 0.5

    def forward(self, x: Array) -> Array:
        self.x = x
        above = np.where(x > self.lambd, x - self.bias, np.zeros((), x.dtype))
        y = np.where(x < -self.lambd, x + self.bias, above)
        return y if y.dtype == x.dtype else y.astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        return gate(dy, np.abs(self.x) > self.lambd)
