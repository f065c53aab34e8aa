"""Layers that change nothing when a network is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from oneiro.kernels.dispatch import Array
from oneiro.kernels.shape import expand
from oneiro.kernels.symbol import as_vector

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
    """x, and a mask that lets all of it through: units are dropped in training only."""

    numbers = (1, 2)
    seed: int = 0

    def forward(self, x: Array, ratio: Any = None, training_mode: Any = None) -> Any:
        if training_mode is not None and bool(training_mode):
            raise ValueError("Dropout in training mode: export the net for inference")
        return x if self.asked == 1 else (x, expand(np.array(True), as_vector(x.shape)))

    def backward(self, dy: Array, dmask: None = None) -> tuple[Array, None, None]:
        return dy, None, None
