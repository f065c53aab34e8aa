"""Pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.pool import (
    average_pool,
    average_pool_backward,
    global_max_pool,
    global_max_pool_backward,
    max_pool,
    max_pool_backward,
)
from oneiro.kernels.window import Window, automatic, sliding_window

from ..layer import Layer, layer


@dataclass
class Pool(Layer):
    """What pools over windows have in common: the window."""

    kernel_shape: Sequence[int]
    strides: Sequence[int] = ()
    pads: Sequence[int] = ()
    dilations: Sequence[int] = ()
    ceil_mode: int = 0
    auto_pad: str = "NOTSET"

    def geometry(self, x: Array) -> Window:
        sides = self.kernel_shape, self.strides, self.pads, self.dilations
        sliding = automatic(
            sliding_window(*sides, bool(self.ceil_mode)), x.shape[2:], self.auto_pad
        )
        if any(pad >= span for pad, span in zip(sliding.pads, sliding.span * 2, strict=True)):
            raise ValueError(f"a window of {sliding.span} can lie in padding of {sliding.pads}")
        return sliding


@layer
class MaxPool(Pool):
    """The largest value of each window; its way back goes to the first of equals."""

    storage_order: int = 0

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        y, self.where = max_pool(x, self.geometry(x))
        return y

    def backward(self, dy: Array) -> Array:
        return max_pool_backward(dy, self.where, self.shape)


@layer
class AveragePool(Pool):
    """The mean of each window, over the padding too if count_include_pad."""

    count_include_pad: int = 0

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        self.window = self.geometry(x)
        return average_pool(x, self.window, bool(self.count_include_pad))

    def backward(self, dy: Array) -> Array:
        return average_pool_backward(dy, self.shape, self.window, bool(self.count_include_pad))


@layer
class GlobalAveragePool(Layer):
    """The mean of each channel."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.mean(tuple(range(2, x.ndim)), keepdims=True)

    def backward(self, dy: Array) -> Array:
        count = self.shape[2]
        for size in self.shape[3:]:
            count = count * size
        return np.broadcast_to(dy / count, self.shape)


@layer
class GlobalMaxPool(Layer):
    """The largest value of each channel; its way back goes to the first of equals."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        y, self.where = global_max_pool(x)
        return y

    def backward(self, dy: Array) -> Array:
        return global_max_pool_backward(dy, self.where, self.shape)
