"""Layers that change nothing when a network is looked at."""

from __future__ import annotations

from typing import Any

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class Identity(Layer):
    """x"""

    def forward(self, x: Array) -> Array:
        return x

    def backward(self, dy: Array) -> Array:
        return dy


@layer
class Dropout(Layer):
    """x: units are dropped in training only."""

    numbers = (1, 2)
    seed: int = 0

    def forward(self, x: Array, ratio: Any = None, training_mode: Any = None) -> Array:
        if training_mode is not None and bool(training_mode):
            raise ValueError("Dropout in training mode: export the net for inference")
        return x

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        return dy, None, None


@layer
class Cast(Layer):
    """x as another type. A float stays as it is: all floats live in the net's one type."""

    to: Any

    def forward(self, x: Array) -> Array:
        self.floating = x.dtype.kind == "f"
        return x if self.floating and self.to.kind == "f" else x.astype(self.to)

    def backward(self, dy: Array) -> Array | None:
        return dy if self.floating and self.to.kind == "f" else None
