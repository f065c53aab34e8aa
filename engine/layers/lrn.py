"""Local response normalisation."""

from __future__ import annotations

from oneiro.kernels.dispatch import Array
from oneiro.kernels.lrn import channel_sum

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
        self.scale = self.bias + self.alpha / self.size * channel_sum(x * x, *self.reach)
        self.shrink = self.scale**-self.beta
        return x * self.shrink

    def backward(self, dy: Array) -> Array:
        before, after = self.reach
        shared = channel_sum(dy * self.x * self.shrink / self.scale, after, before)
        return dy * self.shrink - (2 * self.alpha * self.beta / self.size) * self.x * shared

    @property
    def reach(self) -> tuple[int, int]:
        """Channels before and after the middle one; even sizes reach one further up."""
        return (self.size - 1) // 2, self.size // 2
