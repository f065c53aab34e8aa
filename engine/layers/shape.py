"""The same values in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import as_sizes, as_vector, known

from ..layer import Layer, layer


@layer
class Flatten(Layer):
    """A matrix: the axes before `axis` as rows, the others as columns."""

    axis: int = 1

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        if not -x.ndim <= self.axis <= x.ndim:
            raise ValueError(f"axis {self.axis} is not one of {x.ndim} axes")
        axis = self.axis + x.ndim if self.axis < 0 else self.axis
        return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self.shape)


@layer
class Shape(Layer):
    """The sizes of x as integers; nothing goes back."""

    differentiable = False
    reads_values = False
    start: int = 0
    end: int | None = None

    def forward(self, x: Array) -> Any:
        return as_vector(x.shape[self.start : self.end])


@layer
class Size(Layer):
    """How many elements x has; nothing goes back."""

    differentiable = False
    reads_values = False

    def forward(self, x: Array) -> Any:
        return as_vector([math.prod(x.shape)]).reshape(())


@layer
class Reshape(Layer):
    """Another shape: a 0 keeps the size of that axis (unless allowzero), a -1 takes the rest."""

    numbers = (1,)
    allowzero: int = 0

    def forward(self, x: Array, shape: Any) -> Array:
        self.shape = x.shape
        sizes = as_sizes(shape)
        text = f"{known(x.shape)} cannot be reshaped to {known(sizes)}"
        if [size for size in known(sizes) if (size or 0) < 0] not in ([], [-1]):
            raise ValueError(text)
        try:
            return np.reshape(x, sizes if self.allowzero else kept(sizes, x.shape))
        except (IndexError, ValueError) as error:
            raise ValueError(text) from error

    def backward(self, dy: Array) -> tuple[Array, None]:
        return dy.reshape(self.shape), None


def kept(sizes: Sequence[Any], old: Sequence[Any]) -> list[Any]:
    """`sizes` with the old size where one is 0."""
    fixed = enumerate(zip(sizes, known(tuple(sizes))))
    return [old[axis] if number == 0 else size for axis, (size, number) in fixed]


@layer
class Transpose(Layer):
    """The axes in another order, reversed by default."""

    perm: Sequence[int] = ()

    def forward(self, x: Array) -> Array:
        self.order = list(self.perm) or [*range(x.ndim)][::-1]
        if sorted(self.order) != [*range(x.ndim)]:
            raise ValueError(f"{self.order} is no order of {x.ndim} axes")
        return np.transpose(x, self.order)

    def backward(self, dy: Array) -> Array:
        return np.transpose(dy, [self.order.index(axis) for axis in range(len(self.order))])


@layer
class Squeeze(Layer):
    """Axes of one element left out; without `axes` all of them."""

    numbers = (1,)

    def forward(self, x: Array, axes: Any = None) -> Array:
        if axes is not None:
            self.axes = normalize_axis_tuple(as_sizes(axes), x.ndim)
        elif None in known(x.shape):
            raise NotImplementedError(
                "Squeeze without axes of unknown sizes: trace it for one size"
            )
        else:
            self.axes = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
        return np.squeeze(x, self.axes)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return np.expand_dims(dy, self.axes), None


@layer
class Unsqueeze(Layer):
    """Axes of one element put in, at the places that they have in the result."""

    numbers = (1,)

    def forward(self, x: Array, axes: Any) -> Array:
        places = as_sizes(axes)
        self.axes = normalize_axis_tuple(places, x.ndim + len(places))
        return np.expand_dims(x, self.axes)

    def backward(self, dy: Array) -> tuple[Array, None]:
        return np.squeeze(dy, self.axes), None
