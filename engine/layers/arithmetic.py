"""Element by element: sums, products and the like, whose operands may be broadcast."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.element import truncated_divide
from oneiro.kernels.symbol import broadcast, known

from ..layer import Layer, layer


def unbroadcast(dy: Array, shape: tuple[Any, ...]) -> Array:
    """The adjoint of broadcasting an operand of `shape`: sums over the axes that it lacked."""
    lead = dy.ndim - len(shape)
    axes = [*range(lead)]
    axes += [lead + k for k, n in enumerate(shape) if is_one(n) and not is_one(dy.shape[lead + k])]
    return dy.sum(tuple(axes), keepdims=True).reshape(shape) if axes else dy


def check_fit(x: Array, *operands: Array) -> None:
    """Raise ValueError unless all operands broadcast to the shape of x."""
    dims = known(x.shape)
    for operand in operands:
        if broadcast(dims, known(operand.shape)) != dims:
            raise ValueError(f"an operand of {operand.shape} does not fit to {x.shape}")


def is_one(size: Any) -> bool:
    """A size that is not known yet counts as more than one."""
    return isinstance(size, int) and size == 1


@layer
class Add(Layer):
    """a + b"""

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a + b

    def backward(self, dy: Array) -> tuple[Array, Array]:
        a, b = self.shapes
        return unbroadcast(dy, a), unbroadcast(dy, b)


@layer
class Sub(Layer):
    """a - b"""

    def forward(self, a: Array, b: Array) -> Array:
        self.shapes = a.shape, b.shape
        return a - b

    def backward(self, dy: Array) -> tuple[Array, Array]:
        a, b = self.shapes
        return unbroadcast(dy, a), unbroadcast(-dy, b)


@layer
class Mul(Layer):
    """a * b"""

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return a * b

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = unbroadcast(dy * self.b, self.a.shape) if self.needs_diff(0) else None
        db = unbroadcast(dy * self.a, self.b.shape) if self.needs_diff(1) else None
        return da, db


@layer
class Div(Layer):
    """a / b; of integers without what is behind the point."""

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return a / b if a.dtype.kind == "f" else truncated_divide(a, b)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        da = unbroadcast(dy / self.b, self.a.shape) if self.needs_diff(0) else None
        if not self.needs_diff(1):
            return da, None
        return da, unbroadcast(-dy * self.a / (self.b * self.b), self.b.shape)


@layer
class Sum(Layer):
    """All operands added up."""

    def forward(self, *xs: Array) -> Array:
        self.shapes = [x.shape for x in xs]
        total = xs[0]
        for x in xs[1:]:
            total = total + x
        return total

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(unbroadcast(dy, shape) for shape in self.shapes)


@layer
class Mean(Sum):
    """The mean of all operands."""

    def forward(self, *xs: Array) -> Array:
        return super().forward(*xs) / len(xs)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return super().backward(dy / len(self.shapes))


class Choice(Layer):
    """One of the operands for each element; equals share the diff."""

    choose: ClassVar[Any]

    def forward(self, *xs: Array) -> Array:
        self.xs = xs
        self.y = functools.reduce(self.choose, xs)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, ...]:
        taken = [(x == self.y).astype(dy.dtype) for x in self.xs]
        share = dy / functools.reduce(np.add, taken)
        return tuple(
            unbroadcast(share * mask, x.shape) if self.needs_diff(k) else None
            for k, (x, mask) in enumerate(zip(self.xs, taken, strict=True))
        )


@layer
class Max(Choice):
    """The largest of the operands."""

    choose = np.maximum


@layer
class Min(Choice):
    """The smallest of the operands."""

    choose = np.minimum


@layer
class Pow(Layer):
    """a ** b, in the type of a."""

    def forward(self, a: Array, b: Array) -> Array:
        if a.dtype.kind != "f":
            return np.power(a.astype(np.float64), b).astype(a.dtype)
        self.a = a
        self.b = b if b.dtype == a.dtype else b.astype(a.dtype)
        self.y = np.power(a, self.b)
        return self.y

    def backward(self, dy: Array) -> tuple[Array | None, Array | None]:
        a, b = self.a, self.b
        da = db = None
        if self.needs_diff(0):
            # without b == 0, where the slope is 0 although a ** -1 may be infinite
            below = np.where(b == 0, np.ones((), b.dtype), b - 1)
            da = unbroadcast(dy * b * np.power(a, below), a.shape)
        if self.needs_diff(1):
            positive = np.where(a > 0, a, np.ones((), a.dtype))
            db = unbroadcast(dy * self.y * np.log(positive), b.shape)
        return da, db


@layer
class Mod(Layer):
    """The remainder of a / b, with the sign of b, or that of a if fmod."""

    fmod: int = 0

    def forward(self, a: Array, b: Array) -> Array:
        if self.fmod not in (0, 1):
            raise ValueError(f"Mod knows fmod 0 and 1, not {self.fmod}")
        self.a, self.b = a, b
        self.y = np.fmod(a, b) if self.fmod else np.mod(a, b)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, Array | None]:
        da = unbroadcast(dy, self.a.shape)
        if not self.needs_diff(1):
            return da, None
        whole = np.rint((self.a - self.y) / self.b)
        return da, unbroadcast(-dy * whole, self.b.shape)
