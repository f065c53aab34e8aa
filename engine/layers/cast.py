"""Types."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class Cast(Layer):
    """x as another type. A float stays as it is: all floats live in the net's one type."""

    to: Any
    saturate: int = 1
    round_mode: str = "up"

    def forward(self, x: Array) -> Array:
        self.floating = x.dtype.kind == self.to.kind == "f"
        return as_type(x, self.to)

    def backward(self, dy: Array) -> Array | None:
        return dy if self.floating else None


@layer
class CastLike(Layer):
    """x in the type of another array."""

    saturate: int = 1
    round_mode: str = "up"

    def forward(self, x: Array, target: Array) -> Array:
        self.floating = x.dtype.kind == target.dtype.kind == "f"
        return as_type(x, target.dtype)

    def backward(self, dy: Array) -> tuple[Array | None, None]:
        return dy if self.floating else None, None


def as_type(x: Array, dtype: np.dtype[Any]) -> Array:
    """x as integers, truth values or floats; a float does not change its width."""
    if dtype.kind not in "biuf":
        raise ValueError(f"there are no arrays of type {dtype} here")
    return x if x.dtype == dtype or x.dtype.kind == dtype.kind == "f" else x.astype(dtype)
