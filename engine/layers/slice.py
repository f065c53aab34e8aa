"""Parts of an array."""

from __future__ import annotations

from typing import Any

from numpy.lib.array_utils import normalize_axis_index

from oneiro.kernels.dispatch import Array
from oneiro.kernels.index import slice_backward
from oneiro.kernels.symbol import as_sizes

from ..layer import Layer, layer


@layer
class Slice(Layer):
    """x[start:end:step] along some axes, the leading ones by default, as Python cuts."""

    numbers = (1, 2, 3, 4)

    def forward(
        self, x: Array, starts: Any, ends: Any, axes: Any = None, steps: Any = None
    ) -> Array:
        self.shape = x.shape
        bounds = [as_sizes(bound) for bound in (starts, ends)]
        count = len(bounds[0])
        along = range(count) if axes is None else as_sizes(axes)
        strides = [1] * count if steps is None else [int(step) for step in as_sizes(steps)]
        if {len(bounds[1]), len(along), len(strides)} != {count}:
            raise ValueError("starts, ends, axes and steps differ in length")
        if 0 in strides:
            raise ValueError("a step of 0 leads nowhere")
        key = [slice(None)] * x.ndim
        for axis, *part in zip(along, *bounds, strides):
            key[normalize_axis_index(axis, x.ndim)] = slice(*part)
        self.key = tuple(key)
        return x[self.key]

    def backward(self, dy: Array) -> tuple[Array, None, None, None, None]:
        return slice_backward(dy, self.key, self.shape), None, None, None, None
