"""Convolution of each channel by a filter of its own, and its adjoint, for the fast executor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .conv import conv, conv_backward
from .dispatch import Array, Case, kernel
from .link import Link
from .symbol import Shape
from .tail import NOTHING, Tail
from .window import Window, sliding_window


@kernel
def depthwise(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """conv of as many groups as x (n, c, h, w) and y have channels; w is (c, 1, *kernel)."""
    return conv(x, w, b, window, len(w))


@kernel
def depthwise_backward(dy: Array, w: Array, shape: Shape, window: Window) -> Array:
    """The adjoint of depthwise in x of `shape`."""
    return conv_backward(dy, w, shape, window, len(w))


@depthwise.linked
def _(
    out: Array, x: Array, w: Array, b: Array | None, window: Window, tail: Tail = NOTHING
) -> Link:
    from . import depthwise_numba

    return depthwise_numba.convolve(out, x, w, b, window, tail)


@depthwise_backward.linked
def _(out: Array, dy: Array, w: Array, shape: Shape, window: Window, tail: Tail = NOTHING) -> Link:
    from . import depthwise_numba

    return depthwise_numba.give_back(out, dy, w, window, tail)


WINDOWS = [
    sliding_window((3, 3), (1, 1), (1, 1, 1, 1)),
    sliding_window((3, 3), (2, 2), (0, 0, 1, 1)),
    sliding_window((5, 2), (2, 3), (2, 0, 1, 1), (1, 2)),
]


@depthwise.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 5, 11, 14))
    for window in WINDOWS:
        yield x, random.normal(size=(5, 1, *window.kernel)), random.normal(size=5), window
    yield x, random.normal(size=(5, 1, 3, 3)), None, WINDOWS[0]


@depthwise_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for window in WINDOWS:
        dy = random.normal(size=(2, 5, *window.sizes((11, 14))))
        yield dy, random.normal(size=(5, 1, *window.kernel)), (2, 5, 11, 14), window
