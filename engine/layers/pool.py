"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.pool import (
    average_pool,
    average_pool_backward,
    counted,
    global_max_pool,
    global_max_pool_backward,
    max_pool,
    max_pool_backward,
    unpool,
    unpool_backward,
)
from oneiro.kernels.symbol import known
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
        window = automatic(sliding_window(*sides, bool(self.ceil_mode)), x.shape, self.auto_pad)
        in_padding = any(pad >= span for pad, span in zip(window.pads, window.span * 2))
        if not in_padding and None not in known(x.shape[2:]):
            # a dilated window may step over all of a small picture
            in_padding = any((n == 0).any() for n in counted(x.shape[2:], window, False))
        if in_padding:
            raise ValueError(f"a window of {window.span} can lie in padding of {window.pads}")
        return window


@layer
class MaxPool(Pool):
    """The largest value of each window, and where it was: a flat index into x.

    The way back goes to the first of equals. With storage_order 1 indices count down the columns.
    """

    storage_order: int = 0

    def forward(self, x: Array) -> Any:
        self.shape = x.shape
        self.window = self.geometry(x)
        y, self.where = max_pool(x, self.window)
        if self.asked == 1:
            return y
        where = column_major(self.where, x.shape) if self.storage_order else self.where
        return y, where if where.dtype == np.int64 else where.astype(np.int64)

    def backward(self, dy: Array, _: None = None) -> Array:
        return max_pool_backward(dy, self.where, self.shape, self.window)

    def backward_overwrite(self, dy: Array, _: None = None) -> Array:
        """Unpooling: each value goes to its place, where a later one replaces an earlier one."""
        return unpool(dy, self.where, self.shape)


def column_major(index: Array, shape: Sequence[Any]) -> Array:
    """Flat indices into an array of `shape` if the first axis of its planes were the densest."""
    inside = index % math.prod(shape[2:])
    result = index - inside
    for axis in range(2, len(shape)):
        place = inside // math.prod(shape[axis + 1 :]) % shape[axis]
        result = result + place * math.prod(shape[2:axis])
    return result


@layer
class MaxUnpool(Layer):
    """The largest values back where MaxPool's indices say that they were, zeros elsewhere.

    The indices count in the array that the window makes of x; a larger output_shape adds zeros
    behind that.
    """

    numbers = (2,)
    kernel_shape: Sequence[int]
    strides: Sequence[int] = ()
    pads: Sequence[int] = ()

    def forward(self, x: Array, where: Array, output_shape: Any = None) -> Array:
        window = sliding_window(self.kernel_shape, self.strides, self.pads)
        if x.ndim != 2 + window.rank:
            raise ValueError(f"a window over {window.rank} axes met a bottom of {x.ndim}")
        values, indices = known(x.shape), known(where.shape)
        if None not in (*values, *indices) and values != indices:
            raise ValueError(f"indices of {indices} do not fit values of {values}")
        self.where = where
        self.shape = [*x.shape[:2]]
        for axis, (length, stride) in enumerate(zip(window.kernel, window.strides)):
            pads = window.before[axis] + window.after[axis]
            self.shape.append((x.shape[2 + axis] - 1) * stride + length - pads)
        fixed = [size for size in self.shape if isinstance(size, int)]
        if min(fixed) < 0 or math.prod(fixed) >= 1 << 63:
            raise ValueError(f"there is no top of {self.shape}")
        y = unpool(x, where, tuple(self.shape))
        if output_shape is None:
            return y
        if fixed != self.shape:
            raise NotImplementedError("output_shape: trace it for one size")
        sizes = np.ravel(output_shape).tolist()
        if len(sizes) != x.ndim or any(np.less(sizes, self.shape)):
            raise ValueError(f"an output_shape of {sizes} cannot hold {self.shape}")
        return np.pad(y, [(0, int(n) - size) for n, size in zip(output_shape, self.shape)])

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        inside = dy[tuple(slice(size) for size in self.shape)]
        return unpool_backward(inside, self.where), None, None


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
class LpPool(Pool):
    """The p-norm of each window: the p-th root of the sum of |x| ** p."""

    p: int = 2

    def forward(self, x: Array) -> Array:
        check_norm(self.p)
        window = self.geometry(x)
        if window.ceil and None in known(x.shape[2:]):
            raise NotImplementedError("LpPool in ceil mode: trace it for one size")
        self.window = window.exact(x.shape[2:]) if window.ceil else window
        # sums over windows are a convolution of each channel by ones
        self.ones = np.ones((x.shape[1], 1, *window.kernel), x.dtype)
        self.x = x
        self.total = conv(np.abs(x) ** self.p, self.ones, None, self.window, x.shape[1])
        return self.total ** (1 / self.p)

    def backward(self, dy: Array) -> Array:
        share = root_backward(dy, self.total, self.p)
        x, window = self.x, self.window
        share = conv_backward(share, self.ones, x.shape, window, x.shape[1])
        return share * np.sign(x) * np.abs(x) ** (self.p - 1)


@layer
class GlobalLpPool(Layer):
    """The p-norm of each channel."""

    p: int = 2

    def forward(self, x: Array) -> Array:
        check_norm(self.p)
        self.x = x
        self.total = (np.abs(x) ** self.p).sum(tuple(range(2, x.ndim)), keepdims=True)
        return self.total ** (1 / self.p)

    def backward(self, dy: Array) -> Array:
        share = root_backward(dy, self.total, self.p)
        return share * np.sign(self.x) * np.abs(self.x) ** (self.p - 1)


def check_norm(p: int) -> None:
    if p < 1:
        raise ValueError(f"there is no {p}-norm: p starts at 1")


def root_backward(dy: Array, total: Array, p: int) -> Array:
    """The way back through the p-th root, but for a factor p that the power before it cancels."""
    # where the total is 0 so is all that it sums up, and nothing goes further back
    return dy * np.where(total > 0, total, 1) ** (1 / p - 1)


@layer
class GlobalAveragePool(Layer):
    """The mean of each channel."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        return x.mean(tuple(range(2, x.ndim)), keepdims=True)

    def backward(self, dy: Array) -> Array:
        return np.broadcast_to(dy / math.prod(self.shape[2:]), self.shape)


@layer
class GlobalMaxPool(Layer):
    """The largest value of each channel; its way back goes to the first of equals."""

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        y, self.where = global_max_pool(x)
        return y

    def backward(self, dy: Array) -> Array:
        return global_max_pool_backward(dy, self.where, self.shape)
