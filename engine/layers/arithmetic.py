"""Element by element: sums, products and quotients, whose operands may be broadcast."""

from __future__ import annotations

from typing import Any

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


def unbroadcast(dy: Array, shape: tuple[Any, ...]) -> Array:
    """The adjoint of broadcasting an operand of `shape`: sums over the axes that it lacked."""
    lead = dy.ndim - len(shape)
    axes = [*range(lead)]
    axes += [lead + k for k, n in enumerate(shape) if is_one(n) and not is_one(dy.shape[lead + k])]
    return dy.sum(tuple(axes), keepdims=True).reshape(shape) if axes else dy


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
    """a / b"""

    def forward(self, a: Array, b: Array) -> Array:
        self.a, self.b = a, b
        return a / b

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
