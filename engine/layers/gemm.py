"""Matrix products."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer
from .arithmetic import unbroadcast


@layer
class Gemm(Layer):
    """alpha * a @ b + beta * c, with a or b transposed on demand: the fully connected layer."""

    alpha: float = 1.0
    beta: float = 1.0
    transA: int = 0
    transB: int = 0

    def forward(self, a: Array, b: Array, c: Array | None = None) -> Array:
        self.a = a.T if self.transA else a
        self.b = b.T if self.transB else b
        self.c_shape = None if c is None else c.shape
        y = self.a @ self.b if self.alpha == 1 else self.alpha * (self.a @ self.b)
        if c is None:
            return y
        return y + c if self.beta == 1 else y + self.beta * c

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        da = db = dc = None
        if self.needs_diff(0):
            da = self.alpha * (dy @ self.b.T)
            da = da.T if self.transA else da
        if self.needs_diff(1):
            db = self.alpha * (self.a.T @ dy)
            db = db.T if self.transB else db
        if self.c_shape is not None and self.needs_diff(2):
            dc = unbroadcast(self.beta * dy, self.c_shape)
        return da, db, dc


@layer
class MatMul(Layer):
    """a @ b over the last two axes; leading axes are broadcast."""

    def forward(self, a: Array, b: Array) -> Array:
        if a.ndim < 2 or b.ndim < 2:
            raise ValueError(f"MatMul of {a.ndim}-D and {b.ndim}-D arrays: both need two axes")
        self.a, self.b = a, b
        return a @ b

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = unbroadcast(dy @ flipped(self.b), self.a.shape) if self.needs_diff(0) else None
        db = unbroadcast(flipped(self.a) @ dy, self.b.shape) if self.needs_diff(1) else None
        return da, db


def flipped(x: Array) -> Array:
    """The last two axes exchanged."""
    axes = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    return np.transpose(x, axes)
