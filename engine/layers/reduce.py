"""Reductions over axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from oneiro.kernels.dispatch import Array
from oneiro.kernels.element import truncated_divide
from oneiro.kernels.relu import gate

from ..layer import Layer, layer


@dataclass
class Reduction(Layer):
    """What reductions have in common: the axes that they go over, all of them by default."""

    numbers = (1,)
    keepdims: int = 1
    noop_with_empty_axes: int = 0

    def forward(self, x: Array, axes: Any = None) -> Array:
        named = [] if axes is None else [int(axis) for axis in axes]
        every = [] if self.noop_with_empty_axes else [*range(x.ndim)]
        self.axes = normalize_axis_tuple(named or every, x.ndim, "axes")
        self.x = x
        y = self.reduced(x)
        self.y = y if y.dtype == x.dtype else y.astype(x.dtype)
        return self.y

    def backward(self, dy: Array) -> tuple[Array, None]:
        return self.spread(self.kept(dy)), None

    def reduced(self, x: Array) -> Array:
        """What is left of x."""
        raise NotImplementedError

    def spread(self, dy: Array) -> Array:
        """The diff of x from that of the result, whose reduced axes have one element each."""
        raise NotImplementedError

    def total(self, x: Array) -> Array:
        """The sum over the axes, in the type of x."""
        return np.sum(x, self.axes, dtype=x.dtype, keepdims=bool(self.keepdims))

    def kept(self, y: Array) -> Array:
        """A result with all its axes, the reduced ones as one element."""
        sizes = enumerate(self.x.shape)
        whole = tuple(1 if axis in self.axes else size for axis, size in sizes)
        return y if self.keepdims else y.reshape(whole)

    @property
    def count(self) -> Any:
        """How many elements become one."""
        return math.prod(self.x.shape[axis] for axis in self.axes)


@layer
class ReduceSum(Reduction):
    """The sum over some axes."""

    def reduced(self, x: Array) -> Array:
        return self.total(x)

    def spread(self, dy: Array) -> Array:
        return np.broadcast_to(dy, self.x.shape)


@layer
class ReduceMean(Reduction):
    """The mean over some axes; of integers without what is behind the point."""

    def reduced(self, x: Array) -> Array:
        if x.dtype.kind != "f":
            return truncated_divide(self.total(x), np.asarray(self.count, x.dtype))
        return x.mean(self.axes, keepdims=bool(self.keepdims))

    def spread(self, dy: Array) -> Array:
        return np.broadcast_to(dy / self.count, self.x.shape)


@layer
class ReduceSumSquare(Reduction):
    """The sum of x**2 over some axes."""

    def reduced(self, x: Array) -> Array:
        return self.total(x * x)

    def spread(self, dy: Array) -> Array:
        return 2 * dy * self.x


@layer
class ReduceL1(Reduction):
    """The sum of |x| over some axes."""

    def reduced(self, x: Array) -> Array:
        return self.total(np.abs(x))

    def spread(self, dy: Array) -> Array:
        return dy * np.sign(self.x)


@layer
class ReduceL2(Reduction):
    """The root of the sum of x**2 over some axes; at 0 the slope is 0."""

    def reduced(self, x: Array) -> Array:
        return np.sqrt(self.total(real(x) * real(x)))

    def spread(self, dy: Array) -> Array:
        y = self.kept(self.y)
        return dy * self.x / np.where(y == 0, np.ones((), y.dtype), y)


@layer
class ReduceLogSum(Reduction):
    """The logarithm of the sum over some axes."""

    def reduced(self, x: Array) -> Array:
        self.sum = self.total(real(x))
        return np.log(self.sum)

    def spread(self, dy: Array) -> Array:
        return np.broadcast_to(dy / self.kept(self.sum), self.x.shape)


@layer
class ReduceLogSumExp(Reduction):
    """The logarithm of the sum of exp(x) over some axes, without overflow."""

    def reduced(self, x: Array) -> Array:
        x = real(x)
        top = np.max(x, self.axes, keepdims=True, initial=-np.inf)
        top = np.where(np.abs(top) == np.inf, np.zeros((), x.dtype), top)
        # the total of one element each is that element, with as many axes as the other total
        return np.log(self.total(np.exp(x - top))) + self.total(top)

    def spread(self, dy: Array) -> Array:
        return dy * np.exp(self.x - self.kept(self.y))


@layer
class ReduceProd(Reduction):
    """The product over some axes."""

    def reduced(self, x: Array) -> Array:
        return np.prod(x, self.axes, dtype=x.dtype, keepdims=bool(self.keepdims))

    def spread(self, dy: Array) -> Array:
        """The product of the other factors, which is 0 where one of those is."""
        zero = (self.x == 0).astype(dy.dtype)
        factor = np.where(self.x == 0, np.ones((), dy.dtype), self.x)
        product = np.prod(factor, self.axes, keepdims=True)
        zeros = np.sum(zero, self.axes, keepdims=True)
        return gate(dy * product / factor, zeros == zero)


class Extremum(Reduction):
    """The way back from a largest or smallest value: equals share it."""

    def spread(self, dy: Array) -> Array:
        taken = (self.x == self.kept(self.y)).astype(dy.dtype)
        return taken * (dy / np.sum(taken, self.axes, keepdims=True))


@layer
class ReduceMax(Extremum):
    """The largest value over some axes."""

    def reduced(self, x: Array) -> Array:
        lowest, _ = bounds(x.dtype)
        return np.max(x, self.axes, keepdims=bool(self.keepdims), initial=lowest)


@layer
class ReduceMin(Extremum):
    """The smallest value over some axes."""

    def reduced(self, x: Array) -> Array:
        _, highest = bounds(x.dtype)
        return np.min(x, self.axes, keepdims=bool(self.keepdims), initial=highest)


def real(x: Array) -> Array:
    """x as floats."""
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def bounds(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """The extremes of a type, which are what is largest and smallest among no values at all."""
    if dtype.kind == "b":
        return False, True
    if dtype.kind == "f":
        return -np.inf, np.inf
    return np.iinfo(dtype).min, np.iinfo(dtype).max
