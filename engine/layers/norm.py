"""Normalisation by fixed statistics."""

from __future__ import annotations

import numpy as np

from oneiro.kernels.dispatch import Array

from ..layer import Layer, layer


@layer
class BatchNormalization(Layer):
    """y = (x - mean) / sqrt(var + epsilon) * scale + b for each channel, as a trained net does."""

    epsilon: float = 1e-5
    momentum: float = 0.9
    training_mode: int = 0

    def forward(self, x: Array, scale: Array, b: Array, mean: Array, var: Array) -> Array:
        if self.training_mode:
            raise ValueError("BatchNormalization in training mode: export the net for inference")
        gain = scale / np.sqrt(var + self.epsilon)
        channels = (-1, *(1,) * (x.ndim - 2))
        self.gain = gain.reshape(channels)
        return x * self.gain + (b - mean * gain).reshape(channels)

    def backward(self, dy: Array) -> tuple[Array, None, None, None, None]:
        if any(self.needs[1:]):
            raise ValueError("statistics that depend on the picture have no gradient here")
        return dy * self.gain, None, None, None, None
