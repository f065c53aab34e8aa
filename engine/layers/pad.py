"""Borders."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class Pad(Layer):
    """A border of one value; a negative width cuts."""

    numbers = (1, 2, 3)
    mode: str = "constant"

    def forward(self, x: Array, pads: Any, value: Any = None, axes: Any = None) -> Array:
        if self.mode != "constant":
            raise ValueError(f"Pad has no mode {self.mode!r} yet, only 'constant'")
        ends = np.zeros((2, x.ndim), int)
        ends[:, range(x.ndim) if axes is None else list(axes)] = np.reshape(pads, (2, -1))
        self.before, self.after = ends.tolist()
        self.shape = x.shape
        grown = [(max(b, 0), max(a, 0)) for b, a in zip(self.before, self.after, strict=True)]
        cut = inside([min(b, 0) for b in self.before], [min(a, 0) for a in self.after])
        return np.pad(x, grown, constant_values=0 if value is None else float(value))[cut]

    def backward(self, dy: Array) -> tuple[Array, None, None, None]:
        back = [(max(-b, 0), max(-a, 0)) for b, a in zip(self.before, self.after, strict=True)]
        cut = inside([min(-b, 0) for b in self.before], [min(-a, 0) for a in self.after])
        return np.pad(dy, back)[cut], None, None, None


def inside(before: list[int], after: list[int]) -> tuple[slice, ...]:
    """What is left when negative widths cut."""
    return tuple(slice(-b or None, a or None) for b, a in zip(before, after, strict=True))
