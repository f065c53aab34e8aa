"""Axes turned as rings: the jitter of a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from .array import DeviceArray, contiguous, empty, house_order, on_device
from .dispatch import Array, Case, is_device, kernel
from .line import dense, launch
from .pointwise import C_TYPES
from .source import Source

ROLL = Source("roll.cu")


@kernel
def roll(x: Array, shift: Any, axis: int | Sequence[int]) -> Array:
    """x with its last `shift` elements along each axis in front of the others.

    It is np.roll, which does the same everywhere. On devices a shift that is there itself is read
    there: a captured graph turns otherwise each time.
    """
    return np.roll(x, shift, axis)


@roll.cuda
@on_device(np.roll)
def _(x: Any, shift: Any, axis: int | Sequence[int]) -> DeviceArray:
    axes = normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    if is_device(shift):
        shifts = contiguous(shift.astype(np.int64, copy=False).reshape(-1))
    else:
        shifts = np.broadcast_to(shift, len(axes)).tolist()
    x = dense(x)
    order = house_order(x.ndim)
    places = [order.index(a) for a in axes]
    at = 0
    while at < len(axes):
        pair = places[at : at + 2]
        count = 2 if pair[0] < pair[-1] else 1  # both in one launch if they are in memory's order
        x = turned(x, shifts[at : at + count], pair[:count])
        at += count
    return x


def turned(x: DeviceArray, shift: Any, places: Sequence[int]) -> DeviceArray:
    """x turned along one axis or two, which stand at these places of its memory."""
    sizes = [x.shape[a] for a in house_order(x.ndim)]
    first, last = places[0], places[-1]
    y = empty(x.shape, x)
    middle, columns = (1, 1) if first == last else (math.prod(sizes[first + 1 : last]), sizes[last])
    walk = (math.prod(sizes[:first]), sizes[first], middle, columns, math.prod(sizes[last + 1 :]))
    turns = (shift, 0, 0) if is_device(shift) else (None, *(*shift, 0)[:2])
    launch(ROLL, "roll", x.size, (y, x, *walk, *turns), {"TYPE": C_TYPES[x.dtype.name]})
    return y


@roll.cases
def _(random: np.random.Generator) -> Iterator[Case]:
    x = random.normal(size=(2, 3, 5, 7))
    for shift in ((3, -2), (-11, 0), (5, 16)):
        yield x, np.array(shift), (2, 3)
    yield x, np.array((2, 1)), (3, 1)
