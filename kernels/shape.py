"""Arrays that a shape or a count makes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from .dispatch import Array, Case, kernel
from .symbol import Shape, as_sizes, as_vector, broadcast, known, node


@kernel
def expand(x: Array, shape: Shape | Array) -> Array:
    """x broadcast with an array of `shape`, as a view that takes no memory."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, as_sizes(shape)))


@kernel
def arange(start: Array, limit: Array, delta: Array) -> Array:
    """start, start + delta, start + 2 delta, ... before `limit`: three numbers of one type."""
    count = math.ceil((limit - start) / delta)
    return start + np.arange(max(count, 0)).astype(start.dtype) * delta


@expand.onnx
def _(x: Array, shape: Shape | Array) -> Array:
    sizes = as_sizes(shape)
    dims = broadcast(known(x.shape), known(sizes))
    return node("Expand", x, as_vector(sizes), dtype=x.dtype, dims=dims)


@arange.onnx
def _(start: Array, limit: Array, delta: Array) -> Array:
    return node("Range", start, limit, delta, dims=(None,))


expand.cuda(expand.specification)  # a view, there too


@expand.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 1, 5, 7)), np.array([3, 1, 1])
    yield random.normal(size=(5, 1)), np.array([2, 3, 1, 7])


@arange.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield np.array(3), np.array(19), np.array(4)
    yield np.array(2.5), np.array(-4.0), np.array(-0.7)
    yield np.array(2), np.array(2), np.array(1)
