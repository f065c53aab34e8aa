"""Scores as probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from .array import DeviceArray, compact, in_order, laid_out, memory_order
from .dispatch import Array, Case, kernel
from .line import together
from .reduction import Axes, Walk, block
from .source import Source
from .symbol import known, node

SOFTMAX = Source("softmax.cu")


@kernel
def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum of exp(x) along `axis`, without overflow."""
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@kernel
def softmax_backward(y: Array, dy: Array, axis: int) -> Array:
    """The diff of x from that of y = softmax(x, axis)."""
    return y * (dy - (dy * y).sum(axis, keepdims=True))


@softmax.onnx
def _(x: Array, axis: int) -> Array:
    return node("Softmax", x, axis=axis, dims=known(x.shape))


@softmax.cuda
def _(x: Any, axis: int) -> DeviceArray:
    return along_rows("softmax", axis, compact(x))


@softmax_backward.cuda
def _(y: Any, dy: Any, axis: int) -> DeviceArray:
    y, dy = together(y, dy)
    y = compact(y)
    return along_rows("softmax_backward", axis, y, in_order(dy, memory_order(y)))


def along_rows(function: str, axis: int, *arrays: DeviceArray) -> DeviceArray:
    """A kernel of softmax.cu on dense arrays that lie alike; so does its result."""
    x = arrays[0]
    order = memory_order(x)
    result = laid_out(x.shape, x, None, order)
    place = order.index(normalize_axis_index(axis, x.ndim))
    outer, inner = (
        math.prod(x.shape[a] for a in axes) for axes in (order[:place], order[place + 1 :])
    )
    count = x.shape[axis]
    if result.size:
        rows = Axes((outer, inner), (count * inner, 1)) if inner > 1 else Axes((outer,), (count,))
        shared = block(Walk(rows, Axes((count,), (inner,))))
        args = (result, arrays, rows.size, count, inner, shared.lanes, shared.step)
        SOFTMAX.launch(function, shared.blocks(rows.size), shared.threads, args)
    return result


SHAPES = [
    ((3, 257), 1),
    ((2, 3, 33), -1),
    ((1, 1025), 1),
    ((7, 5), 0),  # rows of neighbours that are not in one row
    ((2, 67, 3, 5), 1),  # channels, innermost in memory
    ((2, 3, 5, 37), 3),
    ((4, 1, 2, 3), 1),  # rows of one element
]


@softmax.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, axis in SHAPES:
        yield 5 * random.normal(size=shape), axis


@softmax_backward.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for shape, axis in SHAPES:
        y = softmax(random.normal(size=shape), axis)
        yield y, random.normal(size=shape), axis
