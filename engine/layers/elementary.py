"""Elementary functions of each element."""

from __future__ import annotations

import math

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.element import erf

from ..layer import Layer, layer


@layer
class Exp(Layer):
    """exp(x)"""

    def forward(self, x: Array) -> Array:
        self.y = np.exp(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy * self.y


@layer
class Log(Layer):
    """The natural logarithm of x."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.log(x)

    def backward(self, dy: Array) -> Array:
        return dy / self.x


@layer
class Sqrt(Layer):
    """The square root of x."""

    def forward(self, x: Array) -> Array:
        self.y = np.sqrt(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return dy / (2 * self.y)


@layer
class Reciprocal(Layer):
    """1 / x"""

    def forward(self, x: Array) -> Array:
        self.y = 1 / x
        return self.y

    def backward(self, dy: Array) -> Array:
        return -dy * self.y * self.y


@layer
class Abs(Layer):
    """x without its sign; at 0 the slope is 0."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.abs(x)

    def backward(self, dy: Array) -> Array:
        return dy * np.sign(self.x)


@layer
class Neg(Layer):
    """-x"""

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, dy: Array) -> Array:
        return -dy


@layer
class Sin(Layer):
    """The sine of x."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.sin(x)

    def backward(self, dy: Array) -> Array:
        return dy * np.cos(self.x)


@layer
class Cos(Layer):
    """The cosine of x."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return np.cos(x)

    def backward(self, dy: Array) -> Array:
        return -dy * np.sin(self.x)


@layer
class Erf(Layer):
    """The error function of x."""

    def forward(self, x: Array) -> Array:
        self.x = x
        return erf(x)

    def backward(self, dy: Array) -> Array:
        return dy * (2 / math.sqrt(math.pi)) * np.exp(-self.x * self.x)


class Step(Layer):
    """A function that is flat but for its jumps: nothing goes back."""

    differentiable = False


@layer
class Floor(Step):
    """x rounded down."""

    def forward(self, x: Array) -> Array:
        return np.floor(x)


@layer
class Ceil(Step):
    """x rounded up."""

    def forward(self, x: Array) -> Array:
        return np.ceil(x)


@layer
class Round(Step):
    """The nearest integer; of two the even one."""

    def forward(self, x: Array) -> Array:
        return np.rint(x)


@layer
class Sign(Step):
    """-1, 0 or 1."""

    def forward(self, x: Array) -> Array:
        return np.sign(x)
