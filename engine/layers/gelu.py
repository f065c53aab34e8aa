"""Gated linear units: x times a gate that opens as x grows."""

from __future__ import annotations

import math

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.element import erf, softplus
from oneiro.kernels.relu import gate

from ..layer import Activation, layer
from .sigmoid import sigmoid

CUBIC = 0.044715  # of the approximation by tanh (Hendrycks & Gimpel 2016)


@layer
class Gelu(Activation):
    """x times the normal distribution function at x, or its approximation by tanh."""

    approximate: str = "none"

    def forward(self, x: Array) -> Array:
        if self.approximate not in ("none", "tanh"):
            raise ValueError(f"Gelu approximates by none or tanh, not by {self.approximate!r}")
        self.x = x
        if self.approximate == "tanh":
            bend = np.tanh(math.sqrt(2 / math.pi) * (x + CUBIC * x * x * x))
        else:
            bend = erf(x / math.sqrt(2))
        self.gate = (1 + bend) / 2
        return x * self.gate

    def backward(self, dy: Array) -> Array:
        x = self.x
        if self.approximate == "tanh":
            inner = math.sqrt(8 / math.pi) * (1 + 3 * CUBIC * x * x)
            slope = inner * self.gate * (1 - self.gate)
        else:
            slope = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
        return dy * (self.gate + x * slope)


@layer
class Swish(Activation):
    """x * sigmoid(alpha * x), also called SiLU."""

    alpha: float = 1.0

    def forward(self, x: Array) -> Array:
        self.x = x
        self.gate = sigmoid(self.alpha * x)
        return x * self.gate

    def backward(self, dy: Array) -> Array:
        return dy * self.gate * (1 + self.alpha * self.x * (1 - self.gate))


@layer
class HardSwish(Activation):
    """x * (x / 6 + 1 / 2, held between 0 and 1)"""

    def forward(self, x: Array) -> Array:
        self.x = x
        self.gate = np.clip(x / 6 + 0.5, 0, 1)
        return x * self.gate

    def backward(self, dy: Array) -> Array:
        return dy * (self.gate + gate(self.x / 6, np.abs(self.x) < 3))


@layer
class Mish(Activation):
    """x * tanh(log(1 + exp(x)))"""

    def forward(self, x: Array) -> Array:
        self.x = x
        self.gate = np.tanh(softplus(x))
        return x * self.gate

    def backward(self, dy: Array) -> Array:
        slope = (1 - self.gate * self.gate) * sigmoid(self.x)
        return dy * (self.gate + self.x * slope)
