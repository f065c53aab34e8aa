"""Values brought to mean 0 and variance 1: what layer, instance and group normalisation share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import DeviceArray, compact, dense, empty, in_order, laid_out, memory_order
from .dispatch import Array, Case, kernel
from .line import together
from .reduction import Walk, inmost_last, normalized, remaining, segmented, shape_without, walked
from .source import Source

STANDARD = Source("standard.cu")


@kernel
def standardized(x: Array, axes: Any, epsilon: float) -> tuple[Array, Array, Array]:
    """x with mean 0 and variance 1 over `axes`; the mean, and what was multiplied by."""
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    gain = 1 / np.sqrt((centred * centred).mean(axes, keepdims=True) + epsilon)
    return centred * gain, mean, gain


@kernel
def standardized_backward(dy: Array, y: Array, gain: Array, axes: Any) -> Array:
    """The diff of x from that of the standardized y: without its parts along 1 and along y."""
    along = (dy * y).mean(axes, keepdims=True)
    return gain * (dy - dy.mean(axes, keepdims=True) - y * along)


@standardized.cuda
def _(x: Any, axes: Any, epsilon: float) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    x, axes, walk = seen(x, axes)
    y = laid_out(x.shape, x, None, memory_order(x))
    shape = shape_without(x.shape, axes, keepdims=True)
    results = y, empty(shape, x), empty(shape, x)
    launch("standardized", "segment_moments", walk, (*results, x), (x,), (epsilon,))
    return results


@standardized_backward.cuda
def _(dy: Any, y: Any, gain: Any, axes: Any) -> DeviceArray:
    dy, y, gain = together(dy, y, gain)
    y, axes, walk = seen(y, axes)
    order = memory_order(y)
    dx = laid_out(y.shape, y, None, order)
    dy, gain = in_order(dy, order), dense(gain)
    launch("standardized_backward", "segment_sums", walk, (dx, dy, y, gain), (dy, y), ())
    return dx


def seen(x: DeviceArray, axes: Any) -> tuple[DeviceArray, tuple[int, ...], Walk]:
    """A dense array, the axes to go over, and how. The kept ones are as a result has them."""
    axes = normalized(axes, x.ndim)
    x = compact(x)
    x, walk = walked(x, inmost_last(x, axes), remaining(x.ndim, axes, keepdims=True))
    return x, axes, walk


def launch(
    function: str,
    first: str,
    walk: Walk,
    arrays: tuple[DeviceArray, ...],
    read: tuple[DeviceArray, ...],
    numbers: tuple[float, ...],
) -> None:
    """Launch `function`; where its results are long, `first` for segments of what is read."""
    shared, segments, segment = segmented(walk)
    block = (walk.args, shared.lanes, shared.step)
    grid = (shared.blocks(walk.results), segments)
    if segments == 1:
        args: tuple[Any, ...] = (arrays, numbers, block)
        STANDARD.launch(function, grid, shared.threads, args, defines=walk.defines)
        return
    pairs = empty((2, segments, walk.results), read[0])
    args = (pairs, read, segment, block)
    STANDARD.launch(first, grid, shared.threads, args, defines=walk.defines)
    args = (arrays, pairs, numbers, segment, block)
    STANDARD.launch(f"{function}_by", grid, shared.threads, args, defines=walk.defines)


SHAPES: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3, 257), (1,)),
    ((2, 3, 33), (-1,)),
    ((2, 7, 5, 3), (2, 3)),  # channels, innermost in memory
    ((2, 67, 3, 5), (0, 2, 3)),
    ((2, 3, 5, 7, 4), (2, 3, 4)),  # groups of channels
    ((2, 5, 3, 7), (1, 2, 3)),
    ((1, 3, 47, 25), (2, 3)),  # long: by segments
    ((2, 33001), (1,)),
]


@standardized.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, axes in SHAPES:
        yield 2 * random.normal(size=shape) + 3, axes, 0.1


@standardized_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, axes in SHAPES:
        y, _, gain = standardized(random.normal(size=shape), axes, 0.1)
        yield random.normal(size=shape), y, gain, axes
