"""Quantisation: the way back goes straight through, as if it were not there.

A quantised value q stands for (q - zero) * scale. Rounding has no slope, and so it counts as if it
had 1 (the straight-through estimator, Bengio et al. 2013), outside the range of the integers too:
QuantizeLinear divides a diff by the scale, DequantizeLinear multiplies it, and both together hand
it on as it is. The scale counts as a constant.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import known

from ..layer import Layer, layer

RANGES = {
    "int2": (-2, 1),
    "uint2": (0, 3),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "uint16": (0, 65535),
}
# types by their numbers in ONNX; 0 is the default
TYPES = {0: np.uint8, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}


@layer
class QuantizeLinear(Layer):
    """x / scale, rounded to even, plus zero, held within the range of an integer type.

    The type is that of zero. The scale is one number, or one along an axis or for each block.
    """

    axis: int = 1
    block_size: int = 0
    output_dtype: int = 0
    precision: int = 0  # of the division: here always the net's
    saturate: int = 1  # matters to float8 alone

    def forward(self, x: Array, scale: Array, zero: Array | None = None) -> Array:
        if zero is None and self.output_dtype not in TYPES:
            raise ValueError(f"without a zero there is no quantising to type {self.output_dtype}")
        dtype = np.dtype(TYPES[self.output_dtype]) if zero is None else zero.dtype
        if dtype.name not in RANGES:
            raise ValueError(f"there is no quantising to {dtype}, only to {', '.join(RANGES)}")
        self.scale = beside(x, scale, self.axis, self.block_size)
        steps = np.rint(in_type(x, scale) / self.scale)
        if zero is not None:
            steps = steps + beside(x, in_type(zero, scale), self.axis, self.block_size)
        return np.clip(steps, *RANGES[dtype.name]).astype(dtype)

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        return dy / self.scale, None, None


@layer
class DequantizeLinear(Layer):
    """(x - zero) * scale, with a scale that is one number, or one along an axis or block."""

    axis: int = 1
    block_size: int = 0
    output_dtype: int = 0  # always the net's

    def forward(self, x: Array, scale: Array, zero: Array | None = None) -> Array:
        self.scale = beside(x, scale, self.axis, self.block_size)
        steps = in_type(x, scale)
        if zero is not None:
            steps = steps - beside(x, in_type(zero, scale), self.axis, self.block_size)
        return steps * self.scale

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        return dy * self.scale, None, None


def in_type(x: Array, model: Array) -> Array:
    """Integers as floats of the type of `model`."""
    return x if x.dtype == model.dtype else x.astype(model.dtype)


def beside(x: Array, values: Array, axis: int, block: int) -> Array:
    """Scales or zeros in a shape that broadcasts with x: one, one along `axis`, or by blocks."""
    if values.shape in ((), (1,)):
        return values.reshape(())
    axis = normalize_axis_index(axis, x.ndim)
    if None in known(x.shape if block else x.shape[axis : axis + 1]):
        raise NotImplementedError("scales along an unknown size: trace it for one size")
    if block < 0:
        raise ValueError(f"a block of {block} elements")
    if block == 0:
        check_shape(values, (x.shape[axis],))
        return values.reshape(-1, *(1,) * (x.ndim - 1 - axis))
    before, size, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    count, block = -(-size // block), min(block, size)
    check_shape(values, (*before, count, *after))
    repeated = np.broadcast_to(
        values.reshape(*before, count, 1, *after), (*before, count, block, *after)
    )
    row = repeated.reshape(*before, count * block, *after)
    return row[(slice(None),) * axis + (slice(size),)]


def check_shape(values: Array, shape: tuple[Any, ...]) -> None:
    if values.shape != shape:
        raise ValueError(f"scales and zeros have shape {values.shape}, not {shape}")
