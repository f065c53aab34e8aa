"""Grouped convolution over any number of axes (as CNNs mean it: correlation) and its adjoint."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import conv_cuda
from .conv_numpy import product, product_backward
from .dispatch import Array, Case, kernel
from .pointwise import NONE, Epilogue
from .symbol import Shape, cut, known, node
from .window import Window, sliding_window


@kernel
def conv(x: Array, w: Array, b: Array | None, window: Window, group: int) -> Array:
    """y[n, o] = b[o] + the sum over the o-th filter's channels and window of x * w[o].

    x is (n, c, ...), w is (o, c / group, *kernel), b is (o,) or None.
    """
    y = np.empty((x.shape[0], w.shape[0], *window.sizes(x.shape[2:])), x.dtype)
    product(y, x, w.reshape(group, w.shape[0] // group, math.prod(w.shape[1:])), b, window)
    return y


@kernel
def conv_backward(dy: Array, w: Array, shape: Shape, window: Window, group: int) -> Array:
    """The adjoint of conv in x of `shape`: an output spreads over the window it was read from."""
    dx = np.empty(shape, dy.dtype)
    filters = w.reshape(group, w.shape[0] // group, shape[1] // group, *window.kernel)
    product_backward(dx, dy, filters, window)
    return dx


def filters_backward(dy: Array, x: Array, shape: Shape, window: Window, group: int) -> Array:
    """The adjoint of conv in filters of `shape`.

    It is a convolution itself: of x, its channels as pictures and its pictures as channels, by dy.
    Strides and dilations change places.
    """
    n, channels, *spatial = x.shape
    counts = dy.shape[2:]
    if None in known(counts):
        raise NotImplementedError("filters that depend on the picture: trace it for one size")
    axes = range(2, 2 + window.rank)
    images = x.reshape(n, group, channels // group, -1).transpose(2, 1, 0, 3)
    images = images.reshape(channels // group, group * n, *spatial)
    by = dy.transpose(1, 0, *axes)
    sliding = Window(counts, window.dilations, window.pads, window.strides)
    dw = conv(images, by, None, sliding, group).transpose(1, 0, *axes)
    return dw[(slice(None), slice(None), *(slice(size) for size in shape[2:]))]


@conv.onnx
def _(x: Array, w: Array, b: Array | None, window: Window, group: int) -> Array:
    inputs = (x, w) if b is None else (x, w, b)
    dims = (known(x.shape)[0], w.shape[0], *window.dims(x.shape))
    return node("Conv", *inputs, group=group, **window.attributes(), dims=dims)


@conv_backward.onnx
def _(dy: Array, w: Array, shape: Shape, window: Window, group: int) -> Array:
    reach = [span - 1 for span in window.span]
    fits = all(pad <= far for pad, far in zip(window.pads, reach * 2, strict=True))
    if set(window.strides) == {1} and fits:
        # a convolution by the mirrored filters, which runtimes do far faster than ConvTranspose
        back = [far - pad for far, pad in zip(reach * 2, window.pads, strict=True)]
        attributes = window._replace(pads=tuple(back)).attributes()
        return node("Conv", dy, mirrored(w, group), group=group, **attributes, dims=known(shape))
    # The strides may leave elements at the far end that no window reads: ask for all of them,
    # then cut at the true size. That is right for any size, known or not.
    attributes = window._replace(pads=(*window.before, *(0,) * window.rank)).attributes()
    extra = [stride - 1 for stride in window.strides]
    dims = (*known(shape)[:2], *(None,) * window.rank)
    dx = node("ConvTranspose", dy, w, group=group, output_padding=extra, **attributes, dims=dims)
    far = {axis: slice(0, size) for axis, size in enumerate(shape) if axis > 1}
    return cut(dx, far, known(shape))


@conv.cuda
def _(
    x: Array,
    w: Array,
    b: Array | None,
    window: Window,
    group: int,
    epilogue: Epilogue = NONE,
) -> Any:
    if not conv_cuda.can(x, w):
        return epilogue.of(conv.on_host(x, w, b, window, group))
    return conv_cuda.conv(x, w, b, window, group, epilogue)


@conv_backward.cuda
def _(
    dy: Array,
    w: Array,
    shape: Shape,
    window: Window,
    group: int,
    epilogue: Epilogue = NONE,
) -> Any:
    if not conv_cuda.can(dy, w):
        return epilogue.of(conv_backward.on_host(dy, w, shape, window, group))
    return conv_cuda.conv_backward(dy, w, shape, window, group, epilogue)


def mirrored(w: Array, group: int) -> Array:
    """The filters of the adjoint: inputs and outputs exchanged inside each group, taps turned."""
    outputs, inputs, *kernel = w.shape
    if group == 1:
        swapped = w.transpose(1, 0, *range(2, w.ndim))
    else:
        axes = range(3, 3 + len(kernel))
        grouped = w.reshape(group, outputs // group, inputs, *kernel).transpose(0, 2, 1, *axes)
        swapped = grouped.reshape(group * inputs, outputs // group, *kernel)
    if math.prod(kernel) == 1:
        return swapped
    return swapped[(slice(None), slice(None), *[slice(None, None, -1)] * len(kernel))]


WINDOWS = [
    sliding_window((3, 2), (1, 1), (1, 0, 2, 1)),  # asymmetric padding
    sliding_window((3, 2), (2, 3), (0, 1, 1, 0)),  # strides that leave rows unread
    sliding_window((3, 2), (1, 2), (2, 0, 0, 1), (2, 3)),  # dilated
    sliding_window((3, 2), (1, 1), (3, 2, 3, 2)),  # more padding than the mirrored filter can take
    sliding_window((1, 1)),
    sliding_window((1, 1), (2, 3)),
]


# Devices have kernels of their own for some of these: the shape of x, filters, window, groups.
OTHERS = [
    ((1, 3, 17, 22), 20, sliding_window((7, 7), (2, 2), (3, 3, 3, 3)), 1),  # a first layer
    ((1, 4, 11, 15), 9, sliding_window((3, 5), (4, 4), (0, 1, 2, 2)), 1),  # phases without a tap
    ((2, 17, 5, 18), 3, sliding_window((3, 3), (2, 1), (1, 1, 0, 1)), 1),  # to a picture
    ((1, 8, 7, 10), 8, sliding_window((3, 3), (2, 2), (1, 1, 1, 1)), 8),  # depthwise
    ((1, 16, 7, 9), 20, sliding_window((3, 3), (1, 1), (1, 1, 1, 1)), 1),  # channels in fours
    ((2, 32, 6, 5), 32, sliding_window((1, 3), (1, 2), (0, 1, 0, 0)), 2),
    ((2, 6, 23), 4, sliding_window((5,), (2,), (2, 1)), 2),
    ((1, 4, 5, 6, 7), 6, sliding_window((3, 1, 2), (2, 1, 3), (1, 0, 1, 0, 0, 1)), 2),
]


@conv.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 6, 11, 14))
    for case in WINDOWS:
        for group, b in ((1, random.normal(size=8)), (2, None), (6, None)):
            outputs = 12 if group == 6 else 8
            yield x, random.normal(size=(outputs, 6 // group, *case.kernel)), b, case, group
    for shape, outputs, case, group in OTHERS:
        w = random.normal(size=(outputs, shape[1] // group, *case.kernel))
        yield random.normal(size=shape), w, random.normal(size=outputs), case, group


@conv_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    assert conv.draw
    for x, w, _, case, group in conv.draw(random):
        dy = random.normal(size=(x.shape[0], w.shape[0], *case.sizes(x.shape[2:])))
        yield dy, w, x.shape, case, group
