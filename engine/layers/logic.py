"""Comparisons and logic: results of true and false, through which nothing goes back."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


class Verdict(Layer):
    """True or false for each element."""

    differentiable = False


@layer
class Equal(Verdict):
    """a == b"""

    def forward(self, a: Array, b: Array) -> Array:
        return np.equal(a, b)


@layer
class Greater(Verdict):
    """a > b"""

    def forward(self, a: Array, b: Array) -> Array:
        return a > b


@layer
class GreaterOrEqual(Verdict):
    """a >= b"""

    def forward(self, a: Array, b: Array) -> Array:
        return a >= b


@layer
class Less(Verdict):
    """a < b"""

    def forward(self, a: Array, b: Array) -> Array:
        return a < b


@layer
class LessOrEqual(Verdict):
    """a <= b"""

    def forward(self, a: Array, b: Array) -> Array:
        return a <= b


@layer
class And(Verdict):
    """Are both true?"""

    def forward(self, a: Array, b: Array) -> Array:
        return a & b


@layer
class Or(Verdict):
    """Is at least one of them true?"""

    def forward(self, a: Array, b: Array) -> Array:
        return a | b


@layer
class Xor(Verdict):
    """Is exactly one of them true?"""

    def forward(self, a: Array, b: Array) -> Array:
        return a ^ b


@layer
class Not(Verdict):
    """Is it false?"""

    def forward(self, x: Array) -> Array:
        return ~x


@layer
class IsNaN(Verdict):
    """Is it no number?"""

    def forward(self, x: Array) -> Array:
        return np.isnan(x)


@layer
class IsInf(Verdict):
    """Is it infinite, upwards or downwards, as far as asked for?"""

    detect_negative: int = 1
    detect_positive: int = 1

    def forward(self, x: Array) -> Array:
        up = (x == np.inf) & bool(self.detect_positive)
        down = (x == -np.inf) & bool(self.detect_negative)
        return up | down
