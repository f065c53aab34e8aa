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
        if a.ndim != 2 or b.ndim != 2:
            raise ValueError(f"Gemm of {a.ndim}-D and {b.ndim}-D arrays: both are matrices")
        self.a = a.T if self.transA else a
        self.b = b.T if self.transB else b
        self.c_shape = None if c is None else c.shape
        y = times(self.alpha, self.a @ self.b)
        return y if c is None else y + times(self.beta, c)

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


def times(factor: float, x: Array) -> Array:
    """factor * x, in the type of x."""
    if factor == 1:
        return x
    if x.dtype.kind != "f" and factor != int(factor):
        raise ValueError(f"Gemm of integers by a factor of {factor:g}")
    return (factor if x.dtype.kind == "f" else int(factor)) * x


@layer
class MatMul(Layer):
    """a @ b over the last two axes; leading axes are broadcast.

    A vector is a row on the left and a column on the right; that axis is not in the result.
    """

    def forward(self, a: Array, b: Array) -> Array:
        if a.ndim == 0 or b.ndim == 0:
            raise ValueError("MatMul of a single number")
        self.shapes = a.shape, b.shape
        self.a = np.expand_dims(a, (0,)) if a.ndim == 1 else a
        self.b = np.expand_dims(b, (1,)) if b.ndim == 1 else b
        return a @ b

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.shapes
        dy = np.expand_dims(dy, (-1,)) if len(b) == 1 else dy
        dy = np.expand_dims(dy, (-2,)) if len(a) == 1 else dy
        da = unbroadcast(dy @ flipped(self.b), self.a.shape) if self.needs_diff(0) else None
        db = unbroadcast(flipped(self.a) @ dy, self.b.shape) if self.needs_diff(1) else None
        return (
            None if da is None else da.reshape(a),
            None if db is None else db.reshape(b),
        )


def flipped(x: Array) -> Array:
    """The last two axes exchanged."""
    axes = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    return np.transpose(x, axes)
