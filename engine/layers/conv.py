"""Convolution and its transpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneiro.kernels.conv import conv, conv_backward, filters_backward
from oneiro.kernels.dispatch import Array
from oneiro.kernels.symbol import known
from oneiro.kernels.window import (
    Window,
    automatic,
    check_auto_pad,
    check_border,
    sliding_window,
)

from ..layer import Layer, layer


@dataclass
class Filters(Layer):
    """What convolution and its transpose have in common: filters (outputs, inputs, *kernel)."""

    kernel_shape: Sequence[int] = ()
    strides: Sequence[int] = ()
    pads: Sequence[int] = ()
    dilations: Sequence[int] = ()
    group: int = 1
    auto_pad: str = "NOTSET"

    def sliding(self, x: Array, w: Array, b: Array | None, channels: int) -> Window:
        """The window of the filters, once all shapes are known to agree."""
        if x.ndim != w.ndim:
            raise ValueError(f"filters of {w.ndim} axes do not fit a bottom of {x.ndim}")
        if self.group < 1 or w.shape[0] % self.group:
            raise ValueError(f"{w.shape[0]} filters cannot be split into {self.group} groups")
        if b is not None and (b.ndim != 1 or known(b.shape)[0] not in (channels, None)):
            raise ValueError(f"a bias of {b.shape} does not fit {channels} channels")
        self.x, self.w, self.biased = x, w, b is not None
        kernel = w.shape[2:]
        if self.kernel_shape and tuple(self.kernel_shape) != kernel:
            raise ValueError(f"kernel_shape {self.kernel_shape} does not fit filters of {kernel}")
        return sliding_window(kernel, self.strides, self.pads, self.dilations)

    def over_pictures(self, dy: Array) -> Array | None:
        """The diff of the bias, if there is one: sums over all axes but the channels."""
        if not self.biased or not self.needs_diff(2):
            return None
        return dy.sum((0, *range(2, dy.ndim)))


@layer
class Conv(Filters):
    """Filters slid over the picture: y[n, o] = b[o] + sum of w[o] * the window of x."""

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        sliding = self.sliding(x, w, b, w.shape[0])
        inputs = w.shape[1] * self.group
        if x.shape[1] != inputs:
            expected = f"{inputs} channels ({self.group} groups of {w.shape[1]})"
            raise ValueError(f"the filters read {expected}, the bottom has {x.shape[1]}")
        self.window = automatic(sliding, x.shape, self.auto_pad)
        return conv(x, w, b, self.window, self.group)

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        dx = dw = None
        if self.needs_diff(0):
            dx = conv_backward(dy, self.w, self.x.shape, self.window, self.group)
        if self.needs_diff(1):
            dw = filters_backward(dy, self.x, self.w.shape, self.window, self.group)
        return dx, dw, self.over_pictures(dy)


@layer
class ConvTranspose(Filters):
    """Each element of x spread over a window of y by the filters that it is behind.

    It is the way back of Conv: from x, its top, to y, its bottom. Their sizes are those of Conv,
    where more than one size of the bottom gives the same top: output_padding chooses among them.
    """

    output_padding: Sequence[int] = ()
    output_shape: Sequence[int] = ()

    def forward(self, x: Array, w: Array, b: Array | None = None) -> Array:
        channels = w.shape[1] * self.group
        sliding = self.sliding(x, w, b, channels)
        if x.shape[1] != w.shape[0]:
            raise ValueError(f"{w.shape[0]} filters do not fit a bottom of {x.shape[1]} channels")
        window, sizes = self.geometry(sliding, x.shape[2:])
        self.shape = (x.shape[0], channels, *sizes)
        check_border(self.shape, window)
        self.window = window.within(sizes)
        y = conv_backward(x, w, self.shape, self.window, self.group)
        return y if b is None else y + b.reshape(-1, *(1,) * len(sizes))

    def backward(self, dy: Array) -> tuple[Array | None, Array | None, Array | None]:
        dx = dw = None
        if self.needs_diff(0):
            dx = conv(dy, self.w, None, self.window, self.group)
        if self.needs_diff(1):
            dw = filters_backward(self.x, dy, self.w.shape, self.window, self.group)
        return dx, dw, self.over_pictures(dy)

    def geometry(self, sliding: Window, spatial: Sequence[Any]) -> tuple[Window, list[Any]]:
        """The window with its pads, and the sizes of the top."""
        check_auto_pad(self.auto_pad)
        extra = list(self.output_padding) or [0] * sliding.rank
        if any(not 0 <= more < stride for more, stride in zip(extra, sliding.strides)):
            raise ValueError(f"output_padding {extra} is not below the strides {sliding.strides}")
        lengths = {len(extra), len(self.output_shape or extra), len(spatial)}
        if lengths != {sliding.rank}:
            raise ValueError(f"output_padding and output_shape do not fit {sliding.rank} axes")
        ends = list(zip(sliding.before, sliding.after))
        sizes: list[Any] = []
        for axis, (size, span, stride) in enumerate(zip(spatial, sliding.span, sliding.strides)):
            reached = size * stride + span - stride  # by the windows, padding included
            if self.output_shape:
                if not isinstance(size, int):
                    raise NotImplementedError("output_shape: trace it for one size")
                wanted = self.output_shape[axis]
                ends[axis] = self.split(reached + extra[axis] - wanted)
                if wanted >= reached + stride:
                    raise ValueError(f"{size} elements cannot become {wanted} in steps of {stride}")
            elif self.auto_pad in ("SAME_UPPER", "SAME_LOWER"):
                wanted = size * stride
                ends[axis] = self.split(span - stride + extra[axis])
            else:
                ends[axis] = (0, 0) if self.auto_pad == "VALID" else ends[axis]
                wanted = reached + extra[axis] - sum(ends[axis])
            if isinstance(wanted, int) and wanted < 1:
                raise ValueError(f"padding of {ends[axis]} leaves nothing of {size} elements")
            sizes.append(wanted)
        return sliding._replace(pads=tuple(pad for side in zip(*ends) for pad in side)), sizes

    def split(self, total: int) -> tuple[int, int]:
        """ONNX's way to share out padding: SAME_UPPER alone gives an odd element to the end."""
        less = max(total, 0) // 2
        more = max(total, 0) - less
        return (less, more) if self.auto_pad == "SAME_UPPER" else (more, less)
