"""The largest elements along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import dense, empty
from .dispatch import Array, Case, kernel
from .line import launch, lines, resized
from .source import Source
from .symbol import known, node

TOP_K = Source("top_k.cu")
LONGEST = 1 << 15  # lines on devices: there a line takes the square of its length


@kernel
def top_k(x: Array, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    """The k largest elements along `axis`, in order, and their places; else the smallest.

    The first of equal elements comes first. The adjoint is gather_elements_backward.
    """
    if largest:
        # the order from below of the reversed array, read from its end: equals keep theirs
        order = x.shape[axis] - 1 - np.argsort(np.flip(x, axis), axis, kind="stable")
        order = np.flip(order, axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    where = np.take(order, np.arange(k), axis)
    return np.take_along_axis(x, where, axis), where


@top_k.onnx
def _(x: Array, k: int, axis: int, largest: bool) -> tuple[Array, Array]:
    dims = list(known(x.shape))
    dims[axis] = k
    shapes = [tuple(dims)] * 2
    y, where = node("TopK", x, np.array([k]), axis=axis, largest=int(largest), dims=shapes)
    where.dtype = np.dtype(np.int64)
    return y, where


@top_k.cuda
def _(x: Any, k: int, axis: int, largest: bool) -> tuple[Any, Any]:
    if x.dtype != np.float32 or x.shape[axis] > LONGEST:
        return top_k.on_host(x, k, axis, largest)
    x = dense(x)
    shape = resized(x.shape, axis, k)
    y, where = empty(shape, x), empty(shape, x, np.int64)
    args = (y, where, x, lines(x.shape, axis), k, largest)
    launch(TOP_K, "top_k", x.size, args)
    return y, where


@top_k.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    yield random.normal(size=(2, 3, 5, 7)), 4, -1, True
    yield random.normal(size=(2, 6, 5, 7)), 3, 1, False
    for largest in (False, True):
        yield random.integers(3, size=(2, 6, 5, 7)), 5, 1, largest  # many equals
