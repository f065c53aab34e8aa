"""Sums that grow along an axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .array import DeviceArray, dense, empty
from .dispatch import Array, Case, kernel
from .line import launch, lines
from .pointwise import C_TYPES
from .source import Source
from .symbol import node

CUMULATIVE = Source("cumulative.cu")


@kernel
def cumulative_sum(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    """Each element plus all before it along `axis`, or without itself if `exclusive`.

    With `reverse` those after it. The adjoint is the same sum in the other direction.
    """
    y = np.zeros_like(x)
    rows, sums = (np.moveaxis(array, axis, 0)[:: -1 if reverse else 1] for array in (x, y))
    if exclusive:
        rows, sums = rows[:-1], sums[1:]
    np.cumsum(rows, 0, out=sums)
    return y


@cumulative_sum.onnx
def _(x: Array, axis: int, exclusive: bool, reverse: bool) -> Array:
    return node("CumSum", x, np.array(axis), exclusive=int(exclusive), reverse=int(reverse))


@cumulative_sum.cuda
def _(x: Any, axis: int, exclusive: bool, reverse: bool) -> DeviceArray:
    x = dense(x)
    y = empty(x.shape, x)
    outer, size, inner = lines(x.shape, axis)
    args = (y, x, outer, size, inner, exclusive, reverse)
    launch(CUMULATIVE, "cumulative_sum", outer * inner, args, {"TYPE": C_TYPES[x.dtype.name]})
    return y


@cumulative_sum.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    for axis, exclusive, reverse in itertools.product((1, -1), (False, True), (False, True)):
        yield random.normal(size=(2, 3, 5, 7)), axis, exclusive, reverse
