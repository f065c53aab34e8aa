"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class ReduceMean(Layer):
    """The mean over some axes, all of them by default."""

    keepdims: int = 1
    noop_with_empty_axes: int = 0

    def forward(self, x: Array, axes: Any = None) -> Array:
        self.shape = x.shape
        named = [] if axes is None else [int(axis) % x.ndim for axis in axes]
        self.axes = named or ([] if self.noop_with_empty_axes else [*range(x.ndim)])
        return x.mean(tuple(self.axes), keepdims=bool(self.keepdims)) if self.axes else x

    def backward(self, dy: Array) -> tuple[Array, None]:
        kept = tuple(1 if a in self.axes else size for a, size in enumerate(self.shape))
        count = 1
        for axis in self.axes:
            count = count * self.shape[axis]
        return np.broadcast_to(dy.reshape(kept) / count, self.shape), None
