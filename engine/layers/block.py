"""Blocks of a picture as channels, and channels as blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import known
from oneiro.kernels.window import check_border, sliding_window

from ..layer import Layer, layer

LIMIT = 1 << 24  # elements of the filters that put blocks in their places

# Where the axes (n, c, h, block, w, block) stand among the channels of blocks.
ORDERS = {"DCR": [0, 3, 5, 1, 2, 4], "CRD": [0, 1, 3, 5, 2, 4]}


@dataclass
class Block(Layer):
    """A picture (n, c, h * block, w * block) and the same as (n, c * block * block, h, w).

    The mode says what the channels count up first: those of the picture (DCR) or the places in a
    block (CRD).
    """

    blocksize: int
    mode: str = "DCR"

    def order(self, x: Array) -> list[int]:
        """ORDERS, once the bottom and the attributes are known to be sound."""
        if x.ndim != 4:
            raise ValueError(f"a bottom of {x.ndim} axes is no picture, which has four")
        if self.mode not in ORDERS:
            raise ValueError(f"mode {self.mode!r} is not one of {', '.join(ORDERS)}")
        if self.blocksize < 1:
            raise ValueError(f"there are no blocks of {self.blocksize}")
        return ORDERS[self.mode]

    def to_depth(self, x: Array) -> Array:
        """The blocks of a picture as channels."""
        block, order = self.blocksize, self.order(x)
        n, c, height, width = x.shape
        if any(isinstance(size, int) and size % block for size in (height, width)):
            raise ValueError(f"a picture of {height}x{width} has no whole blocks of {block}")
        # one axis at a time, so that either size may be unknown
        rows = x.reshape(n, c, -1, block, width)
        blocks = rows.reshape(n, c, rows.shape[2], block, -1, block)
        n, c, height, _, width, _ = blocks.shape
        return np.transpose(blocks, order).reshape(n, c * block * block, height, width)

    def to_space(self, x: Array) -> Array:
        """Channels as the blocks of a picture."""
        block, order = self.blocksize, self.order(x)
        n, c, height, width = x.shape
        if c % (block * block):
            raise ValueError(f"{c} channels are no blocks of {block}x{block}")
        c = c // (block * block)
        sizes: list[Any] = [n, c, height, block, width, block]
        x = x.reshape([sizes[axis] for axis in order])
        blocks = np.transpose(x, [order.index(axis) for axis in range(6)])
        return blocks.reshape(n, c, height * block, width * block)


@layer
class DepthToSpace(Block):
    """Channels as blocks of a larger picture: sub-pixel convolution, PyTorch's PixelShuffle."""

    def forward(self, x: Array) -> Array:
        return self.to_space(x)

    def backward(self, dy: Array) -> Array:
        return self.to_depth(dy)


@layer
class SpaceToDepth(Block):
    """Blocks of the picture as channels of a smaller one."""

    def forward(self, x: Array) -> Array:
        return self.to_depth(x)

    def backward(self, dy: Array) -> Array:
        return self.to_space(dy)


@layer
class Col2Im(Layer):
    """Blocks (n, c * elements of a block, blocks) put together to pictures (n, c, *image_shape).

    A block stands where a window of a convolution would; where blocks overlap they add up.
    """

    numbers = (1, 2)
    dilations: Sequence[int] = ()
    pads: Sequence[int] = ()
    strides: Sequence[int] = ()

    def forward(self, x: Array, image_shape: Any, block_shape: Any) -> Array:
        kernel, sizes = ([int(n) for n in shape] for shape in (block_shape, image_shape))
        self.window = sliding_window(kernel, self.strides, self.pads, self.dilations)
        counts, elements = self.window.sizes(sizes), math.prod(kernel)
        shape = known(x.shape)
        if len(shape) != 3 or x.shape[1] % elements or shape[2] not in (math.prod(counts), None):
            raise ValueError(f"{shape} are not blocks of {kernel} in pictures of {sizes}")
        self.shape, self.channels = x.shape, x.shape[1] // elements
        if self.channels * elements**2 > LIMIT:
            raise ValueError(f"{self.channels} channels of blocks of {kernel} are too large")
        # the way back of a convolution whose filters pick one element each
        filters = np.tile(np.eye(elements, dtype=x.dtype), (self.channels, 1))
        self.filters = filters.reshape(-1, 1, *kernel)
        image = x.shape[0], self.channels, *sizes
        check_border(image, self.window)
        blocks = x.reshape(*x.shape[:2], *counts)
        return conv_backward(blocks, self.filters, image, self.window, self.channels)

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        blocks = conv(dy, self.filters, None, self.window, self.channels)
        return blocks.reshape(self.shape), None, None
