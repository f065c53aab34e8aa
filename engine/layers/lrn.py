"""Local response normalisation."""

from __future__ import annotations

from oneiro.kernels.dispatch import Array
from oneiro.kernels.lrn import lrn, lrn_backward

from ..layer import Layer, layer


@layer
class LRN(Layer):
    """Divide each value by a power of the squares in the neighbouring channels (AlexNet).

    y = x * scale ** -beta, scale = bias + alpha / size * (sum of x**2 over `size` channels).
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def forward(self, x: Array) -> Array:
        if self.size < 1:
            raise ValueError(f"LRN over {self.size} channels")
        self.x = x
        y, self.scale, self.shrink = lrn(x, self.size, self.alpha, self.beta, self.bias)
        return y

    def backward(self, dy: Array) -> Array:
        noted = self.x, self.scale, self.shrink
        return lrn_backward(dy, *noted, self.size, self.alpha, self.beta)
