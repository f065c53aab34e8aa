"""Arrays joined."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class Concat(Layer):
    """Arrays side by side along one axis."""

    axis: int

    def forward(self, *xs: Array) -> Array:
        if not -xs[0].ndim <= self.axis < xs[0].ndim:
            raise ValueError(f"axis {self.axis} is not one of {xs[0].ndim} axes")
        if not all(isinstance(x.shape[self.axis], int) for x in xs):
            raise NotImplementedError("Concat along an axis of unknown size: trace it for one size")
        self.cuts = [int(cut) for cut in np.cumsum([x.shape[self.axis] for x in xs])[:-1]]
        return np.concatenate(xs, self.axis)

    def backward(self, dy: Array) -> tuple[Array, ...]:
        return tuple(np.split(dy, self.cuts, self.axis))
