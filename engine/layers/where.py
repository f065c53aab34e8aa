"""Elements that are let through, or not."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer
from .arithmetic import unbroadcast


@layer
class Where(Layer):
    """a where the condition is true, b elsewhere."""

    def forward(self, condition: Array, a: Array, b: Array) -> Array:
        self.condition, self.shapes = condition, (a.shape, b.shape)
        return np.where(condition, a, b)

    def backward(self, dy: Array) -> tuple[None, Array | None, Array | None]:
        a, b = self.shapes
        zero = np.zeros((), dy.dtype)
        da = np.where(self.condition, dy, zero) if self.needs_diff(1) else None
        db = np.where(self.condition, zero, dy) if self.needs_diff(2) else None
        return (
            None,
            None if da is None else unbroadcast(da, a),
            None if db is None else unbroadcast(db, b),
        )


@layer
class Trilu(Layer):
    """x on and above the k-th diagonal, or on and below it, and 0 elsewhere."""

    numbers = (1,)
    upper: int = 1

    def forward(self, x: Array, k: Any = None) -> Array:
        if x.ndim < 2:
            raise ValueError(f"an array of {x.ndim} axes has no diagonal")
        self.k = 0 if k is None else int(np.reshape(k, ()))
        return self.triangle(x)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return self.triangle(dy), None

    def triangle(self, x: Array) -> Array:
        return np.triu(x, self.k) if self.upper else np.tril(x, self.k)
