"""Convolution."""

from __future__ import annotations

from collections.abc import Sequence

from oneiro.kernels.conv import conv, conv_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.window import Window, automatic, sliding_window

from ..layer import Layer, layer


@layer
class Conv(Layer):
    """Filters slid over the picture: y[n, o] = b[o] + sum of w[o] * the window of x."""

    kernel_shape: Sequence[int] = ()
    strides: Sequence[int] = ()
    pads: Sequence[int] = ()
    dilations: Sequence[int] = ()
    group: int = 1
    auto_pad: str = "NOTSET"

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        self.shape, self.w = x.shape, w
        self.window = self.geometry(x, w)
        return conv(x, w, b, self.window, self.group)

    def backward(self, dy: Array) -> tuple[Array, None, None]:
        """The diff of x; this engine differentiates towards the picture, not the filters."""
        if len(self.needs) > 1 and any(self.needs[1:]):
            raise ValueError("filters that depend on the picture have no gradient here")
        return conv_backward(dy, self.w, self.shape, self.window, self.group), None, None

    def geometry(self, x: Array, w: Array) -> Window:
        """The window over x, once all shapes are known to agree."""
        outputs, inputs, *kernel = w.shape
        if self.group < 1 or outputs % self.group:
            raise ValueError(f"{outputs} filters cannot be split into {self.group} groups")
        if x.shape[1] != inputs * self.group:
            expected = f"{inputs * self.group} channels ({self.group} groups of {inputs})"
            raise ValueError(f"the filters read {expected}, the bottom has {x.shape[1]}")
        if self.kernel_shape and list(self.kernel_shape) != kernel:
            raise ValueError(f"kernel_shape {self.kernel_shape} does not fit filters of {kernel}")
        sliding = sliding_window(kernel, self.strides, self.pads, self.dilations)
        return automatic(sliding, x.shape[2:], self.auto_pad)
